//! Clients, a whole virtual host and its log on a disk that tears writes, fails to sync, fills up and loses power,
//! against a model of what was promised, over many seeds. `WEFT_TEST_SCALE=soak` runs the issue's 10,000.
//!
//! ```text
//!  ops (by seed) ─▶ clients ─▶ Vhost ─▶ groups ─▶ Writer ─▶ SimDisk ──crash──▶ recover ─▶ drained, compared, gone on with
//!                      │ confirms, deliveries                                                ▲
//!                      └────────────────────────▶ Promises ─────────────────────────────────┘
//! ```

use proptest::{prelude::*, test_runner::Config};

use super::{
    disk::OnDisk,
    harness::{Client, Got, START_MS, World},
};
use crate::{
    amqp::{
        method::{Method, Queue, basic, queue, tx},
        properties::Properties,
        value::FieldValue,
    },
    log::{checkpoint::CheckpointWriter, group::Group, tests::sim_disk::SimDisk, writer::WriteError},
    vhost::{Blocked, VhostLimits},
};

mod promises;

use promises::Promises;

const SEGMENT_BYTES: u32 = 16 << 10;
/// What the clients use: queues of each kind, one whose messages live for a moment, one of delayed messages, one with
/// priorities; and where dead messages go.
const QUEUES: [&str; 8] =
    ["classic", "quorum", "brief", "late", "ranked", "dead-classic", "dead-quorum", "dead-brief"];
/// Milliseconds that messages of `brief` live.
const BRIEF_MS: i32 = 300;
/// The longest delay of messages for `late`, milliseconds.
const LATE_MS_MAX: i32 = 600;
const PUBLISHERS: usize = 2;

#[derive(Debug, Clone)]
enum Op {
    Publish {
        publisher: usize,
        to: To,
        bytes: usize,
    },
    /// As a part of a transaction.
    TxPublish {
        to: To,
        bytes: usize,
    },
    Commit,
    Rollback,
    /// A queue comes, bound as others are, and gets a message; or one goes.
    Declare,
    Delete,
    Ack {
        nth: usize,
    },
    Reject {
        nth: usize,
        requeue: bool,
    },
    /// The consumer is gone and comes back.
    ConsumerBreaks,
    Group,
    Wait,
    Loads,
    Checkpoint,
    Prepare,
    FailSync,
    Full,
    Room,
    Kill,
    Crash,
    /// Power fails, and once more while the log is opened.
    CrashTwice {
        steps: u64,
    },
    /// Power fails in the middle of what is written next.
    CutAfter {
        steps: u64,
    },
}

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
enum To {
    Classic,
    Quorum,
    /// To both by the fanout exchange, and to the queues that come and go.
    Both,
    Brief,
    Late {
        delay_ms: i32,
    },
    Ranked {
        priority: u8,
    },
}

fn to() -> impl Strategy<Value = To> {
    prop_oneof![
        Just(To::Classic),
        Just(To::Quorum),
        Just(To::Both),
        Just(To::Brief),
        (1..LATE_MS_MAX).prop_map(|delay_ms| To::Late { delay_ms }),
        (0..4_u8).prop_map(|priority| To::Ranked { priority }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..PUBLISHERS, to(), 0..3000_usize).prop_map(|(publisher, to, bytes)| Op::Publish { publisher, to, bytes }),
        3 => (to(), 0..2000_usize).prop_map(|(to, bytes)| Op::TxPublish { to, bytes }),
        2 => Just(Op::Commit),
        1 => Just(Op::Rollback),
        1 => Just(Op::Declare),
        1 => Just(Op::Delete),
        8 => (0..8_usize).prop_map(|nth| Op::Ack { nth }),
        3 => (0..8_usize, any::<bool>()).prop_map(|(nth, requeue)| Op::Reject { nth, requeue }),
        1 => Just(Op::ConsumerBreaks),
        8 => Just(Op::Group),
        3 => Just(Op::Wait),
        3 => Just(Op::Loads),
        2 => Just(Op::Checkpoint),
        2 => Just(Op::Prepare),
        1 => Just(Op::FailSync),
        1 => Just(Op::Full),
        1 => Just(Op::Room),
        1 => Just(Op::Kill),
        1 => Just(Op::Crash),
        1 => (0..12_u64).prop_map(|steps| Op::CrashTwice { steps }),
        1 => (0..12_u64).prop_map(|steps| Op::CutAfter { steps }),
    ]
}

/// All of it.
struct Sim {
    disk: SimDisk,
    on: OnDisk,
    world: World,
    publishers: Vec<Client>,
    transactional: Option<Client>,
    consumer: Option<Client>,
    /// Queues that came, and those that went and may be back after a crash.
    extras: Vec<String>,
    gone: Vec<String>,
    declared: usize,
    /// What the open transaction has published.
    transaction: Vec<(To, String)>,
    promises: Promises,
    held: Option<Group>,
    crashes: u32,
}

fn open(disk: &SimDisk, now_ms: u64) -> Result<(World, OnDisk), String> {
    let limits = VhostLimits { garbage_bytes_min: 0, ..VhostLimits::default() };
    let (vhost, on) = OnDisk::open(disk, SEGMENT_BYTES, limits, now_ms)?;
    Ok((World::around(vhost, now_ms), on))
}

impl Sim {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let (world, on) = open(&disk, START_MS).expect("an empty disk opens");
        let mut sim = Self {
            disk,
            on,
            world,
            publishers: Vec::new(),
            transactional: None,
            consumer: None,
            extras: Vec::new(),
            gone: Vec::new(),
            declared: 0,
            transaction: Vec::new(),
            promises: Promises::default(),
            held: None,
            crashes: 0,
        };
        sim.connect();
        sim.settle_down();
        sim
    }

    /// Clients come, and declare what they use.
    fn connect(&mut self) {
        let mut first = self.world.client();
        let dead = || ("x-dead-letter-exchange", FieldValue::text(""));
        let key = |queue: &str| ("x-dead-letter-routing-key", FieldValue::text(format!("dead-{queue}")));
        first.declare("classic", &[dead(), key("classic")]);
        let quorum = ("x-queue-type", FieldValue::text("quorum"));
        first.declare("quorum", &[quorum, ("x-delivery-limit", FieldValue::I32(2)), dead(), key("quorum")]);
        first.declare("brief", &[dead(), key("brief"), ("x-message-ttl", FieldValue::I32(BRIEF_MS))]);
        first.declare("late", &[]).declare("ranked", &[("x-max-priority", FieldValue::I32(3))]);
        first.declare("dead-classic", &[]).declare("dead-quorum", &[]).declare("dead-brief", &[]);
        first.declare_exchange("both", "fanout", &[]);
        let direct = [("x-delayed-type", FieldValue::text("direct"))];
        first.declare_exchange("later", "x-delayed-message", &direct).bind("late", "later", "late");
        // A crash may have come between a declaration and its binding.
        for queue in ["classic", "quorum"].into_iter().chain(self.extras.iter().map(String::as_str)) {
            first.bind(queue, "both", "");
        }
        first.go(&mut self.world);
        first.vanish(&mut self.world);
        self.publishers = (0..PUBLISHERS).map(|_| self.world.client()).collect();
        for publisher in &mut self.publishers {
            publisher.confirm().go(&mut self.world);
        }
        let mut transactional = self.world.client();
        transactional.select_tx().go(&mut self.world);
        self.transactional = Some(transactional);
        self.promises.publishers_are_new(PUBLISHERS);
        self.consumer = None;
        self.consume();
    }

    fn consume(&mut self) {
        let mut consumer = self.world.client();
        for queue in QUEUES {
            consumer.consume_as(queue, queue, 4);
        }
        let got = consumer.go_whole(&mut self.world);
        self.consumer = Some(consumer);
        self.promises.consumer_is_new();
        self.promises.heard(&got);
    }

    fn run(&mut self, op: &Op) {
        self.world.now_ms += 1;
        match op {
            Op::Publish { publisher, to, bytes } => self.publish(*publisher, *to, *bytes),
            Op::TxPublish { to, bytes } => self.publish_in_transaction(*to, *bytes),
            Op::Commit => self.end_transaction(true),
            Op::Rollback => self.end_transaction(false),
            Op::Declare => self.declare(),
            Op::Delete => self.delete(),
            Op::Ack { nth } => self.answer(*nth, None),
            Op::Reject { nth, requeue } => self.answer(*nth, Some(*requeue)),
            Op::ConsumerBreaks => {
                if let Some(consumer) = self.consumer.take() {
                    consumer.vanish(&mut self.world);
                }
                self.consume();
            }
            Op::Wait => {
                self.world.pass(200);
                self.group();
            }
            Op::Group => self.group(),
            Op::Loads => self.serve_loads(),
            Op::Checkpoint => self.checkpoint(),
            Op::Prepare => {
                if !matches!(self.on.writer.prepare_step(), Ok(_) | Err(WriteError::Full)) {
                    self.crash(true, None);
                }
            }
            Op::FailSync => self.disk.fail_next_sync(),
            Op::Full => {
                let used: u64 =
                    self.disk.names().iter().map(|name| self.disk.content(*name).len() as u64).sum();
                self.disk.set_room(Some(used));
            }
            Op::Room => self.room(),
            Op::Kill => self.crash(false, None),
            Op::Crash => self.crash(true, None),
            Op::CrashTwice { steps } => self.crash(true, Some(*steps)),
            Op::CutAfter { steps } => self.disk.cut_after(*steps),
        }
        if self.disk.is_off() {
            self.crash(true, None);
        }
        self.listen();
    }

    fn publish(&mut self, publisher: usize, to: To, bytes: usize) {
        let (body, queues) = (self.promises.body(publisher, rank(to), bytes), self.queues_of(to));
        self.promises.published(publisher, &body, &queues);
        let client = &mut self.publishers[publisher];
        let got = send(client, to, &body).go(&mut self.world);
        self.promises.answered(publisher, &got);
    }

    fn publish_in_transaction(&mut self, to: To, bytes: usize) {
        let body = self.promises.body(PUBLISHERS, rank(to), bytes);
        self.transaction.push((to, body.clone()));
        if let Some(client) = &mut self.transactional {
            send(client, to, &body).go(&mut self.world);
        }
    }

    fn end_transaction(&mut self, commit: bool) {
        let method = if commit { tx::Tx::Commit(tx::Commit {}) } else { tx::Tx::Rollback(tx::Rollback {}) };
        // Routed when it is committed.
        let published = std::mem::take(&mut self.transaction);
        if commit {
            let queues = |to| self.queues_of(to).into_iter();
            let keys = published
                .into_iter()
                .flat_map(|(to, body)| queues(to).map(move |queue| (queue, body.clone())))
                .collect();
            self.promises.commits(keys);
        }
        if let Some(client) = &mut self.transactional {
            let got = client.send(&Method::Tx(method)).go(&mut self.world);
            self.promises.committed(&got);
        }
    }

    fn queues_of(&self, to: To) -> Vec<String> {
        let one = |queue: &str| vec![queue.to_owned()];
        match to {
            To::Classic => one("classic"),
            To::Quorum => one("quorum"),
            To::Brief => one("brief"),
            To::Late { .. } => one("late"),
            To::Ranked { .. } => one("ranked"),
            To::Both => {
                let extras = self.extras.iter().map(String::as_str);
                ["classic", "quorum"].into_iter().chain(extras).map(str::to_owned).collect()
            }
        }
    }

    /// A queue comes that was not there.
    fn declare(&mut self) {
        self.declared += 1;
        let name = format!("extra-{}", self.declared);
        let mut client = self.world.client();
        client.declare(&name, &[]).bind(&name, "both", "").go(&mut self.world);
        client.vanish(&mut self.world);
        self.extras.push(name);
    }

    /// The oldest of them goes, with what is in it.
    fn delete(&mut self) {
        if self.extras.is_empty() {
            return;
        }
        let name = self.extras.remove(0);
        let mut client = self.world.client();
        let delete = queue::Delete { queue: &name, ..Default::default() };
        client.send(&Method::Queue(Queue::Delete(delete))).go(&mut self.world);
        client.vanish(&mut self.world);
        self.promises.queue_is_gone(&name);
        self.gone.push(name);
    }

    /// Acknowledges one of the deliveries that are out, or rejects it.
    fn answer(&mut self, nth: usize, requeue: Option<bool>) {
        let Some(tag) = self.promises.nth_out(nth) else { return };
        let Some(consumer) = &mut self.consumer else { return };
        match requeue {
            None => consumer.ack(tag, false),
            Some(requeue) => consumer.nack(tag, requeue),
        };
        self.promises.settled(tag, requeue);
        let got = consumer.go_whole(&mut self.world);
        self.promises.heard(&got);
    }

    /// Everybody takes what has come.
    fn listen(&mut self) {
        for (at, publisher) in self.publishers.iter_mut().enumerate() {
            let got = publisher.got(&mut self.world);
            self.promises.answered(at, &got);
        }
        if let Some(client) = &mut self.transactional {
            let got = client.got(&mut self.world);
            self.promises.committed(&got);
        }
        if let Some(consumer) = &mut self.consumer {
            let got = consumer.messages(&mut self.world);
            self.promises.heard(&got);
        }
    }

    fn group(&mut self) {
        self.world.turn();
        if self.held.is_none() {
            self.held = self.world.vhost.take_group(self.world.now_ms);
            if let Some(group) = &self.held {
                self.promises.handed_over(group.end);
            }
        }
        let Some(group) = &self.held else { return };
        match self.on.writer.run(group) {
            Ok(completed) => {
                self.held = None;
                self.world.vhost.completed(completed, self.world.now_ms);
                self.promises.safe(completed.durable);
                let dead = self.world.vhost.take_reclaimable();
                // As the broker's reader: what was located is read before its segment goes.
                self.serve_loads();
                if self.on.writer.remove(&dead).is_err() {
                    return self.crash(true, None);
                }
                self.world.turn();
            }
            Err(WriteError::Full) => self.world.vhost.set_blocked(Blocked::DiskFull, true),
            Err(_) => self.crash(true, None),
        }
    }

    fn room(&mut self) {
        self.disk.set_room(None);
        self.world.vhost.set_blocked(Blocked::DiskFull, false);
    }

    fn checkpoint(&mut self) {
        let Some(checkpoint) = self.world.vhost.checkpoint() else { return };
        let (replay_from, crashes) = (checkpoint.replay_from, self.crashes);
        self.group();
        if self.held.is_some() || self.disk.is_off() || self.crashes > crashes {
            return;
        }
        let mut writer = CheckpointWriter::new(self.on.log, checkpoint);
        loop {
            match writer.step(self.on.writer.disk()) {
                Ok(false) => {}
                Ok(true) => break,
                Err(_) => return,
            }
        }
        if self.on.writer.sync().is_ok_and(|durable| durable >= replay_from)
            && writer.finish(self.on.writer.disk()).is_ok()
        {
            self.world.vhost.checkpointed(replay_from);
            self.world.turn();
        }
    }

    /// Reads what the virtual host has asked for.
    fn serve_loads(&mut self) {
        self.world.turn();
        while !self.world.loads.is_empty() {
            let load = self.world.loads.remove(0);
            self.on.read(&mut self.world.vhost, &load, self.world.now_ms);
            self.world.turn();
        }
    }

    /// Writes and reads until nothing is left to do.
    fn settle_down(&mut self) {
        for _ in 0..20 {
            self.world.pass(200);
            self.serve_loads();
            self.group();
            self.listen();
        }
    }

    /// The process ends, with the power or without; what is there afterwards is what was promised. Power may fail once
    /// more while the log is opened.
    fn crash(&mut self, power: bool, again_after: Option<u64>) {
        if power {
            self.disk.crash();
        } else {
            self.disk.kill();
        }
        self.disk.set_room(None);
        self.held = None;
        self.crashes += 1;
        let now_ms = self.world.now_ms;
        if let Some(steps) = again_after {
            self.disk.cut_after(steps);
            let opened = open(&self.disk, now_ms);
            assert!(opened.is_ok() || self.disk.is_off(), "the log opens while there is power");
            drop(opened);
            self.disk.crash();
        }
        (self.world, self.on) = open(&self.disk, now_ms).expect("the log opens after a crash");
        (self.consumer, self.transactional) = (None, None);
        self.transaction.clear();
        self.promises.crashed();
        let drained = self.drain();
        self.promises.after_crash(&drained);
        self.connect();
    }

    /// All that is in the queues, in order, when all that was delayed has come.
    fn drain(&mut self) -> Vec<(String, String)> {
        for _ in 0..3 {
            self.serve_loads();
            self.world.pass(u64::try_from(LATE_MS_MAX).expect("a time"));
        }
        self.serve_loads();
        self.extras.append(&mut self.gone);
        let world = &self.world;
        self.extras.retain(|queue| world.ready(queue).is_some());
        let queues: Vec<String> =
            QUEUES.into_iter().map(str::to_owned).chain(self.extras.iter().cloned()).collect();
        let mut client = self.world.client();
        let mut drained = Vec::new();
        for queue in &queues {
            if self.world.ready(queue).is_none() {
                continue;
            }
            client.consume_as(queue, queue, 0);
            let mut got = client.go_whole(&mut self.world);
            for _ in 0..100 {
                self.serve_loads();
                self.group();
                got.extend(client.messages(&mut self.world));
                if self.world.ready(queue) == Some(0) {
                    break;
                }
            }
            assert_eq!(self.world.ready(queue), Some(0), "everything in {queue} can be read");
            let bodies = got.into_iter().filter_map(|(got, _)| match got {
                Got::Delivery(_, _, body) => Some((queue.clone(), body)),
                _ => None,
            });
            drained.extend(bodies);
            client.cancel(queue).go(&mut self.world);
        }
        client.vanish(&mut self.world);
        drained
    }
}

/// What orders messages of one publisher.
fn rank(to: To) -> u8 {
    if let To::Ranked { priority } = to { priority } else { 0 }
}

fn send<'c>(client: &'c mut Client, to: To, body: &str) -> &'c mut Client {
    let (exchange, routing_key) = match to {
        To::Classic => ("", "classic"),
        To::Quorum => ("", "quorum"),
        To::Both => ("both", ""),
        To::Brief => ("", "brief"),
        To::Late { .. } => ("later", "late"),
        To::Ranked { .. } => ("", "ranked"),
    };
    let headers = match to {
        To::Late { delay_ms } => {
            Some([("x-delay".to_owned(), FieldValue::I32(delay_ms))].into_iter().collect())
        }
        _ => None,
    };
    let properties =
        Properties { delivery_mode: Some(2), priority: Some(rank(to)), headers, ..Default::default() };
    client.publish_with(basic::Publish { exchange, routing_key, ..Default::default() }, &properties, body)
}

/// How many seeds: small for each run, the issue's figure for soak.
#[expect(clippy::disallowed_methods, reason = "the tests' scale comes from one variable")]
fn cases() -> u32 {
    if std::env::var("WEFT_TEST_SCALE").is_ok_and(|scale| scale == "soak") { 10_000 } else { 60 }
}

proptest! {
    #![proptest_config(Config { cases: cases(), max_shrink_iters: 4_000, ..Config::default() })]

    #[test]
    fn the_invariants_hold_whatever_the_seed(seed in any::<u64>(), ops in prop::collection::vec(op(), 1..150)) {
        let mut sim = Sim::new(seed);
        for op in &ops {
            sim.run(op);
        }
        sim.room();
        sim.settle_down();
        sim.crash(true, None);
    }
}
