//! What waits in a classic or quorum queue: one line a priority, and what it weighs.

use super::{
    entry::{Entry, Seq},
    lane::{Cold, Lane, Next},
};

/// Messages of a queue in memory before further ones may go to the disk only.
pub const WARM_MESSAGES: usize = 4096;
/// Bytes of messages of a queue in memory before further ones may go to the disk only.
pub const WARM_BYTES: usize = 2 * 1024 * 1024;
/// The same where the memory of the virtual host is short.
pub const WARM_BYTES_SHORT: usize = 64 * 1024;
/// Bytes of bodies that are asked for at once; one message may be larger.
pub const LOAD_BYTES: u64 = 1024 * 1024;
/// Below so many loaded messages, more are asked for.
pub const LOAD_BELOW: usize = 256;

/// Lines by priority; the last is the highest.
#[derive(Debug)]
pub struct Lines {
    lanes: Vec<Lane>,
    next_seq: Seq,
    ready: u64,
    ready_bytes: u64,
    warm_bytes: usize,
    /// Whether any of its messages may expire.
    expiring: bool,
}

/// How memory stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Enough.
    Ample,
    /// The virtual host is over its budget.
    Short,
}

impl Memory {
    fn warm_bytes(self) -> usize {
        match self {
            Self::Ample => WARM_BYTES,
            Self::Short => WARM_BYTES_SHORT,
        }
    }
}

impl Lines {
    /// Empty ones, for priorities from 0 to this.
    pub fn new(max_priority: u8) -> Self {
        let lanes = (0..=max_priority).map(|_| Lane::default()).collect();
        Self { lanes, next_seq: 1, ready: 0, ready_bytes: 0, warm_bytes: 0, expiring: false }
    }

    /// Lines that are on the disk, as after a start: for each priority its range, the bytes of all, the next seq.
    pub fn of_cold(cold: Vec<Cold>, bytes: u64, next_seq: Seq) -> Self {
        let ready = cold.iter().map(|cold| cold.count).sum();
        let lanes = cold.into_iter().map(Lane::of_cold).collect();
        Self { lanes, next_seq, ready, ready_bytes: bytes, warm_bytes: 0, expiring: ready > 0 }
    }

    /// The highest priority.
    pub fn max_priority(&self) -> u8 {
        u8::try_from(self.lanes.len().saturating_sub(1)).unwrap_or(u8::MAX)
    }

    /// The place of the next message.
    pub fn take_seq(&mut self) -> Seq {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    /// The place that the next message will have.
    pub fn next_seq(&self) -> Seq {
        self.next_seq
    }

    /// Messages that wait.
    pub fn ready(&self) -> u64 {
        self.ready
    }

    /// Bytes of bodies that wait.
    pub fn ready_bytes(&self) -> u64 {
        self.ready_bytes
    }

    /// Bytes of memory that waiting messages hold.
    pub fn warm_bytes(&self) -> usize {
        self.warm_bytes
    }

    /// Whether any message may expire by itself.
    pub fn is_expiring(&self) -> bool {
        self.expiring
    }

    /// Puts one in at the end of its line. Where much is in memory already it stands behind what may be evicted.
    pub fn push(&mut self, entry: Entry, memory: Memory) {
        self.count_in(&entry);
        let over = self.warm_bytes > memory.warm_bytes();
        if let Some(lane) = lane(&mut self.lanes, entry.priority) {
            let behind = over || lane.warm() >= WARM_MESSAGES;
            lane.push(entry, behind);
        }
    }

    /// Puts one back where it was.
    pub fn put_back(&mut self, entry: Entry) {
        self.count_in(&entry);
        if let Some(lane) = lane(&mut self.lanes, entry.priority) {
            lane.put_back(entry);
        }
    }

    /// What is next, left where it is.
    pub fn peek(&mut self) -> Next<'_> {
        match self.lanes.iter_mut().rev().find(|lane| !lane.is_empty()) {
            Some(lane) => lane.peek(),
            None => Next::Empty,
        }
    }

    /// Takes the next one, if it is in memory with its message.
    pub fn pop(&mut self) -> Option<Entry> {
        let lane = self.lanes.iter_mut().rev().find(|lane| !lane.is_empty())?;
        match lane.peek() {
            Next::Entry(entry) if entry.message.is_some() => {}
            _ => return None,
        }
        let entry = lane.pop()?;
        self.count_out(&entry);
        Some(entry)
    }

    /// Takes the next one, with or without its message; a cold one as `cold` makes an entry of its seq.
    pub fn pop_any(&mut self, cold: impl FnOnce(Seq, u8) -> Option<Entry>) -> Option<Entry> {
        let at = self.lanes.iter().rposition(|lane| !lane.is_empty())?;
        let lane = self.lanes.get_mut(at)?;
        let entry = match lane.peek() {
            Next::Entry(_) => lane.pop()?,
            Next::Cold(from) => {
                let entry = cold(from, u8::try_from(at).unwrap_or(u8::MAX))?;
                lane.drop_cold(entry.seq);
                entry
            }
            Next::Empty => return None,
        };
        self.count_out(&entry);
        Some(entry)
    }

    /// Gives messages that were loaded to where they stand.
    pub fn warm_up(&mut self, entry: Entry) {
        let Some(lane) = lane(&mut self.lanes, entry.priority) else { return };
        let before = lane.warm();
        let footprint = entry.footprint();
        let waited = lane.is_unloaded(entry.seq);
        lane.warm_up(entry);
        if waited || lane.warm() > before {
            self.warm_bytes += footprint;
        }
    }

    /// One that was to be loaded cannot be read: it is gone.
    pub fn lose(&mut self, entry: &Entry) {
        if let Some(lane) = lane(&mut self.lanes, entry.priority)
            && lane.lose(entry.seq)
        {
            self.count_out(entry);
        }
    }

    /// Moves to the disk what is there already and stands far behind.
    pub fn evict(&mut self, is_written: impl Fn(&Entry) -> bool) {
        for lane in &mut self.lanes {
            while let Some(freed) = lane.evict_front(&is_written) {
                self.warm_bytes = self.warm_bytes.saturating_sub(freed);
            }
        }
    }

    /// Lets go of the messages that came back and that the log holds.
    pub fn forget_returned(&mut self) {
        for lane in &mut self.lanes {
            self.warm_bytes = self.warm_bytes.saturating_sub(lane.forget_returned());
        }
    }

    /// Entries that only memory holds and that could go to the disk.
    pub fn unstored(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.lanes.iter_mut().flat_map(Lane::unstored_in_tail)
    }

    /// What should be loaded for the next ones to be in memory: seqs that came back, or where the cold ones begin.
    pub fn wanted(&self, from_memory: usize) -> Option<Wanted> {
        let at = self.lanes.iter().rposition(|lane| !lane.is_empty())?;
        let lane = self.lanes.get(at)?;
        let mut bytes = 0_u64;
        let fits = |entry: &&Entry| {
            let before = bytes;
            bytes += u64::from(entry.size);
            before < LOAD_BYTES
        };
        let returned: Vec<Seq> =
            lane.returned_unloaded().take(LOAD_BELOW).take_while(fits).map(|entry| entry.seq).collect();
        if !returned.is_empty() {
            return Some(Wanted::Returned(returned));
        }
        let cold = lane.cold();
        let priority = u8::try_from(at).unwrap_or(u8::MAX);
        (cold.count > 0 && lane.warm() < from_memory).then_some(Wanted::Cold { cold, priority })
    }

    /// Takes everything out: what was in memory, and the cold ranges by priority.
    pub fn clear(&mut self) -> (Vec<Entry>, Vec<(u8, Cold)>) {
        let mut warm = Vec::new();
        let mut cold = Vec::new();
        for (priority, lane) in self.lanes.iter_mut().enumerate() {
            let (entries, range) = lane.clear();
            warm.extend(entries);
            if range.count > 0 {
                cold.push((u8::try_from(priority).unwrap_or(u8::MAX), range));
            }
        }
        (self.ready, self.ready_bytes, self.warm_bytes) = (0, 0, 0);
        (warm, cold)
    }

    /// Those in memory, first to last of each line, the highest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lanes.iter().rev().flat_map(Lane::entries)
    }

    fn count_in(&mut self, entry: &Entry) {
        self.ready += 1;
        self.ready_bytes += u64::from(entry.size);
        self.warm_bytes += entry.footprint();
        self.expiring |= entry.expires_at_ms != 0;
    }

    fn count_out(&mut self, entry: &Entry) {
        self.ready = self.ready.saturating_sub(1);
        self.ready_bytes = self.ready_bytes.saturating_sub(u64::from(entry.size));
        self.warm_bytes = self.warm_bytes.saturating_sub(entry.footprint());
    }
}

/// What [`Lines::wanted`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Just these.
    Returned(Vec<Seq>),
    /// The first of these, as many as one reads at once.
    Cold {
        /// The range.
        cold: Cold,
        /// Of this priority.
        priority: u8,
    },
}

/// The line of a priority; the highest for all above.
fn lane(lanes: &mut [Lane], priority: u8) -> Option<&mut Lane> {
    let at = usize::from(priority).min(lanes.len().saturating_sub(1));
    lanes.get_mut(at)
}
