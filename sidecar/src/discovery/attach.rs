//! The `Attach` stream: registers the instance, renews its lease, carries its health and the digests of what
//! is held, and takes the instance out again.
//!
//! ```text
//!            Hello            Welcome
//!  detached ───────▶ opening ────────▶ attached ──▶ leaving: Deregister, then attached without instance
//!     ▲                 │ Refused          │ ended
//!     └─────────────────┴──────────────────┘ (a longer wait each time, up to 5 s, for ever)
//! ```

mod identity;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status as RpcStatus, Streaming, transport::Channel};
use weft_proto::weft::v1::{
    self as proto, attach_request::Message as Say, attach_response::Message as Heard, mesh_client::MeshClient,
};

use super::{
    Command, Status,
    link::{BACKOFF, GOOD_AFTER},
};
use crate::run::AppHealth;
pub(super) use identity::Identity;

/// How long the control plane may take to answer a Hello.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to end the stream after a Deregister.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(900);
/// Bounds of the heartbeat that a control plane may ask for.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
const HEARTBEAT_MAX: Duration = Duration::from_secs(30);
/// Messages waiting to be written, at most.
const MESSAGES_WAITING_MAX: usize = 16;

/// See the module.
pub(super) struct Attach {
    pub(super) identity: Identity,
    pub(super) channel: Channel,
    pub(super) health: watch::Receiver<AppHealth>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) status: Arc<watch::Sender<Status>>,
    /// True once the instance is to go.
    pub(super) leaving: watch::Receiver<bool>,
    /// Set when it is out of the registry, or nothing more can be done for that.
    pub(super) left: watch::Sender<bool>,
}

/// An open stream.
struct Session {
    say: mpsc::Sender<proto::AttachRequest>,
    heard: Streaming<proto::AttachResponse>,
    heartbeat: Duration,
    /// Whether the Hello named the instance.
    registered: bool,
}

impl Attach {
    /// For ever.
    pub(super) async fn run(mut self) {
        let (mut step, mut rng) = (0, fastrand::Rng::new());
        loop {
            let opened = Instant::now();
            let ended = match self.open().await {
                Ok(session) => self.attached(session).await,
                Err(status) => status,
            };
            self.lost(&ended);
            if opened.elapsed() >= GOOD_AFTER {
                step = 0;
            }
            tokio::time::sleep(BACKOFF.delay(step, &mut rng)).await;
            step = step.saturating_add(1);
        }
    }

    async fn open(&mut self) -> Result<Session, RpcStatus> {
        let leaving = *self.leaving.borrow_and_update();
        let health = self.health.borrow_and_update().clone();
        let hello = self.identity.hello(!leaving, health);
        let registered = hello.instance.is_some();
        let (say, outgoing) = mpsc::channel(MESSAGES_WAITING_MAX);
        send(&say, Say::Hello(hello))?;
        let mut client = MeshClient::new(self.channel.clone());
        let open = async {
            let mut heard = client.attach(ReceiverStream::new(outgoing)).await?.into_inner();
            let first = heard.message().await?.and_then(|response| response.message);
            Ok::<_, RpcStatus>((heard, first))
        };
        let (heard, first) = timeout(WELCOME_TIMEOUT, open)
            .await
            .map_err(|_| RpcStatus::deadline_exceeded("the control plane did not answer the Hello"))??;
        match first {
            Some(Heard::Welcome(welcome)) => {
                let heartbeat = Duration::from_millis(welcome.heartbeat_ms);
                let heartbeat = heartbeat.clamp(HEARTBEAT_MIN, HEARTBEAT_MAX);
                self.welcomed(welcome).await;
                Ok(Session { say, heard, heartbeat, registered })
            }
            Some(Heard::Refused(refused)) => Err(RpcStatus::already_exists(refused.reason)),
            _ => Err(RpcStatus::internal("the control plane answered the Hello with something else")),
        }
    }

    async fn welcomed(&self, welcome: proto::Welcome) {
        tracing::info!(
            store = welcome.store_id,
            control_plane = welcome.control_plane_version,
            "attached to the control plane"
        );
        self.status.send_modify(|status| {
            status.attached = true;
            status.over("attach: ");
        });
        // The agent ends with the drain, and this task too.
        let _ = self.commands.send(Command::Store(welcome.store_id.into())).await;
    }

    async fn attached(&mut self, mut session: Session) -> RpcStatus {
        let mut beat = tokio::time::interval(session.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sequence = 0;
        loop {
            let said = tokio::select! {
                // Leaving first: it is the last thing that callers wait for. Health before heartbeats:
                // callers act on it.
                biased;
                () = leave(&mut self.leaving), if session.registered => return self.leave(session).await,
                Ok(()) = self.health.changed() => {
                    let health = self.health.borrow_and_update().clone();
                    send(&session.say, Say::Health(identity::report(health)))
                }
                heard = session.heard.message() => match heard {
                    Ok(Some(response)) => self.on_message(response).await,
                    Ok(None) => Err(RpcStatus::unavailable("the control plane ended the stream")),
                    Err(status) => Err(status),
                },
                _ = beat.tick() => {
                    sequence += 1;
                    self.beat(&session.say, sequence).await
                }
            };
            if let Err(status) = said {
                return status;
            }
        }
    }

    async fn beat(&self, say: &mpsc::Sender<proto::AttachRequest>, sequence: u64) -> Result<(), RpcStatus> {
        let (reply, digests) = oneshot::channel();
        // Without an agent there is nothing to compare; the lease is renewed all the same.
        let _ = self.commands.send(Command::Digests(reply)).await;
        let heartbeat = digests.await.unwrap_or_default();
        send(say, Say::Heartbeat(proto::Heartbeat { sequence, ..heartbeat }))
    }

    async fn on_message(&self, response: proto::AttachResponse) -> Result<(), RpcStatus> {
        match response.message {
            Some(Heard::Resync(resync)) => {
                let _ = self.commands.send(Command::Resync(resync.services)).await;
                Ok(())
            }
            Some(Heard::Refused(refused)) => Err(RpcStatus::already_exists(refused.reason)),
            // What a later version says is skipped.
            Some(Heard::HeartbeatAck(_) | Heard::Welcome(_)) | None => Ok(()),
        }
    }

    /// Says goodbye and waits for the control plane to end the stream, which it does when the instance is
    /// out of the registry.
    async fn leave(&self, mut session: Session) -> RpcStatus {
        if send(&session.say, Say::Deregister(proto::Deregister {})).is_ok() {
            let ended = async { while let Ok(Some(_)) = session.heard.message().await {} };
            let _ = timeout(GOODBYE_TIMEOUT, ended).await;
        }
        self.left.send_replace(true);
        RpcStatus::ok("deregistered")
    }

    fn lost(&self, status: &RpcStatus) {
        if *self.leaving.borrow() {
            self.left.send_replace(true);
        }
        let trouble: Arc<str> = format!("attach: {}", status.message()).into();
        let news = self.status.send_if_modified(|now| {
            let news = now.attached || now.trouble.is_empty();
            (now.attached, now.trouble) = (false, trouble);
            news
        });
        if status.code() == tonic::Code::AlreadyExists {
            tracing::error!(reason = status.message(), "the control plane refuses this sidecar");
        } else if news && status.code() != tonic::Code::Ok {
            tracing::warn!(%status, "attach stream lost: trying again");
        }
    }
}

/// Ends when the instance is to go.
async fn leave(leaving: &mut watch::Receiver<bool>) {
    if leaving.wait_for(|leaving| *leaving).await.is_err() {
        // The handle is gone: nobody will ask for it any more.
        std::future::pending::<()>().await;
    }
}

fn send(say: &mpsc::Sender<proto::AttachRequest>, message: Say) -> Result<(), RpcStatus> {
    say.try_send(proto::AttachRequest { message: Some(message) })
        .map_err(|_| RpcStatus::unavailable("the control plane does not read"))
}
