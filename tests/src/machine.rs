//! What a process uses, as `/proc` says, and where it runs: for tests that overload one.

use std::{fs, time::Instant};

use anyhow::Context;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::Pid,
};

/// Ticks of `utime` and `stime` a second: USER_HZ, 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// The core of what is measured, and that of the test with its load and its upstreams.
const CORES: [usize; 2] = [1, 0];

/// Lets this process, and those that it starts, open as many files as the system grants.
///
/// # Errors
/// When the system refuses.
pub fn open_many_files() -> anyhow::Result<u64> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(most)
}

/// Keeps `measured` on one core and this test on another, so that neither takes the other's time. Where there is
/// one core only, they share it.
///
/// # Errors
/// When one of them is gone.
pub fn part(measured: u32) -> anyhow::Result<()> {
    if std::thread::available_parallelism()?.get() < CORES.len() {
        return Ok(());
    }
    for (pid, core) in [measured, std::process::id()].into_iter().zip(CORES) {
        let mut set = CpuSet::new();
        set.set(core)?;
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            let thread = thread.context("a thread has no number")?;
            sched_setaffinity(Pid::from_raw(thread), &set)?;
        }
    }
    Ok(())
}

/// Resident memory, in KiB.
///
/// # Errors
/// When the process is gone.
pub fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    status_kib(pid, "VmRSS:")
}

/// The most that was ever resident, in KiB.
///
/// # Errors
/// When the process is gone.
pub fn peak_kib(pid: u32) -> anyhow::Result<u64> {
    status_kib(pid, "VmHWM:")
}

fn status_kib(pid: u32, name: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
        .with_context(|| format!("no {name} of {pid}"))
}

/// How much of a core a process uses.
#[derive(Debug)]
pub struct Usage {
    pid: u32,
    since: Instant,
    before: f64,
}

impl Usage {
    /// From now on.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn begin(pid: u32) -> anyhow::Result<Self> {
        Ok(Self { pid, since: Instant::now(), before: cpu_seconds(pid)? })
    }

    /// User and system time since then, in percent of one core.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn percent(&self) -> anyhow::Result<f64> {
        Ok((cpu_seconds(self.pid)? - self.before) / self.since.elapsed().as_secs_f64() * 100.0)
    }
}

fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name, in brackets, may hold anything: fields count from behind it.
    let ticks = || {
        let mut fields = text.rsplit_once(") ")?.1.split(' ').skip(11);
        let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((user + system) / TICKS_PER_SECOND)
    };
    ticks().with_context(|| format!("/proc/{pid}/stat is not as proc(5) says"))
}
