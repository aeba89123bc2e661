//! `weft up` as a test runs it: a mesh of real processes from a file, watched through its status file, with
//! nothing left behind.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    process::{Process, binary},
    wait::eventually,
};

/// For every replica to pass, on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// For a process to be gone after its owner is.
const GONE_TIMEOUT: Duration = Duration::from_secs(10);

/// A running `weft up`.
#[derive(Debug)]
pub struct Up {
    process: Process,
    dir: PathBuf,
}

impl Up {
    /// Starts a mesh of this repository, `examples/gateway/weft.yaml` for one, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start(dir: &Path, file: &str) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("tests/ is in the repository")?;
        Self::launch(dir, &root.join(file), &[]).await?.ready().await
    }

    /// Starts one with more arguments, and does not wait.
    ///
    /// # Errors
    /// When there is no such program.
    pub async fn launch(dir: &Path, file: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(binary("weft")?);
        command.current_dir(dir).arg("up").arg(file).arg("--state-dir").arg(dir.join("state"));
        command.arg("--status-file").arg(dir.join("status.json")).args(arguments);
        let process = Process::spawn("up", &mut command, dir)?;
        Ok(Self { process, dir: dir.to_owned() })
    }

    /// Waits until every replica passes.
    ///
    /// # Errors
    /// When they do not in time.
    pub async fn ready(self) -> anyhow::Result<Self> {
        let ready = eventually("the mesh is up", READY_TIMEOUT, async || self.status().map(|_| ())).await;
        ready.with_context(|| self.process.output())?;
        Ok(self)
    }

    /// What runs where.
    ///
    /// # Errors
    /// When it is not up yet.
    pub fn status(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&fs::read(self.dir.join("status.json"))?)?)
    }

    /// The way in for whoever sits at the terminal.
    ///
    /// # Errors
    /// When it is not up.
    pub fn edge(&self) -> anyhow::Result<SocketAddr> {
        let url = self.status()?["edge"]["outbound"].as_str().unwrap_or_default().to_owned();
        Ok(url.trim_start_matches("http://").parse()?)
    }

    /// Every process of the mesh, that of `weft up` excepted.
    ///
    /// # Errors
    /// When it is not up, or one of them does not run.
    pub fn pids(&self) -> anyhow::Result<Vec<u32>> {
        let status = self.status()?;
        let mut pids = vec![&status["control_plane"]["pid"], &status["edge"]["pid"]];
        for replica in status["replicas"].as_array().context("no replicas")? {
            pids.extend([&replica["sidecar_pid"], &replica["app_pid"]]);
        }
        let number = |pid: &Value| pid.as_u64().and_then(|pid| u32::try_from(pid).ok());
        pids.into_iter().map(|pid| number(pid).with_context(|| format!("not all run: {status}"))).collect()
    }

    /// One replica's entry in the status.
    ///
    /// # Errors
    /// When there is none by that name.
    pub fn replica(&self, instance: &str) -> anyhow::Result<Value> {
        let status = self.status()?;
        let replicas = status["replicas"].as_array().context("no replicas")?;
        let found = replicas.iter().find(|replica| replica["instance"] == instance);
        found.cloned().with_context(|| format!("no {instance} in {status}"))
    }

    /// Another command of `weft`, in the directory where the mesh was started.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn weft(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(binary("weft")?);
        command.current_dir(&self.dir).args(arguments).env_remove("WEFT_HTTP_ADDR");
        Ok(command.output()?)
    }

    /// The process of `weft up`.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Waits until none of these processes runs any more.
///
/// # Errors
/// When one does after a while.
pub async fn all_gone(pids: &[u32]) -> anyhow::Result<()> {
    eventually("every process of the mesh is gone", GONE_TIMEOUT, async || {
        let left: Vec<_> = pids.iter().filter(|pid| is_running(**pid)).collect();
        ensure!(left.is_empty(), "{left:?} are left");
        Ok(())
    })
    .await
}

/// A zombie that nobody has waited for yet does not count.
fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}
