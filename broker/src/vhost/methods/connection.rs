//! `connection.…` once it is open: closing, and a new secret.

use crate::{
    amqp::method::{
        Connection,
        connection::{CloseOk, UpdateSecretOk},
    },
    queue::Address,
    vhost::{
        Vhost,
        refuse::{self, Refusal},
        session::SessionState,
    },
};

impl Vhost {
    pub(super) fn connection_method(&mut self, at: Address, method: &Connection<'_>) -> Result<(), Refusal> {
        let Some(session) = self.sessions.one_mut(at.session) else { return Ok(()) };
        match (session.state, method) {
            (_, Connection::Close(_)) => {
                session.state = SessionState::Closed;
                CloseOk {}.encode(0, session.outbox.buffer());
                self.turn.has_bytes(at.session, session);
                self.end_channels(at.session);
                Ok(())
            }
            (SessionState::Closing, Connection::CloseOk(_)) => {
                session.state = SessionState::Closed;
                self.turn.has_bytes(at.session, session);
                Ok(())
            }
            (SessionState::Closing | SessionState::Closed, _) => Ok(()),
            // The rights of a user are looked up with each use; there is no token whose time could run out.
            (SessionState::Open, Connection::UpdateSecret(_)) => {
                UpdateSecretOk {}.encode(0, session.outbox.buffer());
                self.turn.has_bytes(at.session, session);
                Ok(())
            }
            (SessionState::Open, _) => Err(refuse::unexpected()),
        }
    }
}
