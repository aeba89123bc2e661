//! A sidecar without a control plane: the services of its file are the table, and no others exist.

use tokio::sync::watch;

use super::{Inputs, Status};
use crate::{config::SidecarConfig, table::Demanded};

/// Publishes the table and answers first dials until the drain.
pub(super) fn start(config: &SidecarConfig, mut inputs: Inputs, status: &watch::Sender<Status>) {
    let services = config.services.iter().cloned();
    inputs.publisher.update(services.map(|(name, endpoints)| (name, Some(endpoints))));
    status.send_replace(Status { alone: true, ready: true, ..Status::default() });
    tokio::spawn(async move {
        while let Some(Some(demand)) = inputs.drain.unless_draining(inputs.demands.recv()).await {
            let known = inputs.publisher.current().services.contains_key(&demand.service);
            // Whoever asked may have gone.
            let _ = demand.reply.send(if known { Demanded::Known } else { Demanded::NoRoute });
        }
    });
}
