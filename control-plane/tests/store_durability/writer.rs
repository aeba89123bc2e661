//! The process that writes until it is stopped: this test binary once more, with only [`writer_process`] to run. It
//! tells each answered commit on its standard output, a pipe, which no cut of a disk can take back.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use weft_control_plane::store::{Committed, SledStore, Store as _};

use super::workload::{self, Last, TASKS};

/// Tells the process which directory to write to, and that it is one.
const DIRECTORY_VARIABLE: &str = "WEFT_TEST_STORE_WRITER";
/// How long a writer may take to its first answer, or to its end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines between the process and the test.
const LINES_MAX: usize = 100_000;

/// A writer and what it has told so far. Killed when dropped.
pub(crate) struct Writer {
    child: Child,
    lines: Receiver<String>,
    /// The last answered commit of each task.
    pub(crate) answered: Last,
    /// How many commits were answered.
    pub(crate) answers: u64,
    /// Why it could not go on, if it said so.
    pub(crate) failure: Option<String>,
}

impl Writer {
    /// Starts one on a directory, and waits for its first answer.
    ///
    /// # Errors
    /// When it ends before.
    pub(crate) fn start(directory: &Path) -> anyhow::Result<Self> {
        let mut writer = Self::spawn(directory)?;
        let deadline = Instant::now() + PATIENCE;
        while writer.answers == 0 {
            if !writer.read_one(deadline)? {
                bail!("the writer did nothing; {:?}", writer.failure);
            }
        }
        Ok(writer)
    }

    /// Starts one, and does not wait: it may still be opening the store.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub(crate) fn spawn(directory: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "writer::writer_process", "--ignored", "--nocapture"])
            .env(DIRECTORY_VARIABLE, directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("it is piped")?;
        let (sender, lines) = sync_channel(LINES_MAX);
        thread::spawn(move || {
            // Ends with the process, whose end of the pipe closes.
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(Self { child, lines, answered: Last::new(), answers: 0, failure: None })
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Follows what it tells for so long, or to its end.
    ///
    /// # Errors
    /// On a line that is none of its.
    pub(crate) fn follow(&mut self, time: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + time;
        while self.read_one(deadline)? {}
        Ok(())
    }

    /// Follows it until it says why it cannot go on.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn follow_to_failure(&mut self) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(failure) = self.failure.take() {
                return Ok(failure);
            }
            anyhow::ensure!(self.read_one(deadline)?, "the writer hangs, or has ended without a word");
        }
    }

    /// Kills it at once and takes in what it had told before.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.follow(PATIENCE)
    }

    /// Takes one line; `false` at the deadline, or when there will be no more.
    fn read_one(&mut self, deadline: Instant) -> anyhow::Result<bool> {
        let line = match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(false),
        };
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("answered"), Some(task), Some(number)) => {
                self.answered.insert(task.parse()?, number.parse()?);
                self.answers += 1;
            }
            (Some("failed"), ..) => self.failure = Some(line),
            // The test harness of the process talks too, and a kill may cut a line.
            _ => {}
        }
        Ok(true)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether all that was answered is there.
///
/// # Errors
/// Names the task and what it lost.
pub(crate) fn check_nothing_lost(answered: &Last, found: &Last) -> anyhow::Result<()> {
    for (task, number) in answered {
        let last = found.get(task).copied().unwrap_or(0);
        anyhow::ensure!(last >= *number, "task {task}: {number} was answered, {last} is the last one there");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "the process that the tests beside it start and stop"]
#[expect(clippy::disallowed_methods, reason = "how the test tells its process what to do")]
async fn writer_process() -> anyhow::Result<()> {
    let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) else { return Ok(()) };
    let store = match SledStore::open(Path::new(&directory)) {
        Ok(store) => store,
        Err(error) => return tell(&format!("failed {error}")),
    };
    let last = workload::read(&*store).await?;
    let write = |task: u64| {
        let (store, last) = (&store, &last);
        async move {
            for number in last.get(&task).copied().unwrap_or(0) + 1.. {
                match store.commit(workload::txn(task, number)).await {
                    Ok(Committed::At(_)) => tell(&format!("answered {task} {number}"))?,
                    Ok(refused) => bail!("refused without a guard: {refused:?}"),
                    Err(error) => return tell(&format!("failed {task} {number} {error}")),
                }
            }
            Ok(())
        }
    };
    futures_util::future::try_join_all((0..TASKS).map(write)).await?;
    Ok(())
}

/// One line, at once, in one write.
fn tell(line: &str) -> anyhow::Result<()> {
    // The harness may have left its cursor in a line.
    let mut output = std::io::stdout().lock();
    output.write_all(format!("\n{line}\n").as_bytes())?;
    Ok(output.flush()?)
}
