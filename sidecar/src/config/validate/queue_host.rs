//! The settings of a sidecar that keeps queues.

use std::time::Duration;

use super::Validator;
use crate::config::{
    MemoryMark, QueueHostConfig, QueueHostLimits, faults::clip, policy::NEVER, settings::Settings,
};

/// AMQP clients of a queue host, when nobody says: IANA's port of AMQP.
const AMQP_PORT: u16 = 5672;
/// The management API of a queue host, when nobody says: RabbitMQ's port of it.
const MANAGEMENT_PORT: u16 = 15672;
/// The largest message that may be asked for: RabbitMQ's own ceiling.
const MESSAGE_BYTES_CEILING: u64 = 512 << 20;
/// The least memory for waiting messages of a virtual host.
const WAITING_BYTES_FLOOR: u64 = 1 << 20;

/// The shortest time for an acknowledgement: deliveries are looked at every few seconds.
const CONSUMER_TIMEOUT_FLOOR: Duration = Duration::from_secs(1);

impl Validator<'_> {
    /// `None` = wrong; `Some(None)` = keeps no queues.
    pub(super) fn queue_host(&mut self) -> Option<Option<QueueHostConfig>> {
        if !self.settings.queue_host.unwrap_or(false) {
            self.refuse_without_queues();
            return Some(None);
        }
        let amqp = self.listener("amqp", AMQP_PORT, |settings| &settings.amqp);
        let management = self.listener("management", MANAGEMENT_PORT, |settings| &settings.management);
        let limits = self.queue_limits();
        Some(Some(QueueHostConfig { amqp: amqp?, management: management?, limits: limits? }))
    }

    fn refuse_without_queues(&mut self) {
        let settings = &self.settings;
        for (field, said) in [
            ("amqp", &settings.amqp),
            ("management", &settings.management),
            ("memory_watermark", &settings.memory_watermark),
            ("disk_free_min", &settings.disk_free_min),
            ("message_size_max", &settings.message_size_max),
            ("queue_memory", &settings.queue_memory),
            ("consumer_timeout", &settings.consumer_timeout),
        ] {
            if said.is_some() {
                self.faults.add(field, "is about a queue host: say --queue-host as well");
            }
        }
    }

    fn queue_limits(&mut self) -> Option<QueueHostLimits> {
        let default = QueueHostLimits::default();
        let memory = self.memory_mark(default.memory);
        let disk_free =
            self.bytes("disk_free_min", default.disk_free_min, |settings| &settings.disk_free_min);
        let message =
            self.bytes("message_size_max", default.message_bytes_max, |settings| &settings.message_size_max);
        let message = self.within("message_size_max", message?, 1..=MESSAGE_BYTES_CEILING);
        let waiting =
            self.bytes("queue_memory", default.waiting_bytes_max, |settings| &settings.queue_memory);
        let waiting = self.within("queue_memory", waiting?, WAITING_BYTES_FLOOR..=u64::MAX);
        let timeout = self.consumer_timeout(default.consumer_timeout);
        Some(QueueHostLimits {
            memory: memory?,
            disk_free_min: disk_free?,
            message_bytes_max: message?,
            waiting_bytes_max: waiting?,
            consumer_timeout: timeout?,
        })
    }

    /// A share in percent, or bytes.
    fn memory_mark(&mut self, default: MemoryMark) -> Option<MemoryMark> {
        let Some(text) = self.settings.memory_watermark.clone() else { return Some(default) };
        let Some(share) = text.trim().strip_suffix('%') else {
            return self
                .bytes("memory_watermark", 0, |settings| &settings.memory_watermark)
                .map(MemoryMark::Bytes);
        };
        let percent = share.trim().parse().ok().filter(|percent| (1..=100).contains(percent));
        let wrong = || format!("`{}` is no share: give 1% to 100%, or bytes as 2GiB", clip(&text));
        self.faults.keep("memory_watermark", percent.map(MemoryMark::Percent).ok_or_else(wrong))
    }

    /// `None` = wrong; `Some(None)` = for ever.
    fn consumer_timeout(&mut self, default: Option<Duration>) -> Option<Option<Duration>> {
        match self.settings.consumer_timeout.as_deref().map(str::trim) {
            None => Some(default),
            Some(NEVER) => Some(None),
            Some(_) => {
                let time =
                    self.duration("consumer_timeout", Duration::ZERO, |settings| &settings.consumer_timeout)?;
                let fits = (time >= CONSUMER_TIMEOUT_FLOOR).then_some(Some(time));
                let wrong = || format!("is below {CONSUMER_TIMEOUT_FLOOR:?}: what takes long is no fault");
                self.faults.keep("consumer_timeout", fits.ok_or_else(wrong))
            }
        }
    }

    fn bytes(
        &mut self,
        field: &str,
        default: u64,
        setting: impl Fn(&Settings) -> &Option<String>,
    ) -> Option<u64> {
        let Some(text) = setting(&self.settings).clone() else { return Some(default) };
        let wrong = || format!("`{}` is no size: give bytes, or 50MB or 2GiB", clip(&text));
        self.faults.keep(field, size(text.trim()).ok_or_else(wrong))
    }

    fn within(&mut self, field: &str, bytes: u64, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let fits = range.contains(&bytes).then_some(bytes);
        let (least, most) = (range.start(), range.end());
        self.faults.keep(field, fits.ok_or_else(|| format!("is not from {least} to {most} bytes")))
    }
}

/// Bytes as people write them: a number, and a unit of a thousand (kB, MB, GB) or of 1,024 (KiB, MiB, GiB).
fn size(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        let read = ["7", "7 B", "2kB", "50MB", "2 GiB", "1k", "", "-1", "2TB", "99999999999GiB"].map(size);
        let known = [7, 7, 2_000, 50_000_000, 2 << 30, 1_000].map(Some);
        assert_eq!((&read[..6], &read[6..]), (&known[..], &[None; 4][..]));
    }
}
