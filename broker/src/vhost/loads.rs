//! Messages that were read from the log, and where they go.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Vhost,
    store::{FLAG_EXPIRES, Store},
    timers::TimerKey,
    turn::{Purpose, Want},
};
use crate::{
    log::{
        index::Slot,
        reader::{ReadError, StoredMessage},
        record::MessageFlags,
    },
    message::{Message, Parts, Traits},
    queue::{
        ConsumerId, Contents, Entry, Queue, Seq,
        lines::{LOAD_BYTES, Wanted},
    },
};

/// Messages that one read brings at most.
const MESSAGES_MAX: usize = 512;
/// So often what cannot be read is asked for again: a minute. Then a bad place on the disk holds up nobody any more.
const TRIES_MAX: u32 = 120;
/// Milliseconds after which what could not be read is asked for again.
const RETRY_MS: u64 = 500;

/// What is to be read: which, and where each lies.
#[derive(Debug, Clone)]
pub struct Load {
    /// Why.
    pub want: Want,
    /// Where they lie, in the order of the queue.
    pub places: Vec<(Seq, Slot)>,
}

/// What was read of one message.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its place in the queue.
    pub seq: Seq,
    /// The message, and when it expires or is due.
    pub message: Result<(Arc<Message>, u64), Missing>,
}

/// Why a message did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// What lies there is not the message: it is lost.
    Damaged,
    /// It could not be read now: it was moved meanwhile, or the system is short of something. It is asked for again.
    NotNow,
}

impl From<ReadError> for Missing {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged(_) => Self::Damaged,
            // The reader closes a segment before it is removed: what is not there has not been moved.
            ReadError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Self::Damaged,
            ReadError::Io { .. } => Self::NotNow,
        }
    }
}

impl Loaded {
    /// A message as it was before it went to the log, and when it expires or is due.
    pub fn restore(stored: &StoredMessage) -> (Arc<Message>, u64) {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let (exchange, routing_key) = (text(&stored.exchange), text(&stored.routing_key));
        let parts = Parts { exchange: &exchange, routing_key: &routing_key, properties: &stored.properties };
        let persistent = stored.flags.contains(MessageFlags::PERSISTENT);
        let has_died = stored.flags.contains(MessageFlags::DIED);
        let traits = Traits { persistent, priority: stored.priority, expiration_ms: None, has_died };
        (Message::new(parts, stored.body.clone(), traits, stored.published_at_ms), stored.expires_at_ms)
    }
}

impl Vhost {
    /// What is to be read now.
    pub(super) fn take_loads(&mut self) -> Vec<Load> {
        let wants = std::mem::take(&mut self.turn.wants);
        let mut loads = Vec::with_capacity(wants.len());
        for want in wants {
            loads.extend(self.locate(want).and_then(|load| self.as_written(load)));
        }
        // Compaction, which has no places, reads what has long been alone.
        if let Some(newest) = loads.iter().flat_map(|load| &load.places).map(|(_, slot)| slot.position).max()
        {
            self.store.reads_back(newest);
        }
        loads
    }

    /// What is with the writer still is not on the disk: it is read when it is.
    fn as_written(&mut self, mut load: Load) -> Option<Load> {
        let written = self.store.written();
        let Some(first) = load.places.iter().position(|(_, slot)| slot.position >= written) else {
            return Some(load);
        };
        if first == 0 && self.is_poisoned() {
            // It never will be.
            self.give_up_getters(load.want.queue);
            return None;
        }
        if first == 0 {
            self.store.request_sync();
            self.unwritten.push(load.want);
            return None;
        }
        load.places.truncate(first);
        Some(load)
    }

    /// More was written: what waited for it is asked for.
    pub(super) fn ask_for_written(&mut self) {
        self.turn.wants.append(&mut self.unwritten);
    }

    fn locate(&mut self, want: Want) -> Option<Load> {
        if let Purpose::Compaction(..) = want.purpose {
            return Some(Load { want, places: Vec::new() });
        }
        if let Purpose::Delayed(seq) = want.purpose {
            let slot = self.delayed.one_mut(want.number)?.index.slot(seq)?;
            return Some(Load { places: vec![(seq, slot)], want });
        }
        if let Purpose::DueTimes(from) = want.purpose {
            let held = self.delayed.one_mut(want.number)?;
            let (index, to) = (&held.index, held.restored_to());
            return Some(Load { places: run(|from| index.next_live(from), from, to), want });
        }
        let queue = self.queues.numbered_mut(want.queue, want.number)?;
        let places: Vec<(Seq, Slot)> = match &want.purpose {
            Purpose::Line(Wanted::Returned(seqs)) => {
                seqs.iter().filter_map(|seq| Some((*seq, queue.index.slot(*seq)?))).collect()
            }
            Purpose::Line(Wanted::Cold { cold, priority }) => {
                run(|from| queue.next_live_of(from, *priority), cold.from, cold.to)
            }
            Purpose::Stream(_, from) => {
                let Contents::Stream(stream) = &queue.contents else { return None };
                run(|from| queue.index.next_live(from), *from, stream.safe_seq())
            }
            Purpose::Dead(seq) => vec![(*seq, queue.index.slot(*seq)?)],
            Purpose::Delayed(_) | Purpose::DueTimes(_) | Purpose::Compaction(..) => Vec::new(),
        };
        Some(Load { want, places })
    }

    /// Something was read.
    pub fn loaded(&mut self, want: &Want, mut loaded: Vec<Loaded>, now_ms: u64) {
        self.set_time(now_ms);
        if want.tries >= TRIES_MAX {
            // What cannot be read for so long is lost as what is damaged.
            loaded.iter_mut().for_each(|one| one.message = one.message.clone().map_err(|_| Missing::Damaged));
        }
        // What stands behind a gap would stand before it: it is read once more.
        let gap = loaded.iter().position(|one| matches!(one.message, Err(Missing::NotNow)));
        let gap_seq = gap.and_then(|gap| loaded.get(gap)).map(|one| one.seq);
        if let Some(gap) = gap {
            loaded.truncate(gap);
        }
        match &want.purpose {
            Purpose::Line(_) => self.line_loaded(want, loaded, gap.is_some()),
            Purpose::Stream(..) if gap == Some(0) => {}
            Purpose::Stream(consumer, from) => self.stream_loaded(want, *consumer, *from, loaded),
            Purpose::Dead(_) | Purpose::Delayed(_) => {
                if let Some(one) = loaded.into_iter().next() {
                    self.single_loaded(want, one);
                }
            }
            Purpose::DueTimes(_) => {
                let next = self.due_times_loaded(want.number, loaded);
                if let Some(from) = next.filter(|_| gap.is_none()) {
                    self.turn.wants.push(Want::new(want.queue, want.number, Purpose::DueTimes(from)));
                }
            }
            // What was scanned comes by itself.
            Purpose::Compaction(..) => {}
        }
        match (gap_seq, &want.purpose) {
            (Some(seq), Purpose::DueTimes(_)) => {
                self.ask_later(Want { purpose: Purpose::DueTimes(seq), ..want.clone() });
            }
            // Its consumer asks again itself when it has what came.
            (Some(_), Purpose::Stream(..)) if gap != Some(0) => {}
            (Some(_), _) => self.ask_later(want.clone()),
            (None, _) => {}
        }
        self.tend_all();
    }

    fn ask_later(&mut self, want: Want) {
        if self.unread.is_empty() {
            self.timers.set(TimerKey::Reads, Some(self.now_ms + RETRY_MS));
        }
        self.unread.push(Want { tries: want.tries + 1, ..want });
    }

    /// Asks again for what could not be read.
    pub(super) fn ask_again(&mut self) {
        self.turn.wants.append(&mut self.unread);
    }

    fn single_loaded(&mut self, want: &Want, one: Loaded) {
        let found = one.message.ok();
        match want.purpose {
            Purpose::Dead(seq) => self.exhume(want.number, seq, found.map(|(message, _)| message)),
            Purpose::Delayed(seq) => self.due_loaded(want.number, seq, found),
            Purpose::Line(_) | Purpose::Stream(..) | Purpose::DueTimes(_) | Purpose::Compaction(..) => {}
        }
    }

    fn stream_loaded(&mut self, want: &Want, consumer: ConsumerId, from: Seq, loaded: Vec<Loaded>) {
        let behind = loaded.last().map_or(from + 1, |last| last.seq + 1);
        let messages =
            loaded.into_iter().filter_map(|loaded| Some((loaded.seq, loaded.message.ok()?.0))).collect();
        if let Some(queue) = self.queues.numbered_mut(want.queue, want.number)
            && let Contents::Stream(stream) = &mut queue.contents
        {
            stream.loaded(consumer, messages, behind);
            queue.consumers.wake(consumer);
            self.touch(want.queue);
        }
    }

    fn line_loaded(&mut self, want: &Want, loaded: Vec<Loaded>, is_asked_again: bool) {
        let Some(queue) = self.queues.numbered_mut(want.queue, want.number) else { return };
        queue.loading = is_asked_again;
        for loaded in loaded {
            give(queue, &mut self.store, &self.name, loaded);
        }
        self.touch(want.queue);
    }
}

/// Gives a queue one message back, or the news that it is lost.
fn give(queue: &mut Queue, store: &mut Store, vhost: &str, loaded: Loaded) {
    let Loaded { seq, message } = loaded;
    // Settled meanwhile: purged, or dropped from the head.
    let Some(slot) = queue.index.slot(seq) else { return };
    let mut entry = Entry::of_slot(seq, slot, queue.max_priority());
    entry.redelivered |= seq <= queue.recovered_up_to;
    let Contents::Lines(lines) = &mut queue.contents else { return };
    if let Ok((message, expires_at_ms)) = message {
        let stored_ms = if slot.aux.flags() & FLAG_EXPIRES == 0 { 0 } else { expires_at_ms };
        entry.expires_at_ms = super::expiry_of(&queue.settings, &message, stored_ms);
        entry.message = Some(message);
        return lines.warm_up(entry);
    }
    let name = &*queue.declaration.name;
    tracing::error!(vhost, queue = name, seq, "a message is damaged and is dropped");
    lines.lose(&entry);
    if let Some(slot) = queue.index.settle(seq) {
        store.settle(queue.number, seq, slot);
    }
}

/// Where the next ones lie, from one on, as many as one reads at once.
fn run(next: impl Fn(Seq) -> Option<(Seq, Slot)>, mut from: Seq, to: Seq) -> Vec<(Seq, Slot)> {
    let mut places = Vec::new();
    let mut bytes = 0;
    while places.len() < MESSAGES_MAX
        && bytes < LOAD_BYTES
        && let Some((seq, slot)) = next(from).filter(|(seq, _)| *seq < to)
    {
        places.push((seq, slot));
        bytes += u64::from(slot.size);
        from = seq + 1;
    }
    places
}
