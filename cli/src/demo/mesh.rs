//! `weft up` as a child of the demo: started with a status file, watched through it, stopped like a person
//! would stop it. Its data and its output live in a directory that goes with it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::{
    client::{Address, Client},
    up::{board::Status, proc::Processes, shim},
};

/// For every replica to pass.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks for the status file.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// For `weft up` to stop everything.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// Lines of the log that are quoted when the mesh does not come up.
const LOG_LINES_QUOTED: usize = 12;

/// A mesh that is up, or about to be.
#[derive(Debug)]
pub(super) struct Mesh {
    dir: PathBuf,
    child: Child,
    status: Option<Status>,
    none: Status,
    client: Option<Client>,
}

impl Mesh {
    /// Starts `weft up` for a file.
    pub(super) fn start(file: &Path) -> anyhow::Result<Self> {
        let dir = std::env::temp_dir().join(format!("weft-demo-{}", std::process::id()));
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let log = fs::File::create(dir.join("log")).context("cannot write the log")?;
        let arguments = ["up".into(), file.into(), "--state-dir".into(), dir.join("state").into()];
        let status = ["--status-file".into(), dir.join("status.json").into()];
        let program = std::env::current_exe().context("the system does not say where this program is")?;
        let mut command = Command::from(shim::command(&program, &[arguments.as_slice(), &status].concat()));
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.kill_on_drop(true).spawn().context("cannot start weft up")?;
        Ok(Self { dir, child, status: None, none: Status::new("", &[]), client: None })
    }

    /// Waits until every replica passes.
    pub(super) async fn ready(&mut self) -> anyhow::Result<()> {
        let ready = async {
            loop {
                if let Some(status) = self.child.try_wait()? {
                    bail!("weft up has ended ({status}):\n{}", tail(&self.log()));
                }
                self.look()?;
                if self.status.is_some() {
                    return Ok(());
                }
                sleep(POLL_INTERVAL).await;
            }
        };
        match timeout(READY_TIMEOUT, ready).await {
            Ok(ready) => ready,
            Err(_) => bail!("the mesh is not up within {READY_TIMEOUT:?}:\n{}", tail(&self.log())),
        }
    }

    /// Reads what runs where.
    pub(super) fn look(&mut self) -> anyhow::Result<()> {
        let text = match fs::read(self.dir.join("status.json")) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).context("cannot read the status"),
        };
        let status: Status = serde_json::from_slice(&text).context("the status is not what it should be")?;
        if self.client.is_none() {
            self.client =
                status.control_plane.http.as_deref().map(|url| Client::new(Address::find(Some(url), None)));
        }
        self.status = Some(status);
        Ok(())
    }

    /// As of the last look.
    pub(super) fn status(&self) -> &Status {
        self.status.as_ref().unwrap_or(&self.none)
    }

    /// Instances of a service that pass; 0 while the control plane does not answer.
    pub(super) async fn passing(&self, service: &str) -> usize {
        match &self.client {
            Some(client) => crate::api::passing(client, service).await.unwrap_or(0),
            None => 0,
        }
    }

    /// What `weft up` says.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Stops everything; gives the number of processes that are left, which should be none.
    pub(super) async fn stop(&mut self) -> anyhow::Result<usize> {
        let below = self.child.id().map(|pid| Processes::now().descendants(pid)).unwrap_or_default();
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _gone_already = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            self.child.kill().await.context("weft up cannot be stopped")?;
        }
        let now = Processes::now();
        Ok(below.into_iter().filter(|pid| now.contains(*pid)).count())
    }

    /// Removes data and log.
    pub(super) fn forget(&self) {
        let _gone_already = fs::remove_dir_all(&self.dir);
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LOG_LINES_QUOTED)..).unwrap_or_default().join("\n")
}
