//! Metrics that every daemon has: what it is, and what its process uses. The names are those that Prometheus
//! clients have agreed on. All is read from `/proc` when scraped; what cannot be read is left out.

use std::{
    fmt, fs,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{
        counter::ConstCounter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};

/// Clock ticks a second in `/proc/<pid>/stat`: the kernel's interface to programs has 100 on every
/// architecture that we build for (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Registers `weft_build_info` and the process metrics.
pub fn register(registry: &mut Registry, program: &'static str, version: &'static str) {
    let build = Family::<Vec<(&'static str, &'static str)>, Gauge>::default();
    build.get_or_create(&vec![("program", program), ("version", version)]).set(1);
    registry.register("weft_build_info", "What runs here", build);
    registry.register_collector(Box::new(ProcessCollector { started: started() }));
}

#[derive(Debug)]
struct ProcessCollector {
    /// Seconds since the epoch.
    started: f64,
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: Option<f64>| {
            let Some(value) = value else { return Ok(()) };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        gauge(
            "process_start_time_seconds",
            "Start of the process, in seconds since the epoch",
            Some(self.started),
        )?;
        gauge(
            "process_resident_memory_bytes",
            "Memory of the process that is in RAM",
            status_field(&status, "VmRSS:").map(|kib| kib * 1024.0),
        )?;
        gauge(
            "process_virtual_memory_bytes",
            "Address space of the process",
            status_field(&status, "VmSize:").map(|kib| kib * 1024.0),
        )?;
        gauge("process_threads", "Threads of the process", status_field(&status, "Threads:"))?;
        gauge("process_open_fds", "Open file descriptors", open_fds())?;
        gauge("process_max_fds", "Most file descriptors that may be open", max_fds())?;
        let Some(cpu) = cpu_seconds() else { return Ok(()) };
        let cpu = ConstCounter::new(cpu);
        // The encoder appends `_total`.
        let name = "process_cpu_seconds";
        cpu.encode(encoder.encode_descriptor(name, "CPU time, user and system", None, cpu.metric_type())?)
    }
}

fn status_field(status: &str, field: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix(field))?.split_whitespace().next()?.parse().ok()
}

/// User and system time: fields 14 and 15 of proc_pid_stat(5).
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    Some((stat_field(&stat, 14)? + stat_field(&stat, 15)?) / TICKS_PER_SECOND)
}

/// Counted from 1, as the manual does. The second field is a name in parentheses that may hold spaces.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(number.checked_sub(3)?)?.parse().ok()
}

fn started() -> f64 {
    from_proc().unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs_f64()).unwrap_or_default()
    })
}

fn from_proc() -> Option<f64> {
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    Some(status_field(&system, "btime ")? + stat_field(&own, 22)? / TICKS_PER_SECOND)
}

fn open_fds() -> Option<f64> {
    // One of them is the directory that is being read.
    let count = fs::read_dir("/proc/self/fd").ok()?.count().checked_sub(1)?;
    u32::try_from(count).ok().map(f64::from)
}

fn max_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    status_field(&limits, "Max open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_plausible_value() {
        let mut registry = Registry::default();
        register(&mut registry, "test", "1.2.3");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("weft_build_info{program=\"test\",version=\"1.2.3\"} 1"), "{text}");
        for name in [
            "process_start_time_seconds",
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_threads",
            "process_open_fds",
            "process_max_fds",
        ] {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).expect(name);
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 0.0, "{line}");
        }
        assert!(text.contains("process_cpu_seconds_total "));
    }

    #[test]
    fn a_process_name_with_spaces_and_parentheses_shifts_nothing() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13";
        assert_eq!(stat_field(stat, 4), Some(1.0));
        assert_eq!(stat_field(stat, 14), Some(11.0));
    }
}
