//! One peer, started for one case.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;

use super::{
    Bench,
    rules::{self, Rules},
};
use crate::{
    case::Case,
    load::Work,
    peer::{Peer, Site},
    process::{self, Process, Tree},
    sample::Sample,
};

/// How long a peer has to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug)]
pub struct Running {
    /// Who it is.
    pub peer: Peer,
    process: Process,
    /// Where it has its routes from.
    _rules: Option<Rules>,
    address: SocketAddr,
}

impl Running {
    /// Starts it and waits until it listens; `None` where it has no part in this case.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(bench: &Bench<'_>, peer: Peer, case: &Case, dir: &Path) -> anyhow::Result<Option<Self>> {
        let dir = dir.join(peer.name().replace(' ', "-"));
        fs::create_dir_all(&dir)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let ports = &bench.backend.ports;
        let backend_port = case.backend_port(ports, peer.translates());
        let has_rules = peer == Peer::Sidecar && case.routes > 1;
        let rules = has_rules.then(|| Rules::start(bench, case, backend_port, &dir)).transpose()?;
        let source = rules.as_ref().map(|rules| rules.grpc);
        let site = Site { case, port: address.port(), backend_port, rules: source, dir: &dir };
        let Some(setup) = peer.setup(&site) else { return Ok(None) };
        for (name, text) in &setup.files {
            fs::write(dir.join(name), text)?;
        }
        let mut command = process::on_core(bench.args.proxy_core, peer.program(&bench.programs));
        let log = dir.join("output.log");
        let mut process = Process::spawn(command.args(&setup.arguments), &log)?;
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            let output = || fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = process.ended()? {
                anyhow::bail!("{} ended with {status}:\n{}", peer.name(), output());
            }
            anyhow::ensure!(
                start.elapsed() < START_TIMEOUT,
                "{} does not listen:\n{}",
                peer.name(),
                output()
            );
            process::pause();
        }
        if rules.is_some() {
            rules::until_answered(address, &case.path())?;
        }
        Ok(Some(Self { peer, process, _rules: rules, address }))
    }

    /// A round of load.
    ///
    /// # Errors
    /// When the load itself fails, or the peer has ended.
    pub fn sample(&mut self, bench: &Bench<'_>, case: &Case) -> anyhow::Result<Sample> {
        if let Some(status) = self.process.ended()? {
            anyhow::bail!("{} ended with {status}", self.peer.name());
        }
        let mut command = self.load(bench, case, case.connections);
        command.args(["--seconds", &bench.args.seconds.to_string()]);
        command.args(["--warm-up", &case.warm_up().as_secs_f64().to_string()]);
        command.args(["--cpu-of", &self.process.pid().to_string()]);
        if let Some(rate) = case.rate {
            command.args(["--rate", &rate.to_string()]);
        }
        let output = command.stderr(Stdio::inherit()).output().context("the load does not start")?;
        anyhow::ensure!(output.status.success(), "the load ended with {}", output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// What its processes hold in memory, in KiB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident_kib(&self) -> anyhow::Result<u64> {
        Tree::of(self.process.pid())?.resident_kib()
    }

    /// A load on it, whose time is not yet said.
    pub fn load(&self, bench: &Bench<'_>, case: &Case, connections: u32) -> Command {
        let mut command = process::on_core(bench.args.load_core, &bench.this);
        let work = match case.work {
            Work::Http1 => "http1",
            Work::Http2 => "http2",
            Work::GrpcUnary => "grpc-unary",
            Work::GrpcStreaming => "grpc-streaming",
            Work::Tcp => "tcp",
        };
        command.args(["load", "--work", work, "--target", &self.address.to_string()]);
        command.args(["--path", &case.path(), "--connections", &connections.to_string()]);
        command.args(["--streams", &case.streams.to_string()]);
        command
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
