//! One broker, started for one case.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context;

use super::{
    Bench,
    case::Case,
    peer::{Peer, Protocol},
};
use crate::{
    driver::running::free_port,
    process::{self, Process, Tree},
    sample::Sample,
};

/// How long a broker has to listen: an Erlang node on a core that others use takes half a minute.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// See the module.
#[derive(Debug)]
pub(super) struct Running {
    /// Who it is.
    pub(super) peer: Peer,
    process: Process,
    address: SocketAddr,
}

impl Running {
    /// Starts it; it need not listen yet.
    pub(super) fn spawn(bench: &Bench<'_>, peer: Peer, dir: &Path) -> anyhow::Result<Self> {
        let dir = dir.join(peer.name().replace(' ', "-"));
        fs::create_dir_all(&dir)?;
        // Absolute, for an Erlang node changes its folder.
        let dir = dir.canonicalize()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut command = peer.command(&bench.programs, bench.args.broker_core, &dir, address.port());
        let process = Process::spawn(&mut command, &dir.join("output.log"))?;
        Ok(Self { peer, process, address })
    }

    /// Waits until it listens.
    pub(super) fn until_ready(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.process.ended()? {
                anyhow::bail!("{} ended with {status}: see its output.log", self.peer.name());
            }
            anyhow::ensure!(start.elapsed() < START_TIMEOUT, "{} does not listen", self.peer.name());
            process::pause();
        }
        Ok(())
    }

    /// A round of load.
    pub(super) fn sample(&mut self, bench: &Bench<'_>, case: &Case) -> anyhow::Result<Sample> {
        if let Some(status) = self.process.ended()? {
            anyhow::bail!("{} ended with {status}", self.peer.name());
        }
        let protocol = match self.peer.protocol() {
            Protocol::Amqp => "amqp",
            Protocol::Jetstream => "jetstream",
        };
        let mut command = process::on_core(bench.args.load_core, &bench.this);
        command.args(["broker-load", "--protocol", protocol, "--case", case.name]);
        command.args(["--target", &self.address.to_string()]);
        command.args(["--seconds", &bench.args.seconds.to_string()]);
        command.args(["--cpu-of", &self.process.pid().to_string()]);
        let output = command.stderr(Stdio::inherit()).output().context("the load does not start")?;
        anyhow::ensure!(output.status.success(), "the load ended with {}", output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// What its processes hold in memory, in KiB.
    pub(super) fn resident_kib(&self) -> anyhow::Result<u64> {
        Tree::of(self.process.pid())?.resident_kib()
    }
}
