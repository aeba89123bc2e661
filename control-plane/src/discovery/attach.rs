//! The lease of a sidecar, one stream from its start to its end.
//!
//! ```text
//!   Hello ──▶ Welcome ──▶ attached ──▶ Deregister: the instance is gone at once
//!     │                    │   │ heartbeat: lease renewed, digests compared; health: reported
//!     └──▶ Refused         │   └──────────────────────────────────────────────▶ attached
//!                          └──▶ the stream ends: the lease runs out (a crash)
//! ```

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use weft_proto::weft::v1::{
    self as proto, attach_request::Message as Said, attach_response::Message as Reply, mesh_server,
};
use weft_runtime::drain;

use super::{
    STREAMS_MAX, convert,
    sidecars::{AttachGuard, Introduced, NAME_BYTES_MAX, Sidecars},
};
use crate::registry::{Lease, Registry, RegistryError, handle::LEASE_DEFAULT};

/// How often a sidecar is to send one.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A stream without a message for so long is closed: the sidecar is stopped or stuck, and attaches anew.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long a new stream may wait with its Hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Answers waiting for the client to read; one that does not read for so many heartbeats is cut off.
const REPLIES_WAITING_MAX: usize = 16;

type Sender = mpsc::Sender<Result<proto::AttachResponse, Status>>;

/// The service.
pub(super) struct Mesh {
    registry: Registry,
    store_id: Arc<str>,
    sidecars: Sidecars,
    drain: drain::Watch,
    streams: Arc<Semaphore>,
}

/// One stream, before its Hello.
struct Session {
    registry: Registry,
    store_id: Arc<str>,
    sidecars: Sidecars,
    drain: drain::Watch,
    said: Streaming<proto::AttachRequest>,
    replies: Sender,
    _permit: OwnedSemaphorePermit,
}

/// One stream, after its Welcome.
struct Attached {
    name: String,
    guard: AttachGuard,
    lease: Option<Lease>,
}

/// Why a stream ends.
enum End {
    /// Told in so many words; the sidecar tells a person.
    Refused(String),
    /// Not the sidecar's fault, or a breach of the protocol: it tries again.
    Failed(Status),
    /// Nothing to be said.
    Silent,
}

impl Mesh {
    pub(super) fn new(
        registry: Registry,
        store_id: Arc<str>,
        sidecars: Sidecars,
        drain: drain::Watch,
    ) -> Self {
        Self { registry, store_id, sidecars, drain, streams: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }
}

#[tonic::async_trait]
impl mesh_server::Mesh for Mesh {
    type AttachStream = ReceiverStream<Result<proto::AttachResponse, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<proto::AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let permit = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!("{STREAMS_MAX} sidecars are attached, and no more are taken"))
        })?;
        let (replies, outgoing) = mpsc::channel(REPLIES_WAITING_MAX);
        let session = Session {
            registry: self.registry.clone(),
            store_id: Arc::clone(&self.store_id),
            sidecars: self.sidecars.clone(),
            drain: self.drain.clone(),
            said: request.into_inner(),
            replies,
            _permit: permit,
        };
        tokio::spawn(session.run());
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

impl Session {
    async fn run(mut self) {
        let end = match self.hello().await {
            Ok(attached) => self.serve(attached).await,
            Err(end) => end,
        };
        // A client that does not read has no use for the reason.
        let _ = match end {
            End::Refused(reason) => {
                tracing::warn!(reason, "sidecar refused");
                self.sidecars.stats().attaches_refused.add(1);
                self.reply(Reply::Refused(proto::Refused { reason }))
            }
            End::Failed(status) => {
                tracing::debug!(%status, "attach stream ended");
                self.replies.try_send(Err(status)).map_err(drop)
            }
            End::Silent => Ok(()),
        };
    }

    async fn hello(&mut self) -> Result<Attached, End> {
        let first = tokio::select! {
            // The end first: nobody who has not said who it is holds up a stop.
            biased;
            () = self.drain.draining() => return Err(End::Silent),
            first = tokio::time::timeout(HELLO_TIMEOUT, self.said.message()) => first,
        };
        let Ok(Ok(Some(proto::AttachRequest { message: Some(Said::Hello(hello)) }))) = first else {
            return Err(End::Failed(Status::invalid_argument("the first message is to be a Hello")));
        };
        let name = format!("{}/{}", hello.node, hello.sidecar_id);
        if name.len() > NAME_BYTES_MAX || hello.node.is_empty() || hello.sidecar_id.is_empty() {
            return Err(End::Refused("node and sidecar_id: 1 to 255 bytes each".to_owned()));
        }
        let wanted = hello.instance.map(|instance| convert::wanted(&hello.node, instance)).transpose();
        let wanted = wanted.map_err(|reason| End::Refused(format!("instance.{reason}")))?;
        let said = Introduced {
            node: hello.node,
            id: hello.sidecar_id,
            version: convert::clip(hello.version),
            incarnation: hello.incarnation,
            instance: wanted.as_ref().map(|one| one.registration.key.to_string()),
            admin_address: convert::clip(hello.admin_address),
        };
        let guard = self.sidecars.attach(&name, said).map_err(|held| End::Refused(held.to_string()))?;
        let lease = match wanted {
            Some(one) => {
                let attach =
                    self.registry.attach(one.registration, hello.incarnation, one.health, one.reason);
                Some(attach.await.map_err(End::from)?)
            }
            None => None,
        };
        self.welcome()?;
        tracing::info!(sidecar = name, "sidecar attached");
        Ok(Attached { name, guard, lease })
    }

    fn welcome(&self) -> Result<(), End> {
        self.reply(Reply::Welcome(proto::Welcome {
            store_id: self.store_id.to_string(),
            lease_ms: millis(LEASE_DEFAULT),
            heartbeat_ms: millis(HEARTBEAT),
            control_plane_version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
        .map_err(|()| End::Silent)
    }

    async fn serve(&mut self, mut attached: Attached) -> End {
        loop {
            let said = tokio::select! {
                // The end first: a sidecar that talks all the time must still be let go.
                biased;
                () = self.drain.draining() => return End::Silent,
                () = attached.guard.end.cancelled() => {
                    return End::Refused(format!("{} is attached by another stream now", attached.name));
                }
                said = tokio::time::timeout(SILENCE_MAX, self.said.message()) => said,
            };
            let message = match said {
                Ok(Ok(Some(request))) => request.message,
                Ok(Ok(None)) => return End::Silent,
                Ok(Err(status)) => return End::Failed(status),
                Err(_) => return End::Failed(Status::deadline_exceeded("no heartbeat came")),
            };
            match message {
                Some(Said::Heartbeat(heartbeat)) => {
                    if let Err(end) = self.heartbeat(&attached, &heartbeat) {
                        return end;
                    }
                }
                Some(Said::Health(report)) => {
                    if let Err(end) = health(&attached, report).await {
                        return end;
                    }
                }
                Some(Said::Deregister(_)) => return deregister(&mut attached).await,
                // A second Hello changes nothing; what a later version says is skipped.
                Some(Said::Hello(_)) | None => {}
            }
        }
    }

    fn heartbeat(&self, attached: &Attached, heartbeat: &proto::Heartbeat) -> Result<(), End> {
        if attached.lease.as_ref().is_some_and(|lease| !lease.renew()) {
            // Either another holds the id now, which the next Hello will be told, or the instance was
            // removed, and the next Hello brings it back.
            return Err(End::Failed(Status::aborted("the lease is no longer held by this stream")));
        }
        let services = self.sidecars.compare(&attached.name, heartbeat);
        if !services.is_empty() {
            self.sidecars.stats().resyncs.add(services.len());
            tracing::warn!(
                sidecar = attached.name,
                ?services,
                "sidecar holds something else, asking it to sync"
            );
            self.reply(Reply::Resync(proto::Resync { services })).map_err(|()| End::Silent)?;
        }
        let sequence = heartbeat.sequence;
        self.reply(Reply::HeartbeatAck(proto::HeartbeatAck { sequence })).map_err(|()| End::Silent)
    }

    fn reply(&self, reply: Reply) -> Result<(), ()> {
        self.replies.try_send(Ok(proto::AttachResponse { message: Some(reply) })).map_err(drop)
    }
}

async fn health(attached: &Attached, report: proto::HealthReport) -> Result<(), End> {
    let Some(lease) = &attached.lease else { return Ok(()) };
    let health = convert::read_health(report.health).map_err(|reason| End::Failed(invalid(reason)))?;
    lease.report(health, convert::clip(report.reason)).await.map_err(End::from)
}

async fn deregister(attached: &mut Attached) -> End {
    let Some(lease) = attached.lease.take() else { return End::Silent };
    match lease.deregister().await {
        Ok(()) => {
            tracing::info!(sidecar = attached.name, "instance deregistered");
            End::Silent
        }
        Err(error) => End::from(error),
    }
}

fn invalid(reason: String) -> Status {
    Status::invalid_argument(reason)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<RegistryError> for End {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::OldIncarnation { .. } | RegistryError::Limit { .. } => {
                Self::Refused(error.to_string())
            }
            _ => Self::Failed(Status::unavailable(error.to_string())),
        }
    }
}
