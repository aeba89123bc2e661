//! What each method does, and to whom it may be said. One file a class; here is who may say what when.
//!
//! ```text
//!  frame ─▶ input ─▶ methods ─▶ channel | exchange | queue | basic | ack | tx ─▶ topology, queues, store
//!                       │ Refusal: channel.close or connection.close
//! ```

use super::{
    Vhost,
    channel::ChannelState,
    refuse::{self, Refusal},
    session::{SessionId, SessionState},
};
use crate::{
    access::permission::{Action, Resource},
    amqp::{
        method::{Access, Basic, Channel, Confirm, Method, access, channel, confirm},
        reply::ReplyCode,
    },
    queue::Address,
};

mod ack;
mod basic;
mod connection;
mod exchange;
mod queue;
mod tx;

impl Vhost {
    /// A method without content has come.
    pub(super) fn method(&mut self, at: Address, method: &Method<'_>) {
        if let Err(refusal) = self.try_method(at, method) {
            self.refuse(at, &refusal.or_by(method.ids()));
        }
    }

    pub(super) fn try_method(&mut self, at: Address, method: &Method<'_>) -> Result<(), Refusal> {
        let Some(session) = self.sessions.one(at.session) else { return Ok(()) };
        if let (Method::Connection(method), 0) = (method, at.channel) {
            return self.connection_method(at, method);
        }
        if session.state != SessionState::Open {
            return Ok(());
        }
        if at.channel == 0 {
            return Err(refuse::unexpected());
        }
        let state = session.channel(at.channel).map(|channel| channel.state);
        match (state, method) {
            (None, Method::Channel(Channel::Open(_))) => self.open_channel(at),
            (None, _) => Err(Refusal::new(ReplyCode::ChannelError, "expected 'channel.open'")),
            (Some(ChannelState::Closing), Method::Channel(Channel::CloseOk(_))) => {
                self.forget_channel(at);
                Ok(())
            }
            (Some(ChannelState::Closing), Method::Channel(Channel::Close(_))) => {
                self.answer(at, |number, out| channel::CloseOk {}.encode(number, out));
                Ok(())
            }
            (Some(ChannelState::Closing), _) => Ok(()),
            (Some(ChannelState::Open), Method::Channel(Channel::Open(_))) => {
                Err(Refusal::new(ReplyCode::ChannelError, "second 'channel.open' seen"))
            }
            (Some(ChannelState::Open), method) => self.open_method(at, method),
        }
    }

    fn open_method(&mut self, at: Address, method: &Method<'_>) -> Result<(), Refusal> {
        match method {
            Method::Channel(method) => self.channel_method(at, method),
            Method::Access(Access::Request(_)) => {
                self.answer(at, |number, out| access::RequestOk { ticket: 1 }.encode(number, out));
                Ok(())
            }
            Method::Exchange(method) => self.exchange_method(at, method),
            Method::Queue(method) => self.queue_method(at, method),
            Method::Basic(
                Basic::Ack(_)
                | Basic::Nack(_)
                | Basic::Reject(_)
                | Basic::Recover(_)
                | Basic::RecoverAsync(_),
            ) => {
                let Method::Basic(method) = method else { return Ok(()) };
                self.ack_method(at, method)
            }
            Method::Basic(method) => self.basic_method(at, method),
            Method::Confirm(Confirm::Select(select)) => {
                self.select_confirms(at)?;
                if !select.no_wait {
                    self.answer(at, |number, out| confirm::SelectOk {}.encode(number, out));
                }
                Ok(())
            }
            Method::Tx(method) => self.tx_method(at, method),
            Method::Access(_) | Method::Confirm(_) | Method::Connection(_) => Err(refuse::unimplemented()),
        }
    }

    fn channel_method(&mut self, at: Address, method: &Channel<'_>) -> Result<(), Refusal> {
        match method {
            // As RabbitMQ: prefetch is what holds deliveries back.
            Channel::Flow(flow) if !flow.active => {
                Err(Refusal::new(ReplyCode::NotImplemented, "active=false"))
            }
            Channel::Flow(_) => {
                self.answer(at, |number, out| channel::FlowOk { active: true }.encode(number, out));
                Ok(())
            }
            Channel::Close(_) => {
                self.end_channel(at);
                self.answer(at, |number, out| channel::CloseOk {}.encode(number, out));
                Ok(())
            }
            Channel::FlowOk(_) | Channel::CloseOk(_) | Channel::Open(_) | Channel::OpenOk(_) => {
                Err(refuse::unimplemented())
            }
        }
    }

    fn open_channel(&mut self, at: Address) -> Result<(), Refusal> {
        let Some(session) = self.sessions.one_mut(at.session) else { return Ok(()) };
        let (open, channel_max) = (session.channel_count(), session.info.channel_max);
        // RabbitMQ counts channels, whatever their numbers; and it names no method.
        if channel_max != 0 && open >= usize::from(channel_max) {
            let text = format!(
                "number of channels opened ({open}) has reached the negotiated channel_max ({channel_max})"
            );
            self.refuse(at, &Refusal::new(ReplyCode::NotAllowed, text));
            return Ok(());
        }
        let (counted, open) = session.info.user_channels.open();
        self.access
            .open_channel(&session.info.user.name, open)
            .map_err(|refused| refuse::access(&refused))?;
        session.open_channel(at.channel, counted);
        self.stats.channels_opened += 1;
        self.answer(at, |number, out| channel::OpenOk {}.encode(number, out));
        Ok(())
    }

    /// Whether the user of a connection may do this.
    pub(super) fn check(
        &mut self,
        id: SessionId,
        action: Action,
        resource: Resource<'_>,
    ) -> Result<(), Refusal> {
        let Some(session) = self.sessions.one_mut(id).filter(|session| !session.is_trusted) else {
            return Ok(());
        };
        let user = &session.info.user.name;
        let rights = &mut session.rights;
        let checked = self.access.check_cached(user, &self.name, action, resource, rights);
        checked.map_err(|refused| refuse::access(&refused))
    }

    /// Whether the user of a connection may use a topic exchange with this key.
    pub(super) fn check_topic(
        &self,
        id: SessionId,
        action: Action,
        exchange: &str,
        routing_key: &str,
    ) -> Result<(), Refusal> {
        let Some(session) = self.sessions.one(id).filter(|session| !session.is_trusted) else {
            return Ok(());
        };
        let user = &session.info.user.name;
        let checked = self.access.check_topic(user, &self.name, action, exchange, routing_key);
        checked.map_err(|refused| refuse::access(&refused))
    }
}
