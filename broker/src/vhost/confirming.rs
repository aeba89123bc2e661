//! What publishers are told: that a message came back, was refused, or is safe; many publishes with one word.

use std::sync::Arc;

use super::{Vhost, channel::Mode, confirms::Confirmation, publish::Fate, refuse::Refusal, wire};
use crate::{
    amqp::{
        method::basic::{Ack, Nack},
        reply::ReplyCode,
    },
    log::position::Position,
    message::Message,
    queue::Address,
};

impl Vhost {
    /// Confirms or refuses a publish, and returns it where it was mandatory and went nowhere.
    pub(super) fn settle_publish(
        &mut self,
        at: Address,
        tag: Option<u64>,
        fate: Fate,
        mandatory: bool,
        message: &Arc<Message>,
    ) {
        if fate == Fate::Unroutable {
            self.stats.unroutable += 1;
            if mandatory {
                self.give_back(at, message);
            }
        }
        self.confirm(at, tag, fate);
    }

    fn give_back(&mut self, at: Address, message: &Arc<Message>) {
        let Some(session) = self.sessions.one_mut(at.session) else { return };
        self.stats.returned += 1;
        if let Some(channel) = session.channel_mut(at.channel) {
            channel.counts.returned += 1;
        }
        let code = ReplyCode::NoRoute;
        wire::returned(session, at.channel, (code.number(), code.name()), message);
        self.turn.has_bytes(at.session, session);
    }

    /// Says what became of a publish in confirm mode, now or when it is safe.
    pub(super) fn confirm(&mut self, at: Address, tag: Option<u64>, fate: Fate) {
        let Some(tag) = tag else { return };
        let Some(session) = self.sessions.one_mut(at.session) else { return };
        let Some(channel) = session.channel_mut(at.channel) else { return };
        let Mode::Confirm(confirms) = &mut channel.mode else { return };
        if fate == Fate::Refused {
            // As RabbitMQ: all before it, unless one of them is still on its way.
            Nack { delivery_tag: tag, multiple: confirms.is_empty(), requeue: true }
                .encode(at.channel, session.outbox.buffer());
            self.turn.has_bytes(at.session, session);
            return;
        }
        let position = match fate {
            Fate::Placed(position) => position,
            Fate::Unroutable | Fate::Refused => None,
        };
        // Told at the end of the turn, many with one word.
        if confirms.is_empty() {
            self.unconfirmed.fresh.push(at);
        }
        confirms.wait(tag, position);
    }

    /// Tells publishers what is safe by now; many publishes with one word. Who waited before is looked at only when the
    /// log has got on.
    pub(super) fn tell_confirms(&mut self) {
        let durable = self.store.durable();
        let mut all = std::mem::take(&mut self.unconfirmed.fresh);
        if durable > self.unconfirmed.told {
            self.unconfirmed.told = durable;
            all.append(&mut self.unconfirmed.waiting);
        }
        for at in all {
            let Some(session) = self.sessions.one_mut(at.session) else { continue };
            let Some(channel) = session.channel_mut(at.channel) else { continue };
            let Mode::Confirm(confirms) = &mut channel.mode else { continue };
            let told = confirms.durable(durable);
            let waits = !confirms.is_empty();
            if let Some(Confirmation { tag, multiple, count }) = told {
                channel.counts.confirmed += count;
                self.stats.confirmed += count;
                Ack { delivery_tag: tag, multiple }.encode(at.channel, session.outbox.buffer());
                self.turn.has_bytes(at.session, session);
            }
            if waits {
                self.unconfirmed.waiting.push(at);
            }
        }
    }

    /// Nothing that waits can be promised any more: the log takes no more.
    pub(super) fn fail_confirms(&mut self) {
        let Unconfirmed { fresh, waiting, .. } = std::mem::take(&mut self.unconfirmed);
        for at in fresh.into_iter().chain(waiting) {
            let Some(session) = self.sessions.one_mut(at.session) else { continue };
            let Some(channel) = session.channel_mut(at.channel) else { continue };
            let Mode::Confirm(confirms) = &mut channel.mode else { continue };
            let failed: Vec<u64> = confirms.fail().collect();
            for delivery_tag in failed {
                let nack = Nack { delivery_tag, multiple: false, requeue: true };
                nack.encode(at.channel, session.outbox.buffer());
            }
            self.turn.has_bytes(at.session, session);
        }
        for (_, at) in std::mem::take(&mut self.commits) {
            self.refuse(at, &Refusal::new(ReplyCode::InternalError, "the message log failed"));
        }
    }
}

/// Channels whose confirms wait.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed {
    /// Those that began to wait in this turn.
    fresh: Vec<Address>,
    /// Those that wait for the log.
    waiting: Vec<Address>,
    /// Up to where all were told.
    told: Position,
}
