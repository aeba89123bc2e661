//! Where, when and with what a run was made.

use std::{
    fmt::Write,
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use crate::driver::Bench;

/// A paragraph, and a list of versions.
pub(super) fn describe(bench: &Bench<'_>) -> String {
    let kernel = read("/proc/sys/kernel/osrelease");
    let cpu_info = read("/proc/cpuinfo");
    let models: Vec<&str> = cpu_info.lines().filter_map(|line| line.strip_prefix("model name\t: ")).collect();
    let model = models.first().copied().unwrap_or("a processor without a name");
    let day = humantime::format_rfc3339_seconds(day()).to_string();
    let (rounds, seconds) = (bench.args.rounds, bench.args.seconds);
    let mut text = format!(
        "Measured on {}: {} cores of {model}, Linux {}; {rounds} interleaved rounds of {seconds} s. Load and \
         backend on core {}, the proxy on core {}. The machine's load average was {} at the end.\n\n",
        day.split('T').next().unwrap_or_default(),
        models.len(),
        kernel.trim(),
        bench.args.load_core,
        bench.args.proxy_core,
        read("/proc/loadavg").split(' ').next().unwrap_or_default(),
    );
    for peer in bench.peers() {
        let version = version(peer.program(&bench.programs), peer.version_argument());
        // Nothing fails when text is appended to a string.
        let _never = writeln!(text, "- {}: {version}", peer.name());
    }
    text.push('\n');
    text
}

/// Without the time, which says nothing.
fn day() -> SystemTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// The first line that it prints, on either output.
fn version(program: &Path, argument: &str) -> String {
    let Ok(output) = Command::new(program).arg(argument).output() else { return "unknown".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("unknown").trim().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
