//! How a request becomes a client of a virtual host for as long as it takes.

use std::net::SocketAddr;

use super::{answer::Failure, request::Request};
use crate::{
    access::UserRef,
    amqp::{
        frame::FRAME_MAX_UNLIMITED, method::Method, reply::Refusal, table::encode_table, value::FieldTable,
    },
    server::{VhostHandle, clock::now_ms},
    vhost::{SessionId, SessionInfo, UserChannels, VISIT_CHANNEL, Vhost},
};

/// Who visits.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    user: UserRef,
    peer: SocketAddr,
    local: SocketAddr,
    is_trusted: bool,
}

impl Visitor {
    /// Who asks, with its own rights.
    pub(super) fn of(request: &Request) -> Self {
        Self { user: request.user.clone(), peer: request.peer, local: request.local, is_trusted: false }
    }

    /// The same with all rights: an administrator who imports.
    pub(super) fn trusted(request: &Request) -> Self {
        Self { is_trusted: true, ..Self::of(request) }
    }

    fn info(&self) -> SessionInfo {
        SessionInfo {
            user: self.user.clone(),
            // A visit is a moment: it counts for itself.
            user_channels: UserChannels::default(),
            peer: self.peer,
            local: self.local,
            frame_max: FRAME_MAX_UNLIMITED,
            channel_max: VISIT_CHANNEL,
            heartbeat: 0,
            mechanism: "management".to_owned(),
            client_properties: FieldTable::new(),
            connected_at_ms: now_ms(),
        }
    }

    /// Comes in.
    pub(super) fn enter(&self, vhost: &mut Vhost) -> Result<SessionId, Refusal> {
        vhost.visit(self.info(), self.is_trusted, now_ms())
    }

    /// Does something as a client, and goes.
    pub(super) fn visit<T>(
        &self,
        vhost: &mut Vhost,
        work: impl FnOnce(&mut Vhost, SessionId) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let id = self.enter(vhost)?;
        let outcome = work(vhost, id);
        vhost.leave(id, now_ms());
        outcome
    }
}

/// Does something in a virtual host as who asks; the answer comes when it is safe on the disk.
pub(super) async fn as_user<T: Send + 'static>(
    vhost: &VhostHandle,
    request: &Request,
    work: impl FnOnce(&mut Vhost, SessionId) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Failure> {
    let visitor = Visitor::of(request);
    let outcome = vhost.change(move |vhost| visitor.visit(vhost, work)).await?;
    outcome.map_err(Failure::from)
}

/// Says one method.
pub(super) fn say(vhost: &mut Vhost, id: SessionId, method: &Method<'_>) -> Result<(), Refusal> {
    vhost.say(id, method, now_ms())
}

/// Arguments as methods take them.
pub(super) fn wire(arguments: &FieldTable) -> Vec<u8> {
    encode_table(arguments)
}
