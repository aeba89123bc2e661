//! Messages that an exchange holds until they are due: `x-delayed-message`, with the header `x-delay`.
//!
//! They are kept in a queue of their own that nobody sees: what is stored survives, and what is far from due needs no
//! memory but its time. A due message leaves it in the same atomic step of the log in which it enters its queues.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
    sync::Arc,
};

use super::{
    Loaded, Vhost, carbon, expiration, records, store,
    timers::TimerKey,
    turn::{Purpose, Want},
};
use crate::{
    amqp::{properties, table::RawTable, value::FieldValue},
    exchange::{self, ExchangeId, QueueId, header::NoHeaders, message::Delay},
    log::{
        index::QueueIndex,
        position::Position,
        record::{MessageFlags, Target},
    },
    message::{Message, Parts, Traits},
    queue::{Entry, Seq},
};

/// Bytes of messages that wait in memory; the others are read when they are due.
const WARM_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Due messages that are read at once.
const READING_MAX: usize = 512;

/// What one exchange holds.
#[derive(Debug)]
pub(super) struct Held {
    exchange: Rc<str>,
    number: u32,
    durable: bool,
    next_seq: Seq,
    pub(super) index: QueueIndex,
    /// By when they are due.
    due: BTreeMap<(u64, Seq), Option<Arc<Message>>>,
    warm_bytes: usize,
    /// Due ones that are being read.
    reading: usize,
    /// Of those before this, which the last process held, the due times are read again.
    restored_to: Seq,
}

/// All that is held, by the number that stands for the exchange in timers and in the log.
#[derive(Debug, Default)]
pub(super) struct Delayed {
    held: HashMap<u32, Held>,
    numbers: HashMap<Rc<str>, u32>,
}

impl Delayed {
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Held)> {
        self.held.iter().map(|(number, held)| (*number, held))
    }

    pub(super) fn one_mut(&mut self, number: u32) -> Option<&mut Held> {
        self.held.get_mut(&number)
    }

    /// The numbers of exchanges whose messages outlive a restart.
    pub(super) fn durable_numbers(&self) -> impl Iterator<Item = (&str, u32)> {
        self.held.values().filter(|held| held.durable).map(|held| (&*held.exchange, held.number))
    }

    /// Messages that an exchange holds.
    pub(super) fn count(&self, exchange: &str) -> u64 {
        let held = self.numbers.get(exchange).and_then(|number| self.held.get(number));
        held.map_or(0, |held| held.due.len() as u64)
    }
}

impl Held {
    pub(super) fn next_seq(&self) -> Seq {
        self.next_seq
    }

    pub(super) fn restored_to(&self) -> Seq {
        self.restored_to
    }
}

impl Vhost {
    /// Keeps a message where routing met an exchange that holds it; up to where it is stored.
    pub(super) fn hold_where_delayed(
        &mut self,
        message: &Arc<Message>,
        headers: Option<RawTable<'_>>,
    ) -> Option<Position> {
        let mut stored = None;
        for at in 0..self.routed.delays().len() {
            if let Some(delay) = self.routed.delays().get(at).copied() {
                stored = stored.max(self.hold(message, headers, delay));
            }
        }
        stored
    }

    /// Keeps a message until it is due; up to where it is stored.
    fn hold(
        &mut self,
        message: &Arc<Message>,
        headers: Option<RawTable<'_>>,
        delay: Delay,
    ) -> Option<Position> {
        let message = &unblinded(message, headers);
        let exchange = self.topology.exchange(delay.exchange)?;
        let (name, durable): (Rc<str>, bool) = (exchange.name().into(), exchange.attributes().durable);
        let number = self.holder_of(&name, durable);
        let due_ms = self.now_ms.saturating_add(delay.delay_ms);
        let held = self.delayed.held.get_mut(&number)?;
        let seq = held.next_seq;
        held.next_seq += 1;
        let stores = held.durable && message.traits().persistent;
        if stores {
            let target = Target { queue: number, seq, flags: store::FLAG_EXPIRES };
            let position = self.store.message(message, due_ms, &[target], MessageFlags::PERSISTENT);
            let entry = entry_of(seq, message, due_ms);
            held.index.insert(seq, store::slot_of(position, &entry));
        }
        let keeps = !stores || held.warm_bytes < WARM_BYTES_MAX;
        if keeps {
            held.warm_bytes += message.footprint();
        }
        held.due.insert((due_ms, seq), keeps.then(|| Arc::clone(message)));
        self.set_delay_timer(number);
        stores.then(|| self.store.end())
    }

    /// The number under which an exchange's messages are held.
    fn holder_of(&mut self, exchange: &Rc<str>, durable: bool) -> u32 {
        if let Some(number) = self.delayed.numbers.get(exchange) {
            return *number;
        }
        let number = self.queues.next_number();
        if durable {
            self.store.declare(&records::delayed_key(exchange), Some(number.to_string().as_bytes()));
        }
        self.add_holder(exchange, number, durable);
        number
    }

    pub(super) fn add_holder(&mut self, exchange: &Rc<str>, number: u32, durable: bool) {
        let held = Held {
            exchange: Rc::clone(exchange),
            number,
            durable,
            next_seq: 1,
            index: QueueIndex::default(),
            due: BTreeMap::new(),
            warm_bytes: 0,
            reading: 0,
            restored_to: 0,
        };
        self.queues.was_used(number);
        self.delayed.held.insert(number, held);
        self.delayed.numbers.insert(Rc::clone(exchange), number);
    }

    /// What the log holds for it, as after a start: when each is due is read from it.
    pub(super) fn restore_holder(&mut self, number: u32, index: QueueIndex, next_seq: Seq) {
        let Some(held) = self.delayed.held.get_mut(&number) else { return };
        held.next_seq = next_seq.max(1);
        held.restored_to = held.next_seq;
        held.index = index;
        self.want_held(number, Purpose::DueTimes(0));
    }

    fn want_held(&mut self, number: u32, purpose: Purpose) {
        self.turn.wants.push(Want::new(QueueId(u32::MAX), number, purpose));
    }

    /// An exchange is gone, and what it held with it.
    pub(super) fn forget_delayed(&mut self, exchange: &str) {
        let Some(number) = self.delayed.numbers.remove(exchange) else { return };
        let Some(held) = self.delayed.held.remove(&number) else { return };
        self.store.release(&held.index);
        if held.durable {
            self.store.forget(number);
            self.store.declare(&records::delayed_key(exchange), None);
        }
        self.timers.set(TimerKey::Delayed(number), None);
    }

    fn set_delay_timer(&mut self, number: u32) {
        let first = self.delayed.held.get(&number).and_then(|held| held.due.keys().next());
        self.timers.set(TimerKey::Delayed(number), first.map(|(due_ms, _)| *due_ms));
    }

    /// Sends on what is due.
    pub(super) fn release_due(&mut self, number: u32) {
        while let Some(held) = self.delayed.held.get_mut(&number) {
            let Some((&(due_ms, seq), warm)) =
                held.due.first_key_value().filter(|((due, _), _)| *due <= self.now_ms)
            else {
                break;
            };
            if warm.is_none() && held.reading >= READING_MAX {
                // What is read now calls again.
                return;
            }
            match held.due.remove(&(due_ms, seq)) {
                Some(Some(message)) => {
                    held.warm_bytes = held.warm_bytes.saturating_sub(message.footprint());
                    self.release(number, seq, &message);
                }
                _ => {
                    held.reading += 1;
                    self.want_held(number, Purpose::Delayed(seq));
                }
            }
        }
        self.set_delay_timer(number);
    }

    /// One that is due has been read.
    pub(super) fn due_loaded(&mut self, number: u32, seq: Seq, found: Option<(Arc<Message>, u64)>) {
        let Some(held) = self.delayed.held.get_mut(&number) else { return };
        let was_full = held.reading >= READING_MAX;
        held.reading = held.reading.saturating_sub(1);
        self.delayed_loaded(number, seq, found);
        if was_full {
            self.release_due(number);
        }
    }

    /// Some were read to know when they are due; which ones follow, none at the end.
    pub(super) fn due_times_loaded(&mut self, number: u32, loaded: Vec<Loaded>) -> Option<Seq> {
        let last = loaded.last()?.seq;
        for Loaded { seq, message } in loaded {
            self.delayed_loaded(number, seq, message.ok());
        }
        Some(last + 1)
    }

    /// A held message has been read: it is sent on if it is due, or waits on.
    fn delayed_loaded(&mut self, number: u32, seq: Seq, found: Option<(Arc<Message>, u64)>) {
        let Some(held) = self.delayed.held.get_mut(&number) else { return };
        if held.index.slot(seq).is_none() {
            return;
        }
        match found {
            Some((message, due_ms)) if due_ms <= self.now_ms => self.release(number, seq, &message),
            Some((_, due_ms)) => {
                held.due.insert((due_ms, seq), None);
                self.set_delay_timer(number);
            }
            None => {
                tracing::error!(
                    vhost = &*self.name,
                    exchange = &*held.exchange,
                    seq,
                    "a delayed message cannot be read and is dropped"
                );
                self.settle_held(number, seq);
            }
        }
    }

    fn release(&mut self, number: u32, seq: Seq, message: &Arc<Message>) {
        let Some(name) = self.delayed.held.get(&number).map(|held| Rc::clone(&held.exchange)) else { return };
        self.store.begin_chain();
        if let Some(id) = self.topology.find(&name) {
            let view = properties::PropertiesView::parse(message.properties()).unwrap_or_default();
            let headers = view.headers.and_then(|raw| raw.decode().ok());
            let copies = carbon::kept(headers.as_ref());
            let keys: Vec<&str> =
                std::iter::once(message.routing_key()).chain(copies.iter().map(String::as_str)).collect();
            let headers: &dyn exchange::header::HeaderView = match &headers {
                Some(headers) => headers,
                None => &NoHeaders,
            };
            self.route_due(id, &keys, headers, view.headers);
            let fate = self.place(&released(message, self.now_ms), view.headers);
            tracing::trace!(vhost = &*self.name, exchange = &*name, ?fate, "a delayed message is due");
        }
        self.settle_held(number, seq);
        self.store.end_chain();
    }

    fn route_due(
        &mut self,
        start: ExchangeId,
        keys: &[&str],
        headers: &dyn exchange::header::HeaderView,
        raw: Option<RawTable<'_>>,
    ) {
        let seen = self.windows.seen(raw, self.now_ms);
        let due = exchange::message::Message { keys, headers, seen: &seen };
        self.topology.route_due(start, &due, &mut self.routed);
    }

    fn settle_held(&mut self, number: u32, seq: Seq) {
        if let Some(held) = self.delayed.held.get_mut(&number)
            && let Some(slot) = held.index.settle(seq)
        {
            self.store.settle(held.number, seq, slot);
        }
    }
}

/// As it is held: with the keys that it does not show, for it is not routed yet.
fn unblinded(message: &Arc<Message>, headers: Option<RawTable<'_>>) -> Arc<Message> {
    match carbon::unblinded(message.properties(), headers) {
        Some(properties) => {
            with_properties(message, &properties, message.traits(), message.published_at_ms())
        }
        None => Arc::clone(message),
    }
}

/// As it is delivered: its delay is told as over, as the plugin for RabbitMQ tells it, and its time to live begins.
fn released(message: &Arc<Message>, now_ms: u64) -> Arc<Message> {
    let mut expiration_ms = None;
    let rewritten = properties::rewrite(message.properties(), |properties| {
        expiration_ms = properties.expiration.as_deref().and_then(|text| expiration::parse(text).ok());
        let Some(headers) = &mut properties.headers else { return };
        carbon::blind(headers);
        if let Some(delay) = headers.find(exchange::delayed::HEADER).and_then(FieldValue::as_integer) {
            headers.set(exchange::delayed::HEADER, FieldValue::I64(delay.saturating_neg()));
        }
    });
    match rewritten {
        Ok(properties) => {
            let traits = Traits { expiration_ms, ..message.traits() };
            with_properties(message, &properties, traits, now_ms)
        }
        Err(_) => Arc::clone(message),
    }
}

fn with_properties(message: &Message, properties: &[u8], traits: Traits, at_ms: u64) -> Arc<Message> {
    let parts = Parts { properties, ..message.parts() };
    Message::new(parts, message.body_bytes(), traits, at_ms)
}

fn entry_of(seq: Seq, message: &Message, due_ms: u64) -> Entry {
    Entry { seq, expires_at_ms: due_ms, size: message.body_size(), stored: true, ..Entry::default() }
}
