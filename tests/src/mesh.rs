//! Builders of a mesh of real processes: a control plane, sidecars with and without an application.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    http,
    process::{Process, binary, signal_pid},
    wait::eventually,
};

/// For a process to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// Any free port of loopback.
pub const ANY_PORT: &str = "127.0.0.1:0";

/// A running `weft-control-plane`.
#[derive(Debug)]
pub struct ControlPlane {
    process: Process,
    dir: PathBuf,
    /// Consul API and views.
    pub http: SocketAddr,
    /// Discovery and attach.
    pub grpc: SocketAddr,
}

impl ControlPlane {
    /// Starts one with its data in `<dir>/control-plane`.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(dir: &Path) -> anyhow::Result<Self> {
        Self::start_at(dir, ANY_PORT.parse()?, ANY_PORT.parse()?).await
    }

    /// Starts one at given addresses: what a restart is.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_at(dir: &Path, http: SocketAddr, grpc: SocketAddr) -> anyhow::Result<Self> {
        let data = dir.join("control-plane");
        let mut command = Command::new(binary("weft-control-plane")?);
        command.arg("--data-dir").arg(&data);
        command.args(["--http", &http.to_string(), "--grpc", &grpc.to_string()]);
        let process = Process::spawn("control-plane", &mut command, dir)?;
        let ports = ports(&data, process.pid()).await.with_context(|| process.output())?;
        let (http, grpc) = (address(&ports, "http")?, address(&ports, "grpc")?);
        eventually("the control plane answers", READY_TIMEOUT, async || {
            let answer = http::get(http, "localhost", "/v1/status/leader").await?;
            ensure!(answer.status == 200, "{answer:?}");
            Ok(())
        })
        .await?;
        Ok(Self { process, dir: dir.to_owned(), http, grpc })
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts it again, where it was.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        let again = Self::start_at(&self.dir, self.http, self.grpc).await?;
        self.process = again.process;
        Ok(())
    }

    /// Instances of a service that pass, by Consul's API.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn passing(&self, service: &str) -> anyhow::Result<usize> {
        let answer =
            http::get(self.http, "localhost", &format!("/v1/health/service/{service}?passing")).await?;
        Ok(answer.json()?.as_array().context("not a list")?.len())
    }

    /// Waits until so many instances of a service pass.
    ///
    /// # Errors
    /// When they do not in time.
    pub async fn wait_passing(&self, service: &str, count: usize) -> anyhow::Result<()> {
        eventually(&format!("{count} passing instances of {service}"), READY_TIMEOUT, async || {
            let passing = self.passing(service).await?;
            ensure!(passing == count, "{passing} pass");
            Ok(())
        })
        .await
    }
}

/// A running `weft-sidecar`.
#[derive(Debug)]
pub struct Sidecar {
    process: Process,
    /// Calls of the application.
    pub outbound: SocketAddr,
    /// Calls from others.
    pub inbound: SocketAddr,
    /// `/ready` and others.
    pub admin: SocketAddr,
    /// `ports.json`, whole.
    pub ports: Value,
}

impl Sidecar {
    /// Starts one, with its data in `<dir>/<name>`, and waits until it is ready. `arguments` come after
    /// `run` and the ports.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start(dir: &Path, name: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let sidecar = Self::launch(dir, name, arguments).await?;
        sidecar.wait_ready().await.with_context(|| sidecar.process.output())?;
        Ok(sidecar)
    }

    /// Starts one without a control plane, before and behind one HTTP server: its outbound port leads there by the
    /// host `orders`, its inbound port by any.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn in_front_of(dir: &Path, server: SocketAddr) -> anyhow::Result<Self> {
        let config = dir.join("alone.yaml");
        let (ip, port, app) = (server.ip(), server.port(), server.to_string());
        fs::write(&config, format!("services:\n  orders:\n    - address: {ip}\n      port: {port}\n"))?;
        let arguments = ["--config", text(&config)?, "--service", "local", "--app", &app];
        let rest = ["--protocol", "http", "--access-log", "off"];
        Self::start(dir, "sidecar", &[arguments.as_slice(), &rest].concat()).await
    }

    /// Starts one without waiting for `/ready`.
    ///
    /// # Errors
    /// When it does not report its ports.
    pub async fn launch(dir: &Path, name: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let data = dir.join(name);
        let mut command = Command::new(binary("weft-sidecar")?);
        command.arg("run").arg("--data-dir").arg(&data);
        command.args(["--outbound", ANY_PORT, "--inbound", ANY_PORT, "--admin", ANY_PORT]);
        command.args(arguments);
        let process = Process::spawn(name, &mut command, dir)?;
        let ports = ports(&data, process.pid()).await.with_context(|| process.output())?;
        let (outbound, inbound, admin) =
            (address(&ports, "outbound")?, address(&ports, "inbound")?, address(&ports, "admin")?);
        Ok(Self { process, outbound, inbound, admin, ports })
    }

    /// Waits for `/ready`.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn wait_ready(&self) -> anyhow::Result<()> {
        eventually("the sidecar is ready", READY_TIMEOUT, async || {
            let answer = http::get(self.admin, "localhost", "/ready").await?;
            ensure!(answer.status == 200, "{}", answer.text());
            Ok(())
        })
        .await
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it has printed.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// The local port of an upstream.
    ///
    /// # Errors
    /// When there is none by that name.
    pub fn upstream(&self, name: &str) -> anyhow::Result<SocketAddr> {
        let text = self.ports["upstreams"][name].as_str().with_context(|| format!("no upstream {name}"))?;
        Ok(text.parse()?)
    }
}

/// A test application wrapped by a sidecar.
#[derive(Debug)]
pub struct Replica {
    /// The sidecar.
    pub sidecar: Sidecar,
    /// What the application wrote of each request: one key a line.
    pub journal: PathBuf,
    /// The application's own process id.
    pub app_pid: u32,
}

impl Replica {
    /// Starts `weft-test-app` as instance `id` of `service`, with an HTTP check.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start(dir: &Path, control: &ControlPlane, service: &str, id: &str) -> anyhow::Result<Self> {
        Self::start_checked(dir, control, service, id, &["--check", "http:/health"], &[]).await
    }

    /// The same, with arguments for the sidecar and for the application.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start_checked(
        dir: &Path,
        control: &ControlPlane,
        service: &str,
        id: &str,
        sidecar: &[&str],
        app: &[&str],
    ) -> anyhow::Result<Self> {
        let journal = dir.join(format!("{id}.journal"));
        let pid_file = dir.join(format!("{id}.pid"));
        let _first_start = fs::remove_file(&pid_file);
        let control_plane = format!("http://{}", control.grpc);
        let program = binary("weft-test-app")?;
        let mut arguments: Vec<&str> = vec!["--control-plane", &control_plane, "--service", service];
        arguments.extend(["--instance", id]);
        arguments.extend(sidecar);
        arguments.extend(["--", text(&program)?, "--id", id, "--journal", text(&journal)?]);
        arguments.extend(["--pid-file", text(&pid_file)?]);
        arguments.extend(app);
        let sidecar = Sidecar::start(dir, id, &arguments).await?;
        let app_pid = eventually("the application writes its pid", READY_TIMEOUT, async || {
            Ok(fs::read_to_string(&pid_file)?.trim().parse()?)
        })
        .await?;
        Ok(Self { sidecar, journal, app_pid })
    }

    /// `kill -9` of sidecar and application.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        // The sidecar first: it would see the application's end, and deregister.
        self.sidecar.process.kill()?;
        let _died_with_its_sidecar = signal_pid(self.app_pid, Signal::SIGKILL);
        Ok(())
    }

    /// A signal to sidecar and application.
    ///
    /// # Errors
    /// When one of them is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        signal_pid(self.app_pid, signal)?;
        self.sidecar.process.signal(signal)
    }

    /// The keys of the requests that reached the application.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn journal(&self) -> anyhow::Result<Vec<String>> {
        Ok(fs::read_to_string(&self.journal)?.lines().map(str::to_owned).collect())
    }
}

async fn ports(data: &Path, pid: u32) -> anyhow::Result<Value> {
    let file = data.join("ports.json");
    eventually(&format!("{} is written by pid {pid}", file.display()), READY_TIMEOUT, async || {
        let ports: Value = serde_json::from_slice(&fs::read(&file)?)?;
        ensure!(ports["pid"] == pid, "of another process: {ports}");
        Ok(ports)
    })
    .await
}

fn address(ports: &Value, name: &str) -> anyhow::Result<SocketAddr> {
    Ok(ports[name].as_str().with_context(|| format!("no {name} in {ports}"))?.parse()?)
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the path is not UTF-8")
}
