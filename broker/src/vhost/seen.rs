//! Which messages a queue or an exchange has seen already, by the header `x-deduplication-header`: looked up before a
//! message goes into it, remembered with it, in one atomic step of the log where it is stored.

use std::collections::{BTreeMap, HashMap};

use super::{Vhost, records, store::Store};
use crate::{
    amqp::{
        table::{RawTable, view::ValueView},
        value::FieldValue,
    },
    exchange::{
        ExchangeId, QueueId,
        kind::{CACHE_SIZE, Kind},
        message::Seen,
        topology::Exchange,
    },
    log::position::Position,
    policy::queue_settings::DEDUPLICATION_CACHE_MAX,
    queue::dedup::Window,
};

/// The header that identifies a message.
const ID: &str = "x-deduplication-header";
/// The header with which a message says itself for how long it counts, milliseconds.
const TTL: &str = "x-cache-ttl";

/// The argument of an exchange that says for how long a message counts, milliseconds.
const CACHE_TTL: &str = "x-cache-ttl";

/// What deduplicating exchanges have seen.
#[derive(Debug, Default)]
pub(super) struct Windows(HashMap<ExchangeId, Window>);

/// What they have seen of one message.
struct SeenBy<'a> {
    windows: &'a Windows,
    identity: Option<Identity>,
    now_ms: u64,
}

impl Seen for SeenBy<'_> {
    fn has_passed(&self, exchange: ExchangeId) -> bool {
        let window = self.windows.0.get(&exchange);
        let seen = window.zip(self.identity.as_ref());
        seen.is_some_and(|(window, identity)| window.find(&identity.id, self.now_ms).is_some())
    }
}

impl Windows {
    /// What they know of a message with these headers.
    pub(super) fn seen<'a>(&'a self, headers: Option<RawTable<'_>>, now_ms: u64) -> impl Seen + 'a {
        let identity = if self.0.is_empty() { None } else { Identity::of(headers) };
        SeenBy { windows: self, identity, now_ms }
    }
}

/// What a message says of itself.
#[derive(Debug)]
pub(super) struct Identity {
    id: Vec<u8>,
    ttl_ms: Option<u64>,
}

/// Windows as the log keeps them: whose, the number of an entry, until when, identifier.
pub(super) type Kept = BTreeMap<(Whose, u64), (u64, Vec<u8>)>;

/// Whose window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    /// Of the queue with this number.
    Queue(u32),
    /// Of the exchange with this name.
    Exchange(String),
}

impl Identity {
    /// That of a message with these headers, if it has one.
    pub(super) fn of(headers: Option<RawTable<'_>>) -> Option<Self> {
        let headers = headers?;
        let decoded = |value: ValueView<'_>| value.decode().ok();
        let id = match headers.find(ID).and_then(decoded)? {
            FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => bytes.to_vec(),
            other => format!("{other:?}").into_bytes(),
        };
        let ttl = headers.find(TTL).and_then(decoded);
        let ttl_ms = ttl.and_then(|ttl| u64::try_from(ttl.as_integer()?).ok());
        Some(Self { id, ttl_ms })
    }
}

impl Vhost {
    /// Takes out the queues that have seen it; until where all that they saw is safe.
    pub(super) fn leave_out_repeated(
        &mut self,
        identity: &Identity,
        targets: &mut Vec<QueueId>,
    ) -> Option<Position> {
        let (queues, now_ms) = (&mut self.queues, self.now_ms);
        let mut safe_at = None;
        targets.retain(|target| {
            let Some(queue) = queues.one_mut(*target) else { return false };
            let seen = queue.dedup.as_ref().and_then(|window| window.find(&identity.id, now_ms));
            queue.stats.deduplicated += u64::from(seen.is_some());
            safe_at = safe_at.max(seen);
            seen.is_none()
        });
        safe_at
    }

    /// An exchange is gone: the next one of its name has seen nothing.
    pub(super) fn forget_window(&mut self, exchange: ExchangeId, name: &str) {
        let Some(window) = self.windows.0.remove(&exchange) else { return };
        let whose = Whose::Exchange(name.to_owned());
        for (entry, _) in window.iter().filter(|(_, taken)| taken.is_written) {
            self.store.declare(&records::seen_key(&whose, entry), None);
        }
    }

    /// When the first one of what exchanges have had before is safe.
    pub(super) fn repeated_safe_at(&self, identity: &Identity) -> Option<Position> {
        let windows = self.routed.repeated().iter().filter_map(|id| self.windows.0.get(id));
        windows.filter_map(|window| window.find(&identity.id, self.now_ms)).max()
    }

    /// These queues have it now, and the exchanges that it passed; `stored` up to where, and whether it outlives a restart.
    pub(super) fn remember(
        &mut self,
        identity: &Identity,
        targets: &[QueueId],
        (stored, is_persistent): (Option<Position>, bool),
    ) {
        for target in targets {
            let Some(queue) = self.queues.one_mut(*target) else { continue };
            // What is lost with the message must not stop it from being sent again.
            let is_written = queue.stores(is_persistent) && queue.is_written();
            let whose = Whose::Queue(queue.number);
            let Some(window) = &mut queue.dedup else { continue };
            note(window, &mut self.store, identity, &whose, (stored, is_written, self.now_ms));
        }
        for at in 0..self.routed.passed().len() {
            let Some(id) = self.routed.passed().get(at).copied() else { continue };
            let Some(exchange) = self.topology.exchange(id) else { continue };
            let is_written = stored.is_some() && exchange.attributes().durable;
            let whose = Whose::Exchange(exchange.name().to_owned());
            let window = self.windows.0.entry(id).or_insert_with(|| window_of(exchange));
            note(window, &mut self.store, identity, &whose, (stored, is_written, self.now_ms));
        }
    }

    /// Puts back what the log kept; what belongs to nothing any more is dropped.
    pub(super) fn restore_seen(&mut self, kept: Kept) {
        let now_ms = self.now_ms;
        for ((whose, entry), (until_ms, id)) in kept {
            let window = match whose {
                Whose::Queue(number) => {
                    self.queues.of_number_mut(number).and_then(|queue| queue.dedup.as_mut())
                }
                Whose::Exchange(name) => self.topology.find(&name).and_then(|exchange| {
                    let found = self.topology.exchange(exchange)?;
                    let is_one = found.attributes().kind == Kind::Deduplicating;
                    is_one.then(|| self.windows.0.entry(exchange).or_insert_with(|| window_of(found)))
                }),
            };
            if let Some(window) = window {
                window.restore(entry, &id, until_ms, now_ms);
            }
        }
    }

    /// What a checkpoint keeps of all windows: keys and values.
    pub(super) fn kept_windows(&self) -> impl Iterator<Item = (String, Vec<u8>)> + '_ {
        let of_queues = self
            .queues
            .iter()
            .filter(|queue| queue.is_written())
            .filter_map(|queue| Some((Whose::Queue(queue.number), queue.dedup.as_ref()?)));
        let of_exchanges = self.windows.0.iter().filter_map(|(id, window)| {
            Some((Whose::Exchange(self.topology.exchange(*id)?.name().to_owned()), window))
        });
        of_queues.chain(of_exchanges).flat_map(|(whose, window)| {
            let written = window.iter().filter(|(_, taken)| taken.is_written);
            written.map(move |(entry, taken)| {
                (records::seen_key(&whose, entry), records::seen(taken.until_ms, &taken.id))
            })
        })
    }
}

/// Remembers one in a window, and in the log where it must.
fn note(
    window: &mut Window,
    store: &mut Store,
    identity: &Identity,
    whose: &Whose,
    (stored, is_written, now_ms): (Option<Position>, bool, u64),
) {
    let until_ms = window.until_ms(identity.ttl_ms, now_ms);
    let entry = window.remember(&identity.id, (until_ms, stored.unwrap_or_default()), is_written, now_ms);
    if is_written {
        let value = records::seen(until_ms, &identity.id);
        store.declare(&records::seen_key(whose, entry), Some(&value));
    }
    for entry in window.take_forgotten() {
        store.declare(&records::seen_key(whose, entry), None);
    }
}

/// The window of an exchange, by its arguments.
fn window_of(exchange: &Exchange) -> Window {
    let arguments = &exchange.attributes().arguments;
    let number = |name| arguments.find(name).and_then(FieldValue::as_integer);
    let size = number(CACHE_SIZE).and_then(|size| u64::try_from(size).ok()).unwrap_or(1);
    let size = usize::try_from(size.min(DEDUPLICATION_CACHE_MAX)).unwrap_or(usize::MAX);
    Window::new(size, number(CACHE_TTL).and_then(|ttl| u64::try_from(ttl).ok()))
}
