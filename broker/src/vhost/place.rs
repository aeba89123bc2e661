//! Puts a routed message into its queues: those that have seen it or are full leave it out, it is stored once for all
//! that keep it, and each gets an entry.

use std::sync::Arc;

use super::{Vhost, dead::Dead, death::Reason, publish::Fate, seen::Identity, store};
use crate::{
    amqp::table::RawTable,
    exchange::QueueId,
    log::{
        position::Position,
        record::{MessageFlags, Target},
        state::SLOT_TIMED,
    },
    message::Message,
    queue::{Admission, Contents, Entry, Queue},
};

impl Vhost {
    /// Puts a routed message where it goes.
    pub(super) fn place(&mut self, message: &Arc<Message>, headers: Option<RawTable<'_>>) -> Fate {
        let Some(identity) = Identity::of(headers) else { return self.place_once(message, headers, None) };
        // What it leaves behind in windows is one with it in the log.
        self.store.begin_chain();
        let fate = self.place_once(message, headers, Some(&identity));
        self.store.end_chain();
        fate
    }

    fn place_once(
        &mut self,
        message: &Arc<Message>,
        headers: Option<RawTable<'_>>,
        identity: Option<&Identity>,
    ) -> Fate {
        if self.routed.is_unroutable() {
            return Fate::Unroutable;
        }
        let mut stored = self.hold_where_delayed(message, headers);
        let mut targets = std::mem::take(&mut self.targets);
        targets.clear();
        targets.extend_from_slice(self.routed.queues());
        let mut safe_at = None;
        if let Some(identity) = identity {
            safe_at = self.leave_out_repeated(identity, &mut targets);
            safe_at = safe_at.max(self.repeated_safe_at(identity));
        }
        let all = targets.len();
        self.leave_out_refusing(message, &mut targets);
        let refused = targets.len() < all;
        stored = stored.max(self.put(message, &targets));
        if let Some(identity) = identity {
            if refused {
                // It must pass once more for those that did not take it.
                self.routed.forget_passed();
            }
            self.remember(identity, &targets, (stored, message.traits().persistent));
        }
        self.targets = targets;
        if refused { Fate::Refused } else { Fate::Placed(stored.max(safe_at)) }
    }

    /// Queues that are full and refuse it.
    pub(super) fn leave_out_refusing(&mut self, message: &Arc<Message>, targets: &mut Vec<QueueId>) {
        let bytes = message.body().len();
        let refuses = |vhost: &Self, id: QueueId| {
            vhost.queues.one(id).map_or(Admission::In, |queue| queue.admits(bytes))
        };
        let mut at = 0;
        while let Some(id) = targets.get(at).copied() {
            let mut admission = refuses(self, id);
            if admission != Admission::In {
                // Who has room takes first what is there: only then is it full.
                self.dispatch(id);
                admission = refuses(self, id);
            }
            if admission == Admission::In {
                at += 1;
                continue;
            }
            targets.remove(at);
            if let Some(queue) = self.queues.one_mut(id) {
                queue.stats.refused += 1;
            }
            if admission == Admission::RefusedDead {
                self.bury_refused(id, message);
            }
        }
    }

    /// Stores a message and puts it into all these queues; up to where it is stored.
    pub(super) fn put(&mut self, message: &Arc<Message>, queues: &[QueueId]) -> Option<Position> {
        let traits = message.traits();
        let mut stored: smallvec::SmallVec<[Target; 4]> = smallvec::SmallVec::new();
        let mut expires_at_ms = 0;
        for id in queues {
            let Some(queue) = self.queues.one_mut(*id).filter(|queue| queue.stores(traits.persistent)) else {
                continue;
            };
            let expiry = queue.expiry(traits.expiration_ms, self.now_ms);
            expires_at_ms = expires_at_ms.max(expiry);
            let mut flags = if expiry == 0 { 0 } else { store::FLAG_EXPIRES };
            if let Contents::Stream(stream) = &queue.contents
                && stream.notes_time(message.published_at_ms())
            {
                flags |= SLOT_TIMED;
            }
            stored.push(Target { queue: queue.number, seq: queue.next_seq(), flags });
        }
        let position = match stored.is_empty() {
            true => None,
            false => Some(self.store.message(message, expires_at_ms, &stored, MessageFlags::PERSISTENT)),
        };
        let memory = self.memory();
        for id in queues {
            let Some(queue) = self.queues.one_mut(*id) else { continue };
            let entry = enter(queue, message, self.now_ms, position);
            queue.stats.published += 1;
            match &mut queue.contents {
                Contents::Lines(lines) => lines.push(entry, memory),
                Contents::Stream(stream) => {
                    if !stream.has_unsafe() {
                        self.growing.push(*id);
                    }
                    stream.push(Arc::clone(message));
                }
            }
            self.touch(*id);
        }
        position.map(|_| self.store.end())
    }

    /// A full queue's dead-letter exchange gets what it refuses.
    fn bury_refused(&mut self, id: QueueId, message: &Arc<Message>) {
        let Some(queue) = self.queues.one(id) else { return };
        let entry = Entry::of_message(0, Arc::clone(message));
        let number = queue.number;
        self.turn.dead.push_back(Dead { queue: id, number, entry, reason: Reason::MaxLength });
    }
}

/// The entry of a message in a queue; in its index, where it is stored.
fn enter(queue: &mut Queue, message: &Arc<Message>, now_ms: u64, position: Option<Position>) -> Entry {
    let traits = message.traits();
    let stored = position.filter(|_| queue.stores(traits.persistent));
    let expires_at_ms = queue.expiry(traits.expiration_ms, now_ms);
    let (seq, priority) = match &mut queue.contents {
        Contents::Lines(lines) => (lines.take_seq(), traits.priority.min(lines.max_priority())),
        Contents::Stream(stream) => (stream.next_seq(), 0),
    };
    let entry = Entry {
        expires_at_ms,
        priority,
        stored: stored.is_some(),
        ..Entry::of_message(seq, Arc::clone(message))
    };
    if let Some(position) = stored {
        queue.index.insert(seq, store::slot_of(position, &entry));
    }
    entry
}
