//! What the virtual host writes down: messages, their ends, and declarations. In front of the log's appender; it keeps
//! the account of segments beside it.

use std::sync::Arc;

use crate::{
    log::{
        appender::Appender,
        group::{Completed, Group},
        index::{Aux, QueueIndex, Slot},
        position::Position,
        reader::StoredMessage,
        record::{Body, Message as Stored, MessageFlags, Record, SeqRange, Target},
        segments::Segments,
        state::SLOT_TRANSIENT,
    },
    message::Message,
    queue::{Entry, Seq},
};

/// In a slot's flags: the message expires in this queue. A record has one time for all its queues.
pub(super) const FLAG_EXPIRES: u8 = 1;

/// So long after something recent was read back, what is written is expected to be read back, too: whoever lags behind
/// meets it in the system's cache of files.
pub(super) const READ_BACK_MS: u64 = 10_000;
/// What was written so lately, or in twice the time, is recent; what is older may well be in no cache any more.
const RECENT_MS: u64 = 60_000;

/// What an entry of a queue and its slot weigh, about: counted against who published it.
const TARGET_BYTES: usize = 128;

/// The log, as the virtual host writes it.
#[derive(Debug)]
pub(super) struct Store {
    appender: Appender,
    pub(super) segments: Segments,
    /// A group is with the writer.
    writing: bool,
    /// What the writer has written, durable or not: memory may let go of it.
    written: Position,
    group_end: Position,
    /// Chains that are open, one in another.
    chains: u32,
    /// Something is in the outermost: one with nothing in it is not written.
    chain_is_written: bool,
    pub(super) now_ms: u64,
    /// Records that were too large for the log.
    pub(super) refused: u64,
    /// Bytes of memory that messages took that were appended, ever.
    pub(super) appended: u64,
    /// What lies from here on is recent, and will be when that is counted anew, which was done last at this time.
    recent_from: Position,
    recent_next: Position,
    recent_at_ms: u64,
    /// Until when what is written is expected to be read back.
    read_back_until_ms: u64,
    /// Bytes handed to the writer since the last checkpoint.
    pub(super) since_checkpoint: u64,
}

impl Store {
    pub(super) fn new(appender: Appender, segments: Segments) -> Self {
        let end = appender.end();
        Self {
            appender,
            segments,
            writing: false,
            written: end,
            group_end: end,
            chains: 0,
            chain_is_written: false,
            now_ms: 0,
            refused: 0,
            recent_from: end,
            recent_next: end,
            recent_at_ms: 0,
            read_back_until_ms: 0,
            since_checkpoint: 0,
            appended: 0,
        }
    }

    /// Stores a message for all these queues; its place.
    pub(super) fn message(
        &mut self,
        message: &Message,
        expires_at_ms: u64,
        targets: &[Target],
        flags: MessageFlags,
    ) -> Position {
        let size = message.body_size();
        let shared = message.shared_body().map(std::slice::from_ref);
        let flags = if message.traits().has_died { flags.and(MessageFlags::DIED) } else { flags };
        let stored = Stored {
            flags,
            expires_at_ms,
            published_at_ms: message.published_at_ms(),
            priority: message.traits().priority,
            exchange: message.exchange().as_bytes(),
            routing_key: message.routing_key().as_bytes(),
            properties: message.properties(),
            targets: targets.into(),
            body: shared.map_or_else(|| Body::Slice(message.body()), Body::Pieces),
        };
        let position = self.append(&Record::Message(stored));
        self.segments.acquire(position, size, targets.len() as u64);
        self.appended += (message.footprint() + targets.len() * TARGET_BYTES) as u64;
        position
    }

    /// The same message at a new place, for those that still hold it.
    pub(super) fn moved(&mut self, message: &StoredMessage, targets: &[Target]) -> Position {
        let size = u32::try_from(message.body.len()).unwrap_or(u32::MAX);
        let position = self.append(&Record::Moved(message.to_message(targets)));
        self.segments.acquire(position, size, targets.len() as u64);
        position
    }

    /// Hands the log a message that memory should not hold; it is gone after a restart all the same.
    pub(super) fn spill(&mut self, message: &Arc<Message>, queue: u32, entry: &Entry) -> Slot {
        let target = Target { queue, seq: entry.seq, flags: flags(entry) };
        let position = self.message(message, entry.expires_at_ms, &[target], MessageFlags::SPILLED_TRANSIENT);
        let Slot { position, size, aux } = slot_of(position, entry);
        Slot { position, size, aux: Aux::new(aux.flags() | SLOT_TRANSIENT, aux.priority(), aux.deliveries()) }
    }

    /// A message is gone from its queue.
    pub(super) fn settle(&mut self, queue: u32, seq: Seq, slot: Slot) {
        self.segments.release(slot.position, slot.size);
        if self.chains > 0 {
            let range = [SeqRange { first: seq, last: seq }];
            self.append(&Record::Settle { queue, ranges: (&range[..]).into() });
        } else {
            self.appender.settle(queue, seq, self.now_ms);
        }
    }

    /// Messages up to this one may have been delivered.
    pub(super) fn delivered(&mut self, queue: u32, up_to: Seq) {
        self.appender.delivered(queue, up_to, self.now_ms);
    }

    /// A message came back for the `count`th time.
    pub(super) fn returned(&mut self, queue: u32, seq: Seq, count: u32) {
        self.append(&Record::Returned { queue, seq, count, note: &[] });
    }

    /// Nothing of this index is needed any more.
    pub(super) fn release(&mut self, index: &QueueIndex) {
        for (_, slot) in index.iter() {
            self.segments.release(slot.position, slot.size);
        }
    }

    /// A queue is gone.
    pub(super) fn forget(&mut self, queue: u32) {
        self.append(&Record::Forget { queue });
    }

    /// A declaration, or its end.
    pub(super) fn declare(&mut self, key: &str, value: Option<&[u8]>) {
        self.append(&Record::Topology { key, value });
    }

    fn append(&mut self, record: &Record<'_>) -> Position {
        if self.chains > 0 && !self.chain_is_written {
            self.chain_is_written = true;
            self.appender.begin_chain();
        }
        match self.appender.append(record, self.now_ms) {
            Ok(position) => position,
            // Bodies are limited far below it.
            Err(_) => {
                self.refused += 1;
                Position::NONE
            }
        }
    }

    pub(super) fn begin_chain(&mut self) {
        self.chains += 1;
    }

    pub(super) fn end_chain(&mut self) {
        self.chains = self.chains.saturating_sub(1);
        if self.chains == 0 && std::mem::take(&mut self.chain_is_written) {
            self.appender.end_chain();
        }
    }

    /// Everything so far is to be safe with the next group.
    pub(super) fn request_sync(&mut self) {
        self.appender.request_sync();
    }

    /// Ends the log in order.
    pub(super) fn seal(&mut self) {
        self.appender.seal();
    }

    /// Where the next record goes: what was appended so far is durable when all before this is.
    pub(super) fn end(&self) -> Position {
        self.appender.end()
    }

    /// All before this is safe.
    pub(super) fn durable(&self) -> Position {
        self.appender.durable()
    }

    /// All before this is written, if not safe.
    pub(super) fn written(&self) -> Position {
        self.written
    }

    /// The next group, unless one is with the writer.
    pub(super) fn take_group(&mut self) -> Option<Group> {
        if self.writing {
            return None;
        }
        self.count_recent();
        let mut group = self.appender.take_group(self.now_ms)?;
        // What nobody waits for the cache takes at once.
        group.past_cache = group.sync && self.now_ms >= self.read_back_until_ms;
        self.writing = true;
        self.group_end = group.end;
        self.since_checkpoint += group.bytes();
        for write in &group.writes {
            if let Some(bytes) = write.begins {
                self.segments.begin(write.segment, bytes.into());
            }
        }
        Some(group)
    }

    /// A message is read back.
    pub(super) fn reads_back(&mut self, position: Position) {
        if position >= self.recent_from {
            self.read_back_until_ms = self.now_ms.saturating_add(READ_BACK_MS);
        }
    }

    fn count_recent(&mut self) {
        if self.now_ms >= self.recent_at_ms.saturating_add(RECENT_MS) {
            self.recent_from = std::mem::replace(&mut self.recent_next, self.appender.end());
            self.recent_at_ms = self.now_ms;
        }
    }

    /// The writer has done its group.
    pub(super) fn completed(&mut self, completed: Completed) {
        self.writing = false;
        self.written = self.written.max(self.group_end);
        self.appender.completed(completed);
    }

    /// Whether a group is with the writer.
    pub(super) fn is_writing(&self) -> bool {
        self.writing
    }

    /// When something waits that must be written by itself.
    pub(super) fn sync_due(&self) -> Option<u64> {
        self.appender.sync_due()
    }

    /// Bytes that wait for the writer.
    pub(super) fn pending_bytes(&self) -> usize {
        self.appender.pending_bytes()
    }

    /// From where recovery replays on top of a checkpoint of now.
    pub(super) fn checkpoint_position(&mut self) -> Option<Position> {
        let position = self.appender.checkpoint_position()?;
        self.appender.request_sync();
        Some(position)
    }

    /// Segments below this one take no more records, and are written.
    pub(super) fn closed_before(&self) -> u32 {
        let closed = self.appender.closed_before();
        // The end of the last one may be with the writer still.
        if self.written < self.end() { closed.min(self.written.segment()) } else { closed }
    }

    /// Once this is durable, so is all that happened so far.
    pub(super) fn settled_at(&self) -> Position {
        self.appender.settled_at()
    }

    /// Whether what closes the log was handed out.
    pub(super) fn is_sealed(&self) -> bool {
        self.appender.is_sealed()
    }
}

/// What a slot says of an entry at a position.
pub(super) fn slot_of(position: Position, entry: &Entry) -> Slot {
    let deliveries = u16::try_from(entry.delivery_count).unwrap_or(u16::MAX);
    Slot { position, size: entry.size, aux: Aux::new(flags(entry), entry.priority, deliveries) }
}

/// The flags of an entry's slot.
pub(super) fn flags(entry: &Entry) -> u8 {
    if entry.expires_at_ms == 0 { 0 } else { FLAG_EXPIRES }
}
