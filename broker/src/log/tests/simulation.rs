//! Appender, writer, checkpoints, compaction and recovery together on a disk that loses power, against a model, over
//! many seeds. `WEFT_TEST_SCALE=soak` runs the 10,000.
//!
//! The model is the list of everything that was appended, in order. After a crash the log must hold what some prefix of
//! it amounts to, and that prefix must reach at least to the last thing that was called durable.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use proptest::{prelude::*, test_runner::Config};

use crate::log::{
    appender::Options,
    checkpoint::{Checkpoint, CheckpointWriter},
    group::Group,
    identity::LogId,
    open::{Opened, open_disk},
    position::Position,
    reader::scan_segment,
    record::{Body, Message, MessageFlags, Record, SeqRange, Target},
    state::{Effect, State, effects},
    tests::sim_disk::SimDisk,
    writer::WriteError,
};

mod check;
mod ops;

use ops::{Op, op};

const SEGMENT_BYTES: u32 = 8 << 10;
const QUEUES: u32 = 3;

/// What was appended: the effects of one record, or of one chain.
struct Step {
    end: Position,
    effects: Vec<Effect>,
}

struct World {
    disk: SimDisk,
    opened: Opened<SimDisk>,
    /// What the owner knows: like the state that recovery would build.
    state: State,
    /// The state that the last opening found, and everything appended since.
    base: State,
    steps: Vec<Step>,
    /// Not yet written by the log itself: gathered settlements.
    gathered: Vec<Effect>,
    held: Option<Group>,
    now_ms: u64,
    bodies: BTreeMap<(u32, u64), usize>,
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let opened = open(&disk).unwrap();
        Self {
            disk,
            opened,
            state: State::default(),
            base: State::default(),
            steps: Vec::new(),
            gathered: Vec::new(),
            held: None,
            now_ms: 1_000_000,
            bodies: BTreeMap::new(),
        }
    }

    fn run(&mut self, op: &Op) {
        self.now_ms += 1;
        match op {
            Op::Publish { queues, bytes, transient } => self.publish(*queues, *bytes, *transient),
            Op::Settle { queue, nth } => self.settle(*queue, *nth),
            Op::DeadLetter { from, to, nth } => self.dead_letter(*from, *to, *nth),
            Op::Deliver { queue } => self.deliver(*queue),
            Op::Return { queue, nth, count } => self.give_back(*queue, *nth, *count),
            Op::Purge { queue } => self.purge(*queue),
            Op::Declare { key, value } => self.declare(*key, *value),
            _ => self.run_machine(op),
        }
        if self.disk.is_off() {
            self.reopen(true, false);
        }
    }

    fn run_machine(&mut self, op: &Op) {
        match op {
            Op::Wait => {
                self.now_ms += 200;
                self.group();
            }
            Op::Prepare => self.prepare(),
            Op::Checkpoint => self.checkpoint(),
            Op::Reclaim => self.reclaim(),
            Op::Compact => self.compact(),
            Op::Full { room_segments } => {
                let used: u64 =
                    self.disk.names().iter().map(|name| self.disk.content(*name).len() as u64).sum();
                self.disk.set_room(Some(used + u64::from(*room_segments) * u64::from(SEGMENT_BYTES) / 2));
            }
            Op::Room => self.disk.set_room(None),
            Op::FailSync => self.disk.fail_next_sync(),
            Op::Kill => self.reopen(false, false),
            Op::Crash => self.reopen(true, false),
            Op::CrashTwice { steps } => {
                self.disk.crash();
                self.disk.cut_after(*steps);
                let _ = open(&self.disk);
                self.reopen(true, false);
            }
            Op::Close => self.close(),
            _ => self.group(),
        }
    }

    fn give_back(&mut self, queue: u32, nth: usize, count: u32) {
        if let Some(seq) = self.nth(queue, nth) {
            self.append(&[Record::Returned { queue, seq, count, note: b"why" }]);
        }
    }

    fn purge(&mut self, queue: u32) {
        if let Some((up_to, _)) = self.state.queues.get(&queue).and_then(|held| held.index.iter().last()) {
            self.append(&[Record::Purge { queue, up_to }]);
        }
    }

    fn declare(&mut self, key: u8, value: Option<u8>) {
        let (key, value) = (format!("exchange/{key}"), value.map(|value| [value; 5]));
        self.append(&[Record::Topology { key: &key, value: value.as_ref().map(|value| &value[..]) }]);
    }

    fn reclaim(&mut self) {
        let appender = &self.opened.appender;
        let dead = self.state.segments.take_reclaimable(appender.settled_at(), appender.durable());
        let _ = self.opened.writer.remove(&dead);
    }

    fn close(&mut self) {
        let owner = self.opened.identity.fencing;
        self.opened.appender.seal();
        // What is left, and the seal after it.
        self.group();
        self.group();
        let same = self.opened.identity.fencing == owner;
        let appender = &self.opened.appender;
        let sealed = appender.is_sealed() && appender.durable() == appender.end();
        let closed = same && self.held.is_none() && sealed;
        if closed {
            self.checkpoint();
        }
        self.reopen(true, closed && self.opened.identity.fencing == owner);
    }

    fn nth(&self, queue: u32, nth: usize) -> Option<u64> {
        self.state.queues.get(&queue)?.index.iter().nth(nth).map(|(seq, _)| seq)
    }

    fn next_seq(&self, queue: u32) -> u64 {
        self.state.queues.get(&queue).map_or(1, |held| held.next_seq.max(1))
    }

    fn publish(&mut self, queues: u8, bytes: usize, transient: bool) {
        let targets: Vec<Target> = (0..QUEUES)
            .filter(|queue| queues & (1 << queue) != 0)
            .map(|queue| Target { queue, seq: self.next_seq(queue), flags: 0 })
            .collect();
        let flags = if transient { MessageFlags::SPILLED_TRANSIENT } else { MessageFlags::PERSISTENT };
        if !transient {
            self.bodies.extend(targets.iter().map(|target| ((target.queue, target.seq), bytes)));
        }
        let body = [body(bytes)];
        self.append(&[Record::Message(message(flags, &targets, &body))]);
    }

    fn settle(&mut self, queue: u32, nth: usize) {
        let Some(seq) = self.nth(queue, nth) else { return };
        self.opened.appender.settle(queue, seq, self.now_ms);
        let effect = Effect::Settle { queue, range: SeqRange { first: seq, last: seq } };
        self.state.apply(effect.clone());
        self.gathered.push(effect);
    }

    fn deliver(&mut self, queue: u32) {
        let Some(seq) = self.nth(queue, 0) else { return };
        self.opened.appender.delivered(queue, seq, self.now_ms);
        let effect = Effect::Delivered { queue, up_to: seq };
        self.state.apply(effect.clone());
        self.gathered.push(effect);
    }

    fn dead_letter(&mut self, from: u32, to: u32, nth: usize) {
        let Some(seq) = self.nth(from, nth) else { return };
        let bytes = self.bodies[&(from, seq)];
        let targets = [Target { queue: to, seq: self.next_seq(to), flags: 0 }];
        self.bodies.insert((to, targets[0].seq), bytes);
        let body = [body(bytes)];
        let range = [SeqRange { first: seq, last: seq }];
        self.append(&[
            Record::Message(message(MessageFlags::PERSISTENT, &targets, &body)),
            Record::Settle { queue: from, ranges: Cow::Borrowed(&range) },
        ]);
    }

    /// Appends one record, or several that hold together.
    fn append(&mut self, records: &[Record<'_>]) {
        let appender = &mut self.opened.appender;
        let chain = records.len() > 1;
        if chain {
            appender.begin_chain();
        }
        let mut all = Vec::new();
        for record in records {
            let position = appender.append(record, self.now_ms).unwrap();
            effects(record, position, &mut all);
        }
        if chain {
            appender.end_chain();
        }
        let end = appender.end();
        self.state.segments.begin(appender.segment(), SEGMENT_BYTES.into());
        for effect in &all {
            self.state.apply(effect.clone());
        }
        self.steps.push(Step { end, effects: all });
    }

    /// The gathered settlements are in the log now, as one step a record: the model takes any part of them.
    fn settle_gathered(&mut self) {
        let end = self.opened.appender.end();
        let gathered = std::mem::take(&mut self.gathered);
        self.steps.push(Step { end, effects: gathered });
    }

    fn group(&mut self) {
        if self.held.is_none() {
            self.held = self.opened.appender.take_group(self.now_ms);
            if self.held.is_some() {
                self.settle_gathered();
            }
        }
        let Some(group) = &self.held else { return };
        match self.opened.writer.run(group) {
            Ok(completed) => {
                self.opened.appender.completed(completed);
                self.held = None;
            }
            Err(WriteError::Full) => {}
            Err(_) => self.reopen(true, false),
        }
    }

    fn prepare(&mut self) {
        match self.opened.writer.prepare_step() {
            Ok(_) | Err(WriteError::Full) => {}
            Err(_) => self.reopen(true, false),
        }
    }

    fn checkpoint(&mut self) {
        let Some(replay_from) = self.opened.appender.checkpoint_position() else { return };
        self.settle_gathered();
        let checkpoint = Checkpoint { state: self.state.clone(), replay_from };
        self.opened.appender.request_sync();
        self.group();
        if self.opened.appender.durable() < replay_from || self.held.is_some() {
            return;
        }
        let mut writer = CheckpointWriter::new(self.opened.identity.log, checkpoint);
        loop {
            match writer.step(self.opened.writer.disk()) {
                Ok(false) => {}
                Ok(true) => break,
                Err(_) => return,
            }
        }
        if writer.finish(self.opened.writer.disk()).is_ok() {
            self.state.segments.checkpointed(replay_from);
        }
    }

    fn compact(&mut self) {
        let closed_before = self.opened.appender.closed_before();
        let segments = &self.state.segments;
        let Some(segment) = segments.compaction_candidate(closed_before, Some(0), &BTreeSet::new()) else {
            return;
        };
        let mut found = Vec::new();
        let sums = self.opened.sums;
        let scanned = scan_segment(self.opened.writer.disk(), sums, segment, 0, |position, _, message| {
            found.push((position, message));
            true
        });
        if scanned.is_err() {
            return;
        }
        for (position, message) in found {
            let live = |target: &&Target| {
                let queue = self.state.queues.get(&target.queue);
                queue
                    .and_then(|queue| queue.index.slot(target.seq))
                    .is_some_and(|slot| slot.position == position)
            };
            let targets: Vec<Target> = message.targets.iter().filter(live).copied().collect();
            if !targets.is_empty() {
                self.append(&[Record::Moved(message.to_message(&targets))]);
            }
        }
    }
}

fn open(disk: &SimDisk) -> Result<Opened<SimDisk>, String> {
    let options = Options { segment_bytes: SEGMENT_BYTES, free_bytes_min: 0 };
    open_disk(disk.clone(), Path::new("sim"), "/", LogId::from_bytes([7; 16]), options)
        .map_err(|e| e.to_string())
}

fn body(bytes: usize) -> bytes::Bytes {
    let mut bytes_of = fastrand::Rng::with_seed(bytes as u64);
    std::iter::repeat_with(|| bytes_of.u8(..)).take(bytes).collect()
}

fn message<'a>(flags: MessageFlags, targets: &'a [Target], body: &'a [bytes::Bytes]) -> Message<'a> {
    Message {
        flags,
        expires_at_ms: 0,
        published_at_ms: 5,
        priority: 0,
        exchange: b"orders",
        routing_key: b"a.b",
        properties: b"\x00\x00",
        targets: Cow::Borrowed(targets),
        body: Body::Pieces(body),
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's size is no setting of the product")]
fn seeds() -> u32 {
    match std::env::var("WEFT_TEST_SCALE").as_deref() {
        Ok("soak") => 10_000,
        Err(_) | Ok("ci") => 100,
        Ok(other) => panic!("WEFT_TEST_SCALE is `{other}`: give ci or soak"),
    }
}

#[test]
fn the_invariants_hold_whatever_the_seed() {
    let config = Config { cases: seeds(), failure_persistence: None, ..Config::default() };
    proptest!(config, |(seed: u64, ops in prop::collection::vec((op(), prop::option::weighted(0.05, 0_u64..12)), 1..120))| {
        let mut world = World::new(seed);
        for (op, cut) in &ops {
            if let Some(steps) = cut {
                world.disk.cut_after(*steps);
            }
            world.run(op);
        }
        world.reopen(true, false);
    });
}
