//! One run of one process: started by way of the shim in a process group of its own, its output given to the
//! console line by line, its ports read once it reports them, ended with all that is left of its group. It
//! does not decide whether there is another run.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    console::{Console, Source},
    lines::Lines,
    plan::ProcessSpec,
    proc::Processes,
    shim,
};
use crate::environment;

/// How long a process has to end after SIGTERM: the sidecar's own drain is 20 s, then 5 s for its application.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(27);
/// Between two looks for a file or a process that is about to appear.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// What a grandchild that has inherited the output may still say after the process has ended.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);
/// Read from a child at once, in bytes.
const READ_BYTES: usize = 8 * 1024;
/// Lines remembered, to be quoted when a process does not come up.
const TAIL_LINES_MAX: usize = 20;

/// What `ports.json` says; a control plane and a sidecar fill different fields.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Ports {
    pid: u32,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) grpc: Option<SocketAddr>,
    pub(crate) outbound: Option<SocketAddr>,
    pub(crate) inbound: Option<SocketAddr>,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) app: Option<SocketAddr>,
    #[serde(default)]
    pub(crate) upstreams: BTreeMap<String, SocketAddr>,
}

/// The last lines of a process, over all of its runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<String>>>);

/// A process under way.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pid: u32,
    outputs: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(
        spec: &ProcessSpec,
        source: &Source,
        console: &Console,
        tail: &Tail,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&spec.data_dir)
            .with_context(|| format!("cannot make {}", spec.data_dir.display()))?;
        match fs::remove_file(ports_file(&spec.data_dir)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot clear {}", spec.data_dir.display()));
            }
            _ => {}
        }
        let mut command = shim::command(&spec.program, &spec.arguments);
        for name in environment::not_inherited() {
            command.env_remove(name);
        }
        command.envs(spec.env.iter().map(|(name, value)| (name, value))).current_dir(&spec.dir);
        let mut command = Command::from(command);
        // A group of its own: Ctrl-C reaches us alone, and what it leaves behind can be found.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", spec.name))?;
        let pid = child.id().context("the process has ended at once")?;
        let mut outputs = Vec::new();
        if let Some(out) = child.stdout.take() {
            outputs.push(tokio::spawn(relay(out, source.clone(), console.clone(), tail.clone())));
        }
        if let Some(out) = child.stderr.take() {
            outputs.push(tokio::spawn(relay(out, source.clone(), console.clone(), tail.clone())));
        }
        Ok(Self { child, pid, outputs })
    }

    /// Its process id.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for its end, and clears away what is left of its group.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.kill_group();
        let drained = async {
            for output in &mut self.outputs {
                let _ended = output.await;
            }
        };
        let _said_enough = timeout(OUTPUT_TIMEOUT, drained).await;
        Ok(status)
    }

    /// SIGTERM; SIGKILL to the group when it takes too long, or `now`.
    pub(crate) async fn stop(&mut self, now: &CancellationToken) -> io::Result<ExitStatus> {
        if let Ok(pid) = i32::try_from(self.pid) {
            let _gone_already = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        tokio::select! {
            // Of an end and an impatient person, the end is the better news.
            biased;
            ended = self.child.wait() => { ended?; }
            () = now.cancelled() => {}
            () = sleep(STOP_TIMEOUT) => {}
        }
        self.kill_group();
        self.ended().await
    }

    fn kill_group(&self) {
        if let Ok(group) = i32::try_from(self.pid) {
            let _nobody_left = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

impl Tail {
    /// The last thing that was said, if anything was.
    pub(crate) fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).back().cloned()
    }

    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= TAIL_LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }
}

/// Waits until the process says which ports it has. Ends only then: drop it when the process ends.
pub(crate) async fn ports(data_dir: &Path, pid: u32) -> Ports {
    loop {
        let text = fs::read(ports_file(data_dir)).unwrap_or_default();
        match serde_json::from_slice::<Ports>(&text) {
            Ok(ports) if ports.pid == pid => return ports,
            _ => sleep(POLL_INTERVAL).await,
        }
    }
}

/// Waits until a sidecar has started its application. Ends only then, as above.
pub(crate) async fn application(sidecar: u32) -> u32 {
    loop {
        if let Some(pid) = Processes::now().children(sidecar).next() {
            return pid;
        }
        sleep(POLL_INTERVAL * 5).await;
    }
}

async fn relay(mut out: impl AsyncRead + Unpin, source: Source, console: Console, tail: Tail) {
    let mut lines = Lines::default();
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(length @ 1..) = out.read(&mut buffer).await {
        for line in lines.push(buffer.get(..length).unwrap_or_default()) {
            tail.push(&line);
            console.line(&source, line).await;
        }
    }
    if let Some(line) = lines.rest() {
        tail.push(&line);
        console.line(&source, line).await;
    }
}

fn ports_file(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join(weft_runtime::ports::FILE)
}
