//! Messages that die: dropped, or sent on through the dead-letter exchange, or parked. A dead message leaves its
//! queue in the same atomic step of the log in which it enters the next ones.

use std::{rc::Rc, sync::Arc};

use super::{
    Vhost, carbon,
    death::{self, Death, Reason},
    dispatch::settle,
    seen::Identity,
    turn::{Purpose, Want},
};
use crate::{
    amqp::properties::{self, PropertiesError, PropertiesView},
    exchange::{self, QueueId},
    log::position::Position,
    message::{Message, Parts, Traits},
    policy::queue_settings::DeadLetterStrategy,
    queue::Entry,
};

/// The queue of the virtual host for messages that must not be dropped, and have no dead-letter exchange or one that leads
/// nowhere.
pub const PARKED_QUEUE: &str = "weft.parked";

/// Messages that die at once, or that are read for it: who has more of them waits.
pub(super) const DYING_MAX: usize = 512;

/// A message that dies.
#[derive(Debug)]
pub(super) struct Dead {
    /// In this queue.
    pub(super) queue: QueueId,
    /// Of this number in the log.
    pub(super) number: u32,
    /// Itself.
    pub(super) entry: Entry,
    /// Why.
    pub(super) reason: Reason,
}

/// Where it goes.
struct Onward {
    queue: Rc<str>,
    exchange: Rc<str>,
    routing_key: Option<Rc<str>>,
    /// Where no queue takes it, it is parked.
    must_arrive: bool,
}

impl Vhost {
    /// Sends a dead message on, or drops it.
    pub(super) fn bury(&mut self, dead: Dead) {
        let Some(queue) = self.queues.numbered_mut(dead.queue, dead.number) else { return };
        if dead.reason == Reason::Expired {
            queue.stats.expired += 1;
        }
        let is_parked = &**queue.name() == PARKED_QUEUE;
        let must_arrive = !is_parked
            && (dead.reason == Reason::DeliveryLimit
                || queue.settings.dead_letter_strategy == DeadLetterStrategy::AtLeastOnce);
        let onward = match (&queue.settings.dead_letter_exchange, dead.reason) {
            (Some(exchange), _) => Some(Onward {
                queue: Rc::clone(queue.name()),
                exchange: Rc::from(&**exchange),
                routing_key: queue.settings.dead_letter_routing_key.as_deref().map(Rc::from),
                must_arrive,
            }),
            // Over the delivery limit: parked, never dropped.
            (None, Reason::DeliveryLimit) if !is_parked => Some(Onward {
                queue: Rc::clone(queue.name()),
                exchange: "".into(),
                routing_key: Some(PARKED_QUEUE.into()),
                must_arrive,
            }),
            (None, _) => None,
        };
        let Some(onward) = onward else {
            settle(queue, &mut self.store, &dead.entry);
            return;
        };
        let Some(message) = dead.entry.message.clone() else {
            let want = Want::new(dead.queue, dead.number, Purpose::Dead(dead.entry.seq));
            self.turn.wants.push(want);
            self.limbo.insert((dead.number, dead.entry.seq), dead);
            return;
        };
        queue.stats.dead_lettered += 1;
        if onward.routing_key.as_deref() == Some(PARKED_QUEUE) && onward.exchange.is_empty() {
            self.parked_queue();
        }
        self.send_on(&dead, &message, &onward);
    }

    fn send_on(&mut self, dead: &Dead, message: &Message, onward: &Onward) {
        let Ok(dying) = dying(message, dead.reason, onward, self.now_ms) else {
            self.settle_dead(dead);
            return;
        };
        let mut targets = self.route_dead(&dying, dead.reason);
        self.leave_out_refusing(&dying, &mut targets);
        let is_held = !self.routed.delays().is_empty();
        if targets.is_empty() && !is_held && onward.must_arrive {
            targets.extend(self.parked_queue());
        }
        self.store.begin_chain();
        self.hold_where_delayed(&dying, None);
        let stored = self.put(&dying, &targets);
        self.remember_dead(&dying, &targets, stored);
        self.settle_dead(dead);
        self.store.end_chain();
    }

    /// Who has had a message with an identity does not take it again.
    fn remember_dead(&mut self, dying: &Message, targets: &[QueueId], stored: Option<Position>) {
        let view = PropertiesView::parse(dying.properties()).unwrap_or_default();
        if let Some(identity) = Identity::of(view.headers) {
            self.remember(&identity, targets, (stored, dying.traits().persistent));
        }
    }

    /// The queues of a dead message, without those that would see it for ever.
    fn route_dead(&mut self, dying: &Message, reason: Reason) -> Vec<QueueId> {
        let view = PropertiesView::parse(dying.properties()).unwrap_or_default();
        let headers = view.headers.and_then(|table| table.decode().ok());
        let start = match dying.exchange() {
            "" => Ok(exchange::topology::DEFAULT),
            name => self.topology.passive(name),
        };
        match start {
            Ok(start) => {
                let copies = carbon::kept(headers.as_ref());
                self.route_raw(start, dying.routing_key(), &copies, view.headers);
            }
            Err(_) => self.routed.clear(),
        }
        let routed = self.routed.queues();
        let keeps = |id: &QueueId| {
            let name = self.queues.one(*id).map(|queue| queue.name());
            name.is_some_and(|name| !death::is_cycle(headers.as_ref(), name, reason))
        };
        routed.iter().copied().filter(keeps).collect()
    }

    fn settle_dead(&mut self, dead: &Dead) {
        if let Some(queue) = self.queues.numbered_mut(dead.queue, dead.number) {
            settle(queue, &mut self.store, &dead.entry);
        }
    }

    /// A dead message whose text has been read; none if it cannot be.
    pub(super) fn exhume(&mut self, number: u32, seq: u64, message: Option<Arc<Message>>) {
        let Some(mut dead) = self.limbo.remove(&(number, seq)) else { return };
        if message.is_none() {
            tracing::error!(
                vhost = &*self.name,
                queue = number,
                seq,
                "a dead message cannot be read and is dropped"
            );
            self.settle_dead(&dead);
            return self.call_crowd();
        }
        dead.entry.message = message;
        self.turn.dead.push_back(dead);
        self.call_crowd();
    }

    /// How many die now.
    pub(super) fn dying(&self) -> usize {
        self.limbo.len() + self.turn.dead.len()
    }

    /// A queue has more to bury than can be now: it is looked after again when there is room.
    pub(super) fn wait_for_burial(&mut self, id: QueueId) {
        if let Some(queue) = self.queues.one_mut(id)
            && !std::mem::replace(&mut queue.is_crowded, true)
        {
            self.crowd.push(id);
        }
    }

    pub(super) fn call_crowd(&mut self) {
        if self.limbo.len() < DYING_MAX {
            for id in std::mem::take(&mut self.crowd) {
                if let Some(queue) = self.queues.one_mut(id) {
                    queue.is_crowded = false;
                }
                self.touch(id);
            }
        }
    }

    /// Buries all that is dead by now.
    pub(super) fn bury_all(&mut self) {
        while let Some(dead) = self.turn.dead.pop_front() {
            self.bury(dead);
        }
        self.call_crowd();
    }
}

/// A message as it is sent on.
fn dying(
    message: &Message,
    reason: Reason,
    onward: &Onward,
    now_ms: u64,
) -> Result<Arc<Message>, PropertiesError> {
    let view = PropertiesView::parse(message.properties())?;
    let headers = view.headers.and_then(|table| table.decode().ok());
    let copies = carbon::kept(headers.as_ref());
    let routing_keys: Vec<&str> =
        std::iter::once(message.routing_key()).chain(copies.iter().map(String::as_str)).collect();
    let death = Death {
        queue: &onward.queue,
        reason,
        exchange: message.exchange(),
        routing_keys: &routing_keys,
        expiration: view.expiration.and_then(|bytes| std::str::from_utf8(bytes).ok()),
        at: now_ms / 1000,
    };
    let properties = with_death(message, &death, onward.routing_key.is_some())?;
    let routing_key = onward.routing_key.as_deref().unwrap_or_else(|| message.routing_key());
    let parts = Parts { exchange: &onward.exchange, routing_key, properties: &properties };
    let traits = Traits { expiration_ms: None, has_died: true, ..message.traits() };
    Ok(Message::new(parts, message.body_bytes(), traits, now_ms))
}

/// The properties of a message that tell of its death, without its time to live; without `CC` where it has a new key.
fn with_death(message: &Message, death: &Death<'_>, has_new_key: bool) -> Result<Vec<u8>, PropertiesError> {
    properties::rewrite(message.properties(), |properties| {
        properties.expiration = None;
        let headers = properties.headers.get_or_insert_default();
        if !message.traits().has_died {
            death::forget(headers);
        }
        death::record(headers, death);
        if has_new_key {
            headers.remove("CC");
        }
    })
}
