//! Which messages a queue has seen already, by the header `x-deduplication-header`: looked up before a message goes into
//! it, remembered with it, in one atomic step of the log where it is stored.

use std::collections::BTreeMap;

use super::{Vhost, records};
use crate::{
    amqp::{
        table::{RawTable, view::ValueView},
        value::FieldValue,
    },
    exchange::QueueId,
    log::position::Position,
    queue::Queue,
};

/// The header that identifies a message.
const ID: &str = "x-deduplication-header";
/// The header with which a message says itself for how long it counts, milliseconds.
const TTL: &str = "x-cache-ttl";

/// What a message says of itself.
#[derive(Debug)]
pub(super) struct Identity {
    id: Vec<u8>,
    ttl_ms: Option<u64>,
}

/// Windows as the log keeps them: the number of a queue, the number of an entry, until when, identifier.
pub(super) type Kept = BTreeMap<(u32, u64), (u64, Vec<u8>)>;

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

    /// These queues have it now; `stored` up to where, and whether it outlives a restart.
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
            let number = queue.number;
            let Some(window) = &mut queue.dedup else { continue };
            let until_ms = window.until_ms(identity.ttl_ms, self.now_ms);
            let safe_at = stored.unwrap_or_default();
            let entry = window.remember(&identity.id, (until_ms, safe_at), is_written, self.now_ms);
            let forgotten = window.take_forgotten();
            if is_written {
                let value = records::seen(until_ms, &identity.id);
                self.store.declare(&records::seen_key(number, entry), Some(&value));
            }
            for entry in forgotten {
                self.store.declare(&records::seen_key(number, entry), None);
            }
        }
    }

    /// Puts back what the log kept; of queues that are gone it is dropped.
    pub(super) fn restore_seen(&mut self, kept: &Kept) {
        let ids: Vec<QueueId> = self.queues.iter().map(|queue| queue.id).collect();
        let now_ms = self.now_ms;
        for id in ids {
            let Some(queue) = self.queues.one_mut(id) else { continue };
            let number = queue.number;
            let Some(window) = &mut queue.dedup else { continue };
            for ((_, entry), (until_ms, id)) in kept.range((number, 0)..=(number, u64::MAX)) {
                window.restore(*entry, id, *until_ms, now_ms);
            }
        }
    }
}

/// What a checkpoint keeps of a queue's window: keys and values.
pub(super) fn kept(queue: &Queue) -> impl Iterator<Item = (String, Vec<u8>)> + '_ {
    let entries = queue.dedup.iter().flat_map(|window| window.iter());
    entries.filter(|(_, taken)| taken.is_written).map(|(entry, taken)| {
        (records::seen_key(queue.number, entry), records::seen(taken.until_ms, &taken.id))
    })
}
