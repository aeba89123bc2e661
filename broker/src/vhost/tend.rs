//! Looks after queues that something happened to: hands out, drops what is too much, asks for what is on the disk,
//! and sets the times at which they must be looked at again.

use super::{
    Vhost,
    dead::{DYING_MAX, Dead},
    death::Reason,
    timers::TimerKey,
    turn::{Purpose, Want},
};
use crate::{
    exchange::QueueId,
    queue::{
        Contents, Entry, Memory, Queue, Seq,
        lane::Next,
        lines::{LOAD_BELOW, WARM_BYTES_SHORT},
        next_live_of,
    },
};

/// Queues with less than so much in memory are left alone when the log has written something.
const EVICT_BYTES: usize = WARM_BYTES_SHORT;

impl Vhost {
    /// Notes that something happened to a queue.
    pub(super) fn touch(&mut self, id: QueueId) {
        if let Some(queue) = self.queues.one_mut(id)
            && !queue.touched
        {
            queue.touched = true;
            self.turn.touched.push(id);
        }
    }

    /// Looks after all that were touched, and what that touches, until nothing is left.
    pub(super) fn tend_all(&mut self) {
        loop {
            if !self.turn.dead.is_empty() {
                self.bury_all();
            } else if let Some(id) = self.turn.touched.pop() {
                self.tend(id);
            } else {
                return;
            }
        }
    }

    fn tend(&mut self, id: QueueId) {
        let Some(queue) = self.queues.one_mut(id) else { return };
        queue.touched = false;
        self.serve_getters(id);
        self.dispatch(id);
        self.drop_expired(id);
        self.drop_excess(id);
        self.trim_stream(id);
        self.keep_memory(id);
        self.count_memory(id);
        self.want_messages(id);
        self.set_timers(id);
    }

    fn count_memory(&mut self, id: QueueId) {
        let Some(queue) = self.queues.one_mut(id) else { return };
        let bytes = queue.warm_bytes();
        self.warm_bytes = (self.warm_bytes + bytes).saturating_sub(queue.counted_bytes);
        queue.counted_bytes = bytes;
        if bytes > EVICT_BYTES && !queue.is_fat {
            queue.is_fat = true;
            self.fat.push(id);
        }
    }

    /// What was written meanwhile need not stay in memory.
    pub(super) fn evict_all(&mut self) {
        for id in std::mem::take(&mut self.fat) {
            if let Some(queue) = self.queues.one_mut(id) {
                queue.is_fat = false;
            }
            self.keep_memory(id);
            self.count_memory(id);
        }
    }

    /// From the head, as far as it has expired.
    pub(super) fn drop_expired(&mut self, id: QueueId) {
        let mut room = DYING_MAX.saturating_sub(self.dying());
        let Some(queue) = self.queues.one_mut(id) else { return };
        let number = queue.number;
        let Contents::Lines(lines) = &mut queue.contents else { return };
        if !lines.is_expiring() {
            return;
        }
        while let Next::Entry(entry) = lines.peek() {
            if !entry.is_expired(self.now_ms) {
                return;
            }
            if room == 0 {
                return self.wait_for_burial(id);
            }
            room -= 1;
            let Some(entry) = lines.pop_any(|_, _| None) else { return };
            self.turn.dead.push_back(Dead { queue: id, number, entry, reason: Reason::Expired });
        }
    }

    /// From the head, until the queue is within its limits.
    fn drop_excess(&mut self, id: QueueId) {
        let mut room = DYING_MAX.saturating_sub(self.dying());
        let Some(queue) = self.queues.one_mut(id) else { return };
        while queue.is_over_length() {
            if room == 0 {
                return self.wait_for_burial(id);
            }
            room -= 1;
            let (number, max_priority) = (queue.number, queue.max_priority());
            let Queue { contents: Contents::Lines(lines), index, .. } = queue else { return };
            let cold = |from: Seq, priority: u8| {
                let (seq, slot) = next_live_of(index, from, priority, max_priority)?;
                Some(Entry::of_slot(seq, slot, max_priority))
            };
            let Some(entry) = lines.pop_any(cold) else { return };
            queue.stats.dropped += 1;
            self.turn.dead.push_back(Dead { queue: id, number, entry, reason: Reason::MaxLength });
        }
    }

    fn trim_stream(&mut self, id: QueueId) {
        let Some(queue) = self.queues.one_mut(id) else { return };
        let oldest = queue.settings.max_age_ms.map(|age| self.now_ms.saturating_sub(age));
        let Queue { contents: Contents::Stream(stream), index, settings, number, .. } = queue else { return };
        while stream.is_over(settings.max_length_bytes, oldest) {
            let first = stream.first_seq();
            let slot = index.settle(first);
            stream.drop_first(slot.map_or(0, |slot| u64::from(slot.size)));
            if let Some(slot) = slot {
                self.store.settle(*number, first, slot);
            }
        }
        let written = self.store.written();
        stream.evict(|seq| index.slot(seq).is_none_or(|slot| slot.position < written));
    }

    /// Lets go of what the log holds, and hands the log what memory should not.
    fn keep_memory(&mut self, id: QueueId) {
        let memory = self.memory();
        let Some(queue) = self.queues.one_mut(id) else { return };
        let Queue { contents: Contents::Lines(lines), index, number, .. } = queue else { return };
        for entry in lines.unstored() {
            if let Some(message) = &entry.message {
                let slot = self.store.spill(message, *number, entry);
                index.insert(entry.seq, slot);
                entry.stored = true;
            }
        }
        let written = self.store.written();
        lines.evict(|entry| index.slot(entry.seq).is_none_or(|slot| slot.position < written));
        if memory == Memory::Short {
            lines.forget_returned();
        }
    }

    /// Asks for messages that are next and on the disk, where somebody waits for them or they may expire.
    fn want_messages(&mut self, id: QueueId) {
        let Some(queue) = self.queues.one_mut(id) else { return };
        if queue.loading {
            return;
        }
        let awaited = queue.consumers.front().is_some() || !queue.getters.is_empty();
        let Contents::Lines(lines) = &mut queue.contents else { return };
        // What came back knows when it expires, with its message or without.
        let below = match (awaited, lines.is_expiring() && matches!(lines.peek(), Next::Cold(_))) {
            (true, _) => LOAD_BELOW,
            (false, true) => 1,
            (false, false) => return,
        };
        if let Some(wanted) = lines.wanted(below) {
            queue.loading = true;
            let want = Want::new(id, queue.number, Purpose::Line(wanted));
            self.turn.wants.push(want);
        }
    }

    pub(super) fn set_timers(&mut self, id: QueueId) {
        let Some(queue) = self.queues.one_mut(id) else { return };
        let head = match &mut queue.contents {
            // It is called when there is room.
            _ if queue.is_crowded => None,
            Contents::Lines(lines) if lines.is_expiring() => match lines.peek() {
                Next::Entry(entry) if entry.expires_at_ms != 0 => Some(entry.expires_at_ms),
                _ => None,
            },
            Contents::Stream(stream) => stream
                .oldest_mark_ms()
                .zip(queue.settings.max_age_ms)
                .map(|(mark, age)| mark.saturating_add(age).max(self.now_ms + 1000)),
            Contents::Lines(_) => None,
        };
        let unused = queue.settings.expires_ms.filter(|_| queue.consumers.is_empty());
        let unused = unused.map(|expires| queue.used_at_ms.saturating_add(expires));
        self.timers.set(TimerKey::Head(id), head);
        self.timers.set(TimerKey::Unused(id), unused);
    }
}
