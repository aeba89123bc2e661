//! A stream: an append-only line that consumers read without taking anything out, each from its own offset.
//!
//! The newest messages are in memory, so who follows the end reads nothing from the disk. Who reads further back has
//! a small buffer of its own that is filled from the log. RabbitMQ's "Streams" is the specification.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{consumers::ConsumerId, entry::Seq};
use crate::{message::Message, policy::consume::StreamOffset};

/// Bytes of the newest messages in memory.
pub const RECENT_BYTES_MAX: usize = 1024 * 1024;
/// Messages that a reader from the disk has in memory before it asks for more.
pub const READ_AHEAD: usize = 128;
/// One time is noted for so many messages,
const MARK_EVERY: Seq = 64;
/// and for each that comes so many milliseconds after the last that was noted.
const MARK_EVERY_MS: u64 = 1000;

/// What one consumer gets next.
#[derive(Debug)]
pub enum StreamNext {
    /// This one.
    Message(Seq, Arc<Message>),
    /// Something that has to be read first, from this offset on.
    Load(Seq),
    /// What is being read already.
    Loading,
    /// Nothing for now.
    End,
}

#[derive(Debug, Default)]
struct Cursor {
    next: Seq,
    buffer: VecDeque<(Seq, Arc<Message>)>,
    loading: bool,
}

/// The stream.
#[derive(Debug, Default)]
pub struct Stream {
    first: Seq,
    next: Seq,
    /// Readers get what stands before this: a crash takes nothing of it back.
    safe: Seq,
    bytes: u64,
    recent: VecDeque<(Seq, Arc<Message>)>,
    recent_bytes: usize,
    marks: VecDeque<(Seq, u64)>,
    cursors: BTreeMap<ConsumerId, Cursor>,
}

impl Stream {
    /// One that the log holds from `first` up to, not including, `next`, with what bodies weigh, and when those came whose
    /// time was noted.
    pub fn of_log(first: Seq, next: Seq, bytes: u64, times: impl IntoIterator<Item = (Seq, u64)>) -> Self {
        let mut last_ms = 0;
        let rising = |(seq, at_ms): (Seq, u64)| {
            last_ms = at_ms.max(last_ms);
            (seq, last_ms)
        };
        let marks = times.into_iter().map(rising).collect();
        let mut stream = Self { first, next, safe: next, bytes, marks, ..Self::default() };
        stream.forget_marks();
        stream
    }

    /// Whether the time of the next message is noted, if it comes now.
    pub fn notes_time(&self, at_ms: u64) -> bool {
        let pause = |(_, last): &(Seq, u64)| at_ms >= last.saturating_add(MARK_EVERY_MS);
        self.next.is_multiple_of(MARK_EVERY) || self.marks.back().is_none_or(pause)
    }

    /// The times that are noted.
    pub fn times(&self) -> impl Iterator<Item = (Seq, u64)> + '_ {
        self.marks.iter().copied()
    }

    /// The offset of the next message.
    pub fn next_seq(&self) -> Seq {
        self.next
    }

    /// The offset of the first message that is there.
    pub fn first_seq(&self) -> Seq {
        self.first
    }

    /// Messages in it.
    pub fn len(&self) -> u64 {
        self.next - self.first
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of bodies.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of memory that it holds.
    pub fn warm_bytes(&self) -> usize {
        self.recent_bytes
    }

    /// Appends one; its offset.
    pub fn push(&mut self, message: Arc<Message>) -> Seq {
        let seq = self.next;
        let at_ms = message.published_at_ms();
        if self.notes_time(at_ms) {
            let last_ms = self.marks.back().map_or(0, |(_, last)| *last);
            self.marks.push_back((seq, at_ms.max(last_ms)));
        }
        self.next += 1;
        self.bytes += message.body().len() as u64;
        self.recent_bytes += message.footprint();
        self.recent.push_back((seq, message));
        seq
    }

    /// Whether the last ones are not durable yet.
    pub fn has_unsafe(&self) -> bool {
        self.safe < self.next
    }

    /// The offset behind the last one that readers may have.
    pub fn safe_seq(&self) -> Seq {
        self.safe
    }

    /// Lets readers have the next ones, as far as they are durable. Whether there are any.
    pub fn reveal(&mut self, is_durable: impl Fn(Seq) -> bool) -> bool {
        let before = self.safe;
        while self.safe < self.next && is_durable(self.safe) {
            self.safe += 1;
        }
        self.safe > before
    }

    /// Lets go of the oldest of what is in memory, where it is written and too much.
    pub fn evict(&mut self, is_written: impl Fn(Seq) -> bool) {
        while self.recent_bytes > RECENT_BYTES_MAX {
            let Some((_, message)) = self.recent.front().filter(|(seq, _)| is_written(*seq)) else { return };
            self.recent_bytes = self.recent_bytes.saturating_sub(message.footprint());
            self.recent.pop_front();
        }
    }

    /// Whether the first one is to go: the stream weighs more than `bytes_max`, or what stands behind the first came
    /// before `oldest_ms`. The last one stays.
    pub fn is_over(&self, bytes_max: Option<u64>, oldest_ms: Option<u64>) -> bool {
        let heavy = bytes_max.is_some_and(|max| self.bytes > max);
        let old = oldest_ms.is_some_and(|oldest| self.marks.get(1).is_some_and(|(_, at)| *at < oldest));
        self.len() > 1 && (heavy || old)
    }

    /// When the messages behind the first mark came: from then on the first ones may be too old.
    pub fn oldest_mark_ms(&self) -> Option<u64> {
        self.marks.get(1).map(|(_, at)| *at)
    }

    /// Takes the first one out; its offset.
    pub fn drop_first(&mut self, size: u64) -> Seq {
        let seq = self.first;
        self.first += 1;
        self.safe = self.safe.max(self.first);
        self.bytes = self.bytes.saturating_sub(size);
        self.forget_marks();
        while self.recent.front().is_some_and(|(recent, _)| *recent < self.first) {
            if let Some((_, message)) = self.recent.pop_front() {
                self.recent_bytes = self.recent_bytes.saturating_sub(message.footprint());
            }
        }
        seq
    }

    /// The one at the first message or before it is the oldest that says something.
    fn forget_marks(&mut self) {
        while self.marks.get(1).is_some_and(|(mark, _)| *mark <= self.first) {
            self.marks.pop_front();
        }
    }

    /// A consumer begins.
    pub fn attach(&mut self, consumer: ConsumerId, offset: StreamOffset, now_ms: u64) {
        let next = match offset {
            StreamOffset::First => self.first,
            StreamOffset::Last => self.next.saturating_sub(1).max(self.first),
            StreamOffset::Next => self.next,
            StreamOffset::Offset(at) => at.max(self.first),
            StreamOffset::TimestampSeconds(at) => self.since(at.saturating_mul(1000)),
            StreamOffset::AgoMs(ago) => self.since(now_ms.saturating_sub(ago)),
        };
        self.cursors.insert(consumer, Cursor { next, ..Cursor::default() });
    }

    /// As precise as the marks are: at most so many too early, never one too late.
    fn since(&self, at_ms: u64) -> Seq {
        let behind = self.marks.partition_point(|(_, mark_ms)| *mark_ms < at_ms);
        let before = behind.checked_sub(1).and_then(|at| self.marks.get(at));
        if before.is_some_and(|(_, mark_ms)| mark_ms.saturating_add(MARK_EVERY_MS) <= at_ms) {
            // All between two marks came within the pause after the first.
            return self.marks.get(behind).map_or(self.next, |(seq, _)| *seq).max(self.first);
        }
        if behind == self.marks.len()
            && self.recent.back().is_some_and(|(_, last)| last.published_at_ms() < at_ms)
        {
            return self.next;
        }
        let from = before.map_or(self.first, |(seq, _)| *seq).max(self.first);
        let exact =
            self.recent.iter().find(|(seq, message)| *seq >= from && message.published_at_ms() >= at_ms);
        match (exact, self.recent.front()) {
            (Some((seq, _)), Some((oldest, _))) if *oldest <= from => *seq,
            _ => from,
        }
    }

    /// A consumer ends.
    pub fn detach(&mut self, consumer: ConsumerId) {
        self.cursors.remove(&consumer);
    }

    /// What a consumer gets next; it is taken to have it.
    pub fn next_for(&mut self, consumer: ConsumerId) -> StreamNext {
        let Some(cursor) = self.cursors.get_mut(&consumer) else { return StreamNext::End };
        cursor.next = cursor.next.max(self.first);
        while cursor.buffer.front().is_some_and(|(seq, _)| *seq < cursor.next) {
            cursor.buffer.pop_front();
        }
        if let Some((seq, message)) = cursor.buffer.pop_front() {
            cursor.next = seq + 1;
            return StreamNext::Message(seq, message);
        }
        if cursor.next >= self.safe {
            return StreamNext::End;
        }
        if let Some((oldest, _)) = self.recent.front()
            && let Some(ahead) = cursor.next.checked_sub(*oldest)
        {
            let found = usize::try_from(ahead).ok().and_then(|at| self.recent.get(at));
            if let Some((seq, message)) = found {
                cursor.next = seq + 1;
                return StreamNext::Message(*seq, Arc::clone(message));
            }
        }
        if cursor.loading {
            return StreamNext::Loading;
        }
        cursor.loading = true;
        StreamNext::Load(cursor.next)
    }

    /// What was read for a consumer, in order. Nothing at all means that it cannot be read: it is passed over.
    pub fn loaded(&mut self, consumer: ConsumerId, messages: Vec<(Seq, Arc<Message>)>, behind: Seq) {
        let Some(cursor) = self.cursors.get_mut(&consumer) else { return };
        cursor.loading = false;
        if messages.is_empty() {
            cursor.next = cursor.next.max(behind);
        }
        cursor.buffer.extend(messages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Parts, Traits};

    const A: ConsumerId = ConsumerId(1);

    fn message(at_ms: u64) -> Arc<Message> {
        let parts = Parts { exchange: "", routing_key: "s", properties: &[0, 0] };
        Message::inline(parts, &[0; 1000], Traits::default(), at_ms)
    }

    fn stream(count: u64) -> Stream {
        let mut stream = Stream::default();
        for at in 0..count {
            stream.push(message(at * 10));
        }
        stream.reveal(|_| true);
        stream
    }

    fn read(stream: &mut Stream) -> Vec<Seq> {
        std::iter::from_fn(|| match stream.next_for(A) {
            StreamNext::Message(seq, _) => Some(seq),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn a_consumer_begins_where_it_asked_to() {
        let cases = [
            (StreamOffset::First, vec![0, 1, 2, 3, 4]),
            (StreamOffset::Last, vec![4]),
            (StreamOffset::Next, vec![]),
            (StreamOffset::Offset(3), vec![3, 4]),
            (StreamOffset::AgoMs(975), vec![3, 4]),
            (StreamOffset::AgoMs(0), vec![]),
            (StreamOffset::TimestampSeconds(0), vec![0, 1, 2, 3, 4]),
            (StreamOffset::TimestampSeconds(1), vec![]),
        ];
        for (offset, expected) in cases {
            let mut stream = stream(5);
            stream.attach(A, offset, 1000);
            assert_eq!(read(&mut stream), expected, "{offset:?}");
        }
    }

    #[test]
    fn readers_wait_for_what_is_not_durable() {
        let mut stream = stream(2);
        stream.attach(A, StreamOffset::First, 1000);
        stream.push(message(0));
        stream.push(message(0));
        assert_eq!(read(&mut stream), [0, 1]);
        assert!(stream.reveal(|seq| seq < 3));
        assert_eq!(read(&mut stream), [2]);
        assert!(!stream.reveal(|seq| seq < 3) && stream.has_unsafe());
    }

    #[test]
    fn what_is_not_in_memory_is_asked_for_once() {
        let mut stream = stream(5000);
        stream.evict(|_| true);
        stream.attach(A, StreamOffset::First, 0);
        assert!(matches!(stream.next_for(A), StreamNext::Load(0)));
        assert!(matches!(stream.next_for(A), StreamNext::Loading));
        stream.loaded(A, vec![(0, message(0)), (1, message(0))], 2);
        assert_eq!(read(&mut stream), [0, 1]);
    }

    #[test]
    fn the_oldest_go_when_it_is_too_heavy_or_too_old() {
        let mut stream = stream(10);
        while stream.is_over(Some(4000), None) {
            stream.drop_first(1000);
        }
        assert_eq!((stream.first_seq(), stream.len(), stream.bytes()), (6, 4, 4000));
        stream.attach(A, StreamOffset::Offset(2), 0);
        assert_eq!(read(&mut stream), [6, 7, 8, 9]);
    }
}
