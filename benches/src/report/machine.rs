//! Where, when and with what a run was made.

use std::{
    fmt::Write,
    fs,
    time::{Duration, SystemTime},
};

/// What a run was asked for.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    /// A sentence that says what ran on which core.
    pub(crate) places: String,
}

/// A paragraph, and a list of peers with their versions.
pub(crate) fn describe<'a>(run: &Run, versions: impl Iterator<Item = (&'a str, String)>) -> String {
    let kernel = read("/proc/sys/kernel/osrelease");
    let cpu_info = read("/proc/cpuinfo");
    let models: Vec<&str> = cpu_info.lines().filter_map(|line| line.strip_prefix("model name\t: ")).collect();
    let model = models.first().copied().unwrap_or("a processor without a name");
    let day = humantime::format_rfc3339_seconds(day()).to_string();
    let Run { rounds, seconds, places } = run;
    let mut text = format!(
        "Measured on {}: {} cores of {model}, Linux {}; {rounds} interleaved rounds of {seconds} s. {places} The \
         machine's load average was {} at the end.\n\n",
        day.split('T').next().unwrap_or_default(),
        models.len(),
        kernel.trim(),
        read("/proc/loadavg").split(' ').next().unwrap_or_default(),
    );
    for (name, version) in versions {
        // Nothing fails when text is appended to a string.
        let _never = writeln!(text, "- {name}: {version}");
    }
    text.push('\n');
    text
}

/// Without the time, which says nothing.
fn day() -> SystemTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
