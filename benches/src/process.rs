//! Processes of the bench: started on one core, ended by their own id, and what the kernel says they used.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Ticks of `utime` and `stime` a second: USER_HZ, 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a process has to end after SIGTERM before it is killed.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at something that has to happen.
const PAUSE: Duration = Duration::from_millis(10);

/// A child on one core; it ends with its owner.
#[derive(Debug)]
pub struct Process {
    /// Beside the core, how it was started.
    pub child: Child,
}

/// A command that runs on this core only: `taskset` replaces itself by it, so that the id is the program's.
pub fn on_core(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(core.to_string()).arg(program);
    command
}

impl Process {
    /// Starts it, with its output appended to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let out = fs::File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("{command:?} does not start"))?;
        Ok(Self { child })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Ok(None) = self.child.try_wait() else { return };
        if let Ok(pid) = i32::try_from(self.pid()) {
            let _gone_already = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let start = Instant::now();
        while start.elapsed() < END_TIMEOUT && matches!(self.child.try_wait(), Ok(None)) {
            pause();
        }
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

/// Waits for a moment; nobody wakes this thread before.
pub fn pause() {
    std::thread::park_timeout(PAUSE);
}

/// The first line that a program prints of its version, on either output.
pub fn version(program: &Path, argument: &str) -> String {
    let Ok(output) = Command::new(program).arg(argument).output() else { return "unknown".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("unknown").trim().to_owned()
}

/// User and system time so far, in seconds, of a process, its descendants, and those of them that have ended: an
/// Erlang node runs programs of a moment.
///
/// # Errors
/// When `/proc` cannot be read, or the process has ended.
pub fn cpu_seconds_with_ended(root: u32) -> anyhow::Result<f64> {
    // Told for the root, so that one that has ended is an error and not a zero.
    Stat::read(root)?;
    let tree = Tree::of(root)?;
    let stats = tree.0.iter().filter_map(|pid| Stat::read(*pid).ok());
    Ok(stats.map(|stat| stat.ticks + stat.ticks_of_ended).sum::<f64>() / TICKS_PER_SECOND)
}

/// A process and its descendants, as they are now.
#[derive(Debug, Clone)]
pub struct Tree(Vec<u32>);

impl Tree {
    /// Of the process with this id.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of(root: u32) -> anyhow::Result<Self> {
        let mut parents = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // One that has ended meanwhile is nobody's child.
            if let Ok(Stat { parent, .. }) = Stat::read(pid) {
                parents.insert(pid, parent);
            }
        }
        let mut tree = vec![root];
        let mut next = 0;
        while let Some(parent) = tree.get(next).copied() {
            tree.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(pid, _)| *pid));
            next += 1;
        }
        Ok(Self(tree))
    }

    /// User and system time so far, in seconds.
    ///
    /// # Errors
    /// When one of them has ended.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        self.0.iter().map(|pid| Ok(Stat::read(*pid)?.ticks / TICKS_PER_SECOND)).sum()
    }

    /// What they hold in memory, in KiB; pages that two of them share count twice, and one that has ended holds nothing.
    ///
    /// # Errors
    /// When `/proc` says it in a way that proc(5) does not.
    pub fn resident_kib(&self) -> anyhow::Result<u64> {
        let alive = self.0.iter().filter(|pid| Path::new("/proc").join(pid.to_string()).exists());
        alive.map(|pid| resident_kib(*pid)).sum()
    }
}

struct Stat {
    parent: u32,
    /// `utime` and `stime`.
    ticks: f64,
    /// `cutime` and `cstime`: of children that have ended and were waited for, and of theirs.
    ticks_of_ended: f64,
}

impl Stat {
    fn read(pid: u32) -> anyhow::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&text).with_context(|| format!("/proc/{pid}/stat is not as proc(5) says"))
    }

    /// The program's name, in brackets, may hold anything: fields count from behind it, the third first.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let parent = fields.nth(1)?.parse().ok()?;
        let user: f64 = fields.nth(9)?.parse().ok()?;
        let mut next = || fields.next()?.parse::<f64>().ok();
        let (system, user_of_ended, system_of_ended) = (next()?, next()?, next()?);
        Some(Self { parent, ticks: user + system, ticks_of_ended: user_of_ended + system_of_ended })
    }
}

fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kib.with_context(|| format!("/proc/{pid}/status has no VmRSS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_count_from_behind_the_name() {
        let text = "7 (a) b (c) S 3 7 7 0 -1 4194304 100 0 0 0 25 17 3 4 20 0 1 0 5 6 7";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat.parent, 3);
        assert!((stat.ticks - 42.0).abs() < f64::EPSILON);
        assert!((stat.ticks_of_ended - 7.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_tree_holds_its_root_and_uses_memory() {
        let tree = Tree::of(std::process::id()).unwrap();
        assert!(tree.resident_kib().unwrap() > 0);
        assert!(tree.cpu_seconds().unwrap() >= 0.0);
    }
}
