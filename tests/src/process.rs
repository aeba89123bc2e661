//! Child processes that end with their owner: each writes its output to a file that is shown when a test
//! fails, and is ended by its own id.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long a child has to end after SIGTERM before it is killed.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// The path of one of the workspace's programs, built beside the tests.
///
/// # Errors
/// When it has not been built: names the command that does.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let dir = match bin_dir_from_environment() {
        Some(dir) => dir,
        None => {
            let test = std::env::current_exe()?;
            test.parent().and_then(Path::parent).context("the test has no target directory")?.to_owned()
        }
    };
    let path = dir.join(name);
    if !path.exists() {
        bail!("{} is not there: run `cargo build --workspace --bins` first", path.display());
    }
    Ok(path)
}

#[expect(clippy::disallowed_methods, reason = "the harness's one place for its variable")]
fn bin_dir_from_environment() -> Option<PathBuf> {
    std::env::var_os("WEFT_BIN_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

impl Process {
    /// Starts `command`, with both outputs going to `<dir>/<name>.log`, appended.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(name: &str, command: &mut Command, dir: &Path) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("{name} does not start: {:?}", command.get_program()))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        signal_pid(self.pid(), signal)
    }

    /// Its exit status, if it has ended.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn try_wait(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if start.elapsed() > deadline {
                bail!("{} (pid {}) does not end within {deadline:?}", self.name, self.pid());
            }
            pause();
        }
    }

    /// SIGTERM, and waits.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(END_TIMEOUT)
    }

    /// SIGKILL, and waits.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _gone_already = self.child.kill();
            let _gone_already = self.child.wait();
        }
        if std::thread::panicking() {
            let output = self.output();
            let tail = output.len().saturating_sub(4_000);
            let tail = (tail..output.len()).find(|at| output.is_char_boundary(*at)).unwrap_or(output.len());
            eprintln!("--- {} ---\n{}", self.name, output.get(tail..).unwrap_or_default());
        }
    }
}

/// Sends a signal to a process that a process of ours started.
///
/// # Errors
/// When it is gone.
pub fn signal_pid(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(pid)?;
    kill(Pid::from_raw(pid), signal).with_context(|| format!("pid {pid} takes no {signal}"))
}

#[expect(clippy::disallowed_methods, reason = "a look at a child between two instants, outside any runtime")]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}
