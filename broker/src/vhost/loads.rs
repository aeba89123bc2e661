//! Messages that were read from the log, and where they go.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Vhost,
    turn::{Purpose, Want},
};
use crate::{
    log::{index::Slot, reader::StoredMessage, record::MessageFlags},
    message::{Message, Parts, Traits},
    queue::{Contents, Entry, Seq, lines::Wanted},
};

/// Messages that one read brings at most.
const MESSAGES_MAX: usize = 512;
/// Bytes of bodies that one read brings at most; one message may be larger.
const BYTES_MAX: u64 = 1024 * 1024;

/// What is to be read: which, and where each lies.
#[derive(Debug, Clone)]
pub struct Load {
    /// Why.
    pub want: Want,
    /// Where they lie, in the order of the queue.
    pub places: Vec<(Seq, Slot)>,
}

/// What was read of one message; none if it cannot be read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its place in the queue.
    pub seq: Seq,
    /// The message, and when it expires or is due.
    pub message: Option<(Arc<Message>, u64)>,
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
        wants.into_iter().filter_map(|want| self.locate(want)).collect()
    }

    fn locate(&mut self, want: Want) -> Option<Load> {
        if let Purpose::Compaction(..) = want.purpose {
            return Some(Load { want, places: Vec::new() });
        }
        if let Purpose::Delayed(seq) = want.purpose {
            let slot = self.delayed.one_mut(want.number)?.index.slot(seq)?;
            return Some(Load { places: vec![(seq, slot)], want });
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
            Purpose::Delayed(_) | Purpose::Compaction(..) => Vec::new(),
        };
        Some(Load { want, places })
    }

    /// Something was read.
    pub fn loaded(&mut self, want: &Want, loaded: Vec<Loaded>, now_ms: u64) {
        self.set_time(now_ms);
        match &want.purpose {
            Purpose::Line(_) => self.line_loaded(want, loaded),
            Purpose::Stream(consumer, from) => {
                let behind = loaded.last().map_or(from + 1, |last| last.seq + 1);
                let messages: Vec<_> =
                    loaded.into_iter().filter_map(|loaded| Some((loaded.seq, loaded.message?.0))).collect();
                if let Some(queue) = self.queues.numbered_mut(want.queue, want.number)
                    && let Contents::Stream(stream) = &mut queue.contents
                {
                    stream.loaded(*consumer, messages, behind);
                    queue.consumers.wake(*consumer);
                    self.touch(want.queue);
                }
            }
            Purpose::Dead(seq) => {
                let message = loaded.into_iter().next().and_then(|loaded| loaded.message);
                self.exhume(want.number, *seq, message.map(|(message, _)| message));
            }
            Purpose::Delayed(seq) => {
                let found = loaded.into_iter().next().and_then(|loaded| loaded.message);
                self.delayed_loaded(want.number, *seq, found);
            }
            // What was scanned comes by itself.
            Purpose::Compaction(..) => {}
        }
        self.tend_all();
    }

    fn line_loaded(&mut self, want: &Want, loaded: Vec<Loaded>) {
        let Some(queue) = self.queues.numbered_mut(want.queue, want.number) else { return };
        queue.loading = false;
        let recovered_up_to = queue.recovered_up_to;
        let max_priority = queue.max_priority();
        let number = queue.number;
        for Loaded { seq, message } in loaded {
            // Settled meanwhile: purged, or dropped from the head.
            let Some(slot) = queue.index.slot(seq) else { continue };
            let Contents::Lines(lines) = &mut queue.contents else { return };
            let mut entry = Entry::of_slot(seq, slot, max_priority);
            entry.redelivered |= seq <= recovered_up_to;
            match message {
                Some((message, expires_at_ms)) => {
                    entry.expires_at_ms = super::expiry_of(&queue.settings, &message, expires_at_ms);
                    entry.message = Some(message);
                    lines.warm_up(entry);
                }
                None => {
                    tracing::error!(
                        vhost = &*self.name,
                        queue = &*queue.declaration.name,
                        seq,
                        "a message cannot be read and is dropped"
                    );
                    lines.lose(&entry);
                    if let Some(slot) = queue.index.settle(seq) {
                        self.store.settle(number, seq, slot);
                    }
                }
            }
        }
        self.touch(want.queue);
    }
}

/// Where the next ones lie, from one on, as many as one reads at once.
fn run(next: impl Fn(Seq) -> Option<(Seq, Slot)>, mut from: Seq, to: Seq) -> Vec<(Seq, Slot)> {
    let mut places = Vec::new();
    let mut bytes = 0;
    while places.len() < MESSAGES_MAX
        && bytes < BYTES_MAX
        && let Some((seq, slot)) = next(from).filter(|(seq, _)| *seq < to)
    {
        places.push((seq, slot));
        bytes += u64::from(slot.size);
        from = seq + 1;
    }
    places
}
