//! A discovery stream: requests go into the machine, and whenever the snapshot or an answer may have made
//! something sayable, the machine is polled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use weft_model::discovery::{Mode, Server};
use weft_proto::discovery as proto;
use weft_runtime::drain;

use super::{
    REMOVALS_HELD, STREAMS_MAX,
    sidecars::{Sidecars, StreamGuard},
    snapshot::ResourceSnapshot,
    wire,
};

/// The machine has at most one unacknowledged response a kind, so no more can wait for the client to read.
const RESPONSES_WAITING_MAX: usize = 4;

type Sender = mpsc::Sender<Result<proto::DeltaDiscoveryResponse, Status>>;

/// The service.
pub(super) struct Ads {
    snapshots: watch::Receiver<Arc<ResourceSnapshot>>,
    sidecars: Sidecars,
    started: Instant,
    drain: drain::Watch,
    streams: Arc<Semaphore>,
    opened: AtomicU64,
}

struct Stream {
    machine: Arc<Mutex<Server>>,
    snapshots: watch::Receiver<Arc<ResourceSnapshot>>,
    requests: Streaming<proto::DeltaDiscoveryRequest>,
    responses: Sender,
    sidecars: Sidecars,
    /// Set by the first request, which says who asks.
    listed: Option<StreamGuard>,
    started: Instant,
    drain: drain::Watch,
    _permit: OwnedSemaphorePermit,
}

impl Ads {
    pub(super) fn new(
        snapshots: watch::Receiver<Arc<ResourceSnapshot>>,
        sidecars: Sidecars,
        started: Instant,
        drain: drain::Watch,
    ) -> Self {
        let streams = Arc::new(Semaphore::new(STREAMS_MAX));
        Self { snapshots, sidecars, started, drain, streams, opened: AtomicU64::new(fastrand::u64(..)) }
    }
}

#[tonic::async_trait]
impl proto::aggregated_discovery_service_server::AggregatedDiscoveryService for Ads {
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<proto::DeltaDiscoveryResponse, Status>>;

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<proto::DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let permit = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{STREAMS_MAX} discovery streams are open, and no more are taken"
            ))
        })?;
        let (responses, outgoing) = mpsc::channel(RESPONSES_WAITING_MAX);
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let stream = Stream {
            machine: Arc::new(Mutex::new(Server::new(Mode::Delta, number))),
            snapshots: self.snapshots.clone(),
            requests: request.into_inner(),
            responses,
            sidecars: self.sidecars.clone(),
            listed: None,
            started: self.started,
            drain: self.drain.clone(),
            _permit: permit,
        };
        self.sidecars.stats().streams_opened.add(1);
        tokio::spawn(stream.run());
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

impl Stream {
    async fn run(mut self) {
        let served = self.serve().await;
        self.sidecars.stats().streams_ended.add(1);
        let Err(status) = served else { return };
        self.sidecars.stats().streams_refused.add(1);
        tracing::warn!(sidecar = self.name(), %status, "discovery stream refused");
        // A client that does not read has no use for the reason.
        drop(self.responses.try_send(Err(status)));
    }

    async fn serve(&mut self) -> Result<(), Status> {
        let held_until = tokio::time::Instant::from_std(self.started + REMOVALS_HELD);
        let mut holding = tokio::time::Instant::now() < held_until;
        loop {
            self.speak(holding)?;
            tokio::select! {
                // The end first. Requests before snapshots: an acknowledgement lets the newest be sent.
                biased;
                () = self.drain.draining() => return Ok(()),
                request = self.requests.message() => match request {
                    Ok(Some(request)) => self.hear(request)?,
                    Ok(None) => return Ok(()),
                    Err(status) => {
                        tracing::debug!(sidecar = self.name(), %status, "discovery stream lost");
                        return Ok(());
                    }
                },
                changed = self.snapshots.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep_until(held_until), if holding => holding = false,
            }
        }
    }

    fn hear(&mut self, request: proto::DeltaDiscoveryRequest) -> Result<(), Status> {
        if self.listed.is_none() {
            let id = request.node.as_ref().map_or("", |node| node.id.as_str());
            self.listed = self.sidecars.open_stream(id, Arc::clone(&self.machine));
        }
        let Some(kind) = wire::kind(&request.type_url) else {
            // From a later version of the sidecar: it works without an answer.
            tracing::debug!(sidecar = self.name(), type_url = request.type_url, "unknown type asked for");
            return Ok(());
        };
        if let Some(error) = &request.error_detail {
            self.sidecars.stats().nacks.add(1);
            let error = wire::clip(&error.message);
            tracing::warn!(sidecar = self.name(), error, "sidecar refuses resources");
        }
        let request =
            wire::request(kind, request).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let heard = self.machine.lock().on_request(request);
        heard.map_err(|error| Status::resource_exhausted(error.to_string()))
    }

    fn speak(&mut self, holding: bool) -> Result<(), Status> {
        let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
        loop {
            let Some(response) = self.machine.lock().poll(&*snapshot, holding) else { return Ok(()) };
            let stats = self.sidecars.stats();
            stats.responses_sent.add(1);
            stats.resources_sent.add(response.resources.len());
            stats.removals_sent.add(response.removed.len());
            self.responses
                .try_send(Ok(wire::response(response)))
                .map_err(|_| Status::cancelled("the client is gone"))?;
        }
    }

    fn name(&self) -> &str {
        self.listed.as_ref().map_or("", StreamGuard::id)
    }
}
