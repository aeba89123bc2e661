//! Memory and disk, looked at once a second: beyond their watermarks publishers wait. RabbitMQ's "Memory and Disk
//! Alarms".

use std::{
    path::Path,
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{clock, shared::Shared};
use crate::vhost::{Blocked, Reasons};

/// How often memory and disk are looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// Bytes that must stay free on the disk: RabbitMQ's default.
const DISK_FREE_BYTES: u64 = 50 * 1000 * 1000;
/// The share of memory that may be used, in percent: RabbitMQ 4's default.
const MEMORY_PERCENT: u8 = 60;

/// When publishers wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// Bytes of memory of this process.
    pub memory_bytes: u64,
    /// Bytes that must be free where the data is.
    pub disk_free_bytes: u64,
}

impl Watermarks {
    /// So many percent of what the control group or the machine has, in bytes.
    pub fn share_of_memory(percent: u8) -> u64 {
        memory_limit().map_or(u64::MAX, |limit| limit / 100 * u64::from(percent))
    }
}

impl Default for Watermarks {
    fn default() -> Self {
        let memory_bytes = Self::share_of_memory(MEMORY_PERCENT);
        Self { memory_bytes, disk_free_bytes: DISK_FREE_BYTES }
    }
}

/// What is used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory of this process.
    pub memory_bytes: u64,
    /// Bytes that are free where the data is.
    pub disk_free_bytes: u64,
}

impl Default for Usage {
    /// Before anything is known: no alarm.
    fn default() -> Self {
        Self { memory_bytes: 0, disk_free_bytes: u64::MAX }
    }
}

impl Usage {
    /// As the system says. What it does not say stays as it was: whoever has no descriptor left to look with is not
    /// out of trouble.
    fn look(self, data_dir: &Path) -> Self {
        self.or(resident(), free(data_dir))
    }

    fn or(self, memory_bytes: Option<u64>, disk_free_bytes: Option<u64>) -> Self {
        Self {
            memory_bytes: memory_bytes.unwrap_or(self.memory_bytes),
            disk_free_bytes: disk_free_bytes.unwrap_or(self.disk_free_bytes),
        }
    }

    /// Which alarms stand: the one place that says so.
    pub fn alarms(&self, watermarks: &Watermarks) -> Alarms {
        Alarms {
            memory: self.memory_bytes > watermarks.memory_bytes,
            disk: self.disk_free_bytes < watermarks.disk_free_bytes,
        }
    }
}

/// Which alarms stand: publishers wait for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alarms {
    /// More memory is used than may be.
    pub memory: bool,
    /// Less is free on the disk than must be.
    pub disk: bool,
}

impl Alarms {
    /// Whether one stands.
    pub fn is_any(self) -> bool {
        self.memory || self.disk
    }

    /// These, and those for which virtual hosts hold publishers back.
    pub fn and(self, reasons: Reasons) -> Self {
        Self {
            memory: self.memory || reasons.has(Blocked::Memory),
            disk: self.disk || reasons.has(Blocked::Disk) || reasons.has(Blocked::DiskFull),
        }
    }
}

impl Shared {
    /// What is used of memory and disk now. Blocks.
    pub fn usage(&self) -> Usage {
        // Whole whenever it is let go of.
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        *usage = usage.look(&self.data_dir);
        *usage
    }
}

/// Looks, and tells all virtual hosts what has changed.
pub(super) async fn watch(watermarks: Watermarks, shared: Arc<Shared>) {
    let mut period = tokio::time::interval(PERIOD);
    loop {
        period.tick().await;
        clock::follow();
        let usage = shared.usage();
        let (before, now) = (shared.alarms(), usage.alarms(&watermarks));
        if now.memory != before.memory {
            let (bytes, limit) = (usage.memory_bytes, watermarks.memory_bytes);
            tracing::warn!(alarm = now.memory, bytes, limit, "memory watermark");
        }
        if now.disk != before.disk {
            let (free, limit) = (usage.disk_free_bytes, watermarks.disk_free_bytes);
            tracing::warn!(alarm = now.disk, free, limit, "disk watermark");
        }
        shared.set_alarms(now);
    }
}

fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_size())
}

fn page_size() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|bytes| u64::try_from(bytes).ok())
        .unwrap_or(4096)
}

fn free(path: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(path).ok()?;
    Some(stat.blocks_available() * stat.fragment_size())
}

/// What this process may use: its control group's limit, or the machine's memory.
fn memory_limit() -> Option<u64> {
    let group =
        std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
    });
    [group, machine].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USED: Usage = Usage { memory_bytes: 11, disk_free_bytes: 9 };

    #[test]
    fn an_alarm_stands_beyond_its_watermark() {
        let alarms =
            |memory_bytes, disk_free_bytes| USED.alarms(&Watermarks { memory_bytes, disk_free_bytes });
        assert_eq!(alarms(10, 10), Alarms { memory: true, disk: true });
        assert_eq!(alarms(11, 9), Alarms::default());
    }

    #[test]
    fn what_the_system_does_not_say_stays_as_it_was() {
        assert_eq!(USED.or(None, None), USED);
        assert_eq!(USED.or(Some(1), None), Usage { memory_bytes: 1, ..USED });
        assert!(!Usage::default().or(None, None).alarms(&Watermarks::default()).is_any());
    }
}
