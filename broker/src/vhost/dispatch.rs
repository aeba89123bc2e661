//! From queues to consumers: who has a turn gets what waits, until nobody has room or nothing is left.

use super::{
    Vhost,
    channel::UNACKED_BYTES_MAX,
    dead::Dead,
    death::Reason,
    session::Session,
    sessions::Sessions,
    store::Store,
    turn::Turn,
    unacked::Delivery,
    wire::{self, Handover},
};
use crate::{
    exchange::QueueId,
    queue::{Address, ConsumerId, Contents, Entry, Lines, Queue, Seq, StreamNext},
};

/// What an offer to the consumer in front came to.
enum Offer {
    /// It has something, and had its turn.
    Taken,
    /// It has no room, and is out of its ring.
    NoRoom,
    /// There is nothing to give.
    Nothing,
}

impl Vhost {
    /// Gives what waits in a queue to its consumers.
    pub(super) fn dispatch(&mut self, id: QueueId) {
        let Some(queue) = self.queues.one_mut(id) else { return };
        let mut desk = Desk {
            sessions: &mut self.sessions,
            turn: &mut self.turn,
            store: &mut self.store,
            now_ms: self.now_ms,
        };
        let before = queue.delivered_up_to;
        while let Some(consumer) = queue.consumers.front() {
            match desk.offer(queue, consumer) {
                Offer::Taken | Offer::NoRoom => {}
                Offer::Nothing => break,
            }
        }
        if queue.delivered_up_to > before && !queue.is_stream() {
            self.store.delivered(queue.number, queue.delivered_up_to);
        }
    }
}

/// What a delivery needs beside the queue.
struct Desk<'a> {
    sessions: &'a mut Sessions,
    turn: &'a mut Turn,
    store: &'a mut Store,
    now_ms: u64,
}

impl Desk<'_> {
    fn offer(&mut self, queue: &mut Queue, id: ConsumerId) -> Offer {
        let Some(consumer) = queue.consumers.one(id) else { return Offer::Nothing };
        let (address, no_ack) = (consumer.wish.address, consumer.wish.no_ack);
        if !self.has_room(queue, id, address, no_ack) {
            queue.consumers.rotate(false);
            return Offer::NoRoom;
        }
        let (queue_id, number) = (queue.id, queue.number);
        let entry = match &mut queue.contents {
            Contents::Lines(lines) => self.next_of(queue_id, number, lines),
            Contents::Stream(stream) => match stream.next_for(id) {
                StreamNext::Message(seq, message) => Some(Entry::of_stream(seq, message)),
                StreamNext::Load(from) => {
                    self.turn.want_stream(queue_id, number, id, from);
                    None
                }
                StreamNext::Loading | StreamNext::End => None,
            },
        };
        match entry {
            Some(entry) => self.deliver(queue, id, address, entry),
            None if queue.is_stream() => {
                // The others read from elsewhere; this one is woken by the next message or what is loaded.
                queue.consumers.rotate(false);
                return Offer::NoRoom;
            }
            None => return Offer::Nothing,
        }
        Offer::Taken
    }

    /// Whether its channel and its connection have room; who has none is noted, to be woken.
    fn has_room(&mut self, queue: &mut Queue, id: ConsumerId, address: Address, no_ack: bool) -> bool {
        let Some(session) = self.sessions.one_mut(address.session) else { return false };
        let stalled = session.is_stalled();
        let Some(channel) = session.channel_mut(address.channel) else { return false };
        if !stalled && channel.has_room(no_ack) {
            return true;
        }
        if let Some(consumer) = queue.consumers.one_mut(id)
            && !std::mem::replace(&mut consumer.is_listed, true)
        {
            channel.starved.push((queue.id, id));
        }
        false
    }

    /// The next one whose time was not over before this turn: what expires at once is for who waits for it.
    fn next_of(&mut self, queue: QueueId, number: u32, lines: &mut Lines) -> Option<Entry> {
        loop {
            let entry = lines.pop()?;
            if !entry.is_expired(self.now_ms.saturating_sub(1)) {
                return Some(entry);
            }
            self.turn.dead.push_back(Dead { queue, number, entry, reason: Reason::Expired });
        }
    }

    fn deliver(&mut self, queue: &mut Queue, id: ConsumerId, address: Address, mut entry: Entry) {
        let Some(session) = self.sessions.one_mut(address.session) else { return };
        let Some(message) = entry.message.clone() else { return };
        let Some(channel) = session.channel_mut(address.channel) else { return };
        let tag = channel.next_tag();
        channel.counts.delivered += 1;
        let Some(consumer) = queue.consumers.one_mut(id) else { return };
        let (no_ack, consumer_tag) = (consumer.wish.no_ack, consumer.wish.tag.clone());
        let handover = Handover {
            channel: address.channel,
            delivery_tag: tag,
            redelivered: entry.redelivered,
            extra: wire::extra_header(&queue.settings, &entry),
        };
        wire::delivery(session, &consumer_tag, handover, &message);
        self.turn.has_bytes(address.session, session);
        let seq = entry.seq;
        if no_ack {
            queue.stats.delivered_no_ack += 1;
            queue.consumers.rotate(true);
            settle(queue, self.store, &entry);
            return;
        }
        consumer.unacked += 1;
        let has_room = consumer.has_room();
        queue.consumers.rotate(has_room);
        queue.stats.delivered += 1;
        queue.stats.redelivered += u64::from(entry.redelivered);
        queue.went_out(&entry);
        mark(queue, &entry, seq);
        hold(session, address.channel, &mut entry);
        let delivery =
            Delivery { queue: queue.id, number: queue.number, consumer: Some(id), entry, at_ms: self.now_ms };
        if let Some(channel) = session.channel_mut(address.channel) {
            channel.unacked.push(tag, delivery);
        }
    }
}

/// What is out for the first time may come back marked after a crash.
pub(super) fn mark(queue: &mut Queue, entry: &Entry, seq: Seq) {
    if entry.stored && seq > queue.delivered_up_to {
        queue.delivered_up_to = seq;
    }
}

/// Where a channel holds much already, the log holds this one alone.
pub(super) fn hold(session: &Session, channel: u16, entry: &mut Entry) {
    let full = session.channel(channel).is_some_and(|channel| channel.unacked.bytes() > UNACKED_BYTES_MAX);
    if full && entry.stored {
        entry.message = None;
    }
}

/// An entry is gone for good. What a stream hands out stays where it is.
pub(super) fn settle(queue: &mut Queue, store: &mut Store, entry: &Entry) {
    if entry.stored
        && !queue.is_stream()
        && let Some(slot) = queue.index.settle(entry.seq)
    {
        store.settle(queue.number, entry.seq, slot);
    }
}
