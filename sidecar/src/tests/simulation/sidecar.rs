//! A sidecar on a simulated host: the real data path, on the simulated network.

use std::{rc::Rc, sync::Arc};

use tokio::sync::watch;

use super::{caller::OUTBOUND_PORT, socket::Place};
use crate::{
    config::{AccessLog, RecordPolicy, RunArgs, SidecarConfig},
    data::{self, Phase, accept, thread::Thread},
    inbound,
    metrics::DataMetrics,
    net::TcpListener,
    outbound,
    record::RecordQueue,
    table::Directory,
};

/// Where other sidecars' calls come in.
pub(super) const INBOUND_PORT: u16 = 4_143;

/// What a sidecar is started with.
#[derive(Debug)]
pub(super) struct Sidecar {
    pub(super) place: Place,
    pub(super) config: Arc<SidecarConfig>,
    pub(super) directory: Directory,
    pub(super) phase: watch::Receiver<Phase>,
}

impl Sidecar {
    /// One data thread, until it is dropped.
    pub(super) async fn run(self) {
        let metrics = Arc::new(DataMetrics::default());
        // Neither written nor kept: that would be a thread of its own.
        let policy = RecordPolicy { kept: 0, ..self.config.records.clone() };
        let records = RecordQueue::spawn(&AccessLog::Off, &policy, &self.directory, &metrics);
        let (records, _observed) = records.unwrap();
        let shared = data::Shared::default();
        let thread = Thread::new(&self.config, self.directory, metrics, records, self.phase, shared);
        let thread = Rc::new(thread);
        data::tend(&thread, watch::Sender::new(1));
        let listen = |port| TcpListener::Simulated(self.place.listen(port));
        let (out, into) = (&thread.outbound_connections, &thread.inbound_connections);
        accept::serve(&thread, listen(OUTBOUND_PORT), out, outbound::connection);
        if self.config.instance.is_some() {
            accept::serve(&thread, listen(INBOUND_PORT), into, inbound::connection);
        }
        std::future::pending::<()>().await;
    }
}

/// As it is told by these flags.
pub(super) fn config(flags: &str) -> SidecarConfig {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        run: RunArgs,
    }
    let flags = ["sidecar"].into_iter().chain(flags.split_whitespace());
    SidecarConfig::load(<Command as clap::Parser>::parse_from(flags).run).unwrap()
}
