//! What was promised to the clients of a simulation, and whether it was kept.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::{
    amqp::value::{FieldTable, FieldValue},
    log::position::Position,
    vhost::tests::harness::{CONSUMER_TAG, Got},
};

/// What the name of a queue of dead messages begins with, before the name of where they died.
const DEAD: &str = "dead-";

/// Queues whose dead letters are kept.
const MOVING: [&str; 3] = ["classic", "quorum", "brief"];

/// One message in one queue.
#[derive(Debug, Default)]
struct Fate {
    /// The publisher was told that it is safe.
    confirmed: bool,
    /// A consumer has acknowledged it.
    acked: bool,
    /// And that is safe as well.
    ack_safe: bool,
    /// It was rejected, or came back too often: it may be among the dead.
    may_have_moved: bool,
}

/// A message in a queue: the queue, the body.
type Key = (String, String);
/// What waits for its confirm, by tag.
type Waiting = BTreeMap<u64, Vec<Key>>;

/// The model.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// By queue and body.
    fates: BTreeMap<Key, Fate>,
    /// Publishes so far, by publisher.
    counts: HashMap<usize, u64>,
    /// Of each publisher's connection: the last tag, and what waits for its confirm.
    waiting: Vec<(u64, Waiting)>,
    /// What the commits did that are not answered yet.
    commits: VecDeque<Vec<Key>>,
    /// Deliveries that are out: tag, queue, body.
    out: BTreeMap<u64, Key>,
    /// Acknowledgements that no group holds yet, and those that one does.
    loose: Vec<Key>,
    handed: Vec<(Position, Key)>,
}

impl Promises {
    pub(super) fn publishers_are_new(&mut self, count: usize) {
        self.waiting = (0..count).map(|_| (0, BTreeMap::new())).collect();
    }

    pub(super) fn consumer_is_new(&mut self) {
        for key in std::mem::take(&mut self.out).into_values().filter(|(queue, _)| queue == "quorum") {
            self.moves(&key);
        }
    }

    /// The body of the next message: it names publisher, order and priority.
    pub(super) fn body(&mut self, publisher: usize, rank: u8, bytes: usize) -> String {
        let count = self.counts.entry(publisher).or_insert(0);
        *count += 1;
        format!("{publisher}/{count:06}/{rank}/{}", "x".repeat(bytes))
    }

    /// A message is published.
    pub(super) fn published(&mut self, publisher: usize, body: &str, queues: &[String]) {
        let keys = self.begin(queues.iter().map(|queue| (queue.clone(), body.to_owned())).collect());
        let (last, waiting) = &mut self.waiting[publisher];
        *last += 1;
        waiting.insert(*last, keys);
    }

    /// Messages that may be there from now on.
    fn begin(&mut self, keys: Vec<Key>) -> Vec<Key> {
        for key in &keys {
            self.fates.insert(key.clone(), Fate::default());
            if key.0 == "brief" {
                self.moves(key);
            }
        }
        keys
    }

    /// What a transaction did is there from now on.
    pub(super) fn commits(&mut self, keys: Vec<Key>) {
        let keys = self.begin(keys);
        self.commits.push_back(keys);
    }

    /// The transactional client was told something.
    pub(super) fn committed(&mut self, got: &[Got]) {
        for _ in got.iter().filter(|got| **got == Got::Method("tx.commit_ok")) {
            for key in self.commits.pop_front().expect("a commit waits") {
                // Of a queue that was deleted meanwhile nothing is promised any more.
                self.fates.entry(key).or_default().confirmed = true;
            }
        }
    }

    /// A queue was deleted: what was in it may be back until that is safe.
    pub(super) fn queue_is_gone(&mut self, name: &str) {
        for (_, fate) in self.fates.iter_mut().filter(|((queue, _), _)| queue == name) {
            fate.acked = true;
        }
    }

    /// A publisher was told something.
    pub(super) fn answered(&mut self, publisher: usize, got: &[Got]) {
        let waiting = &mut self.waiting[publisher].1;
        for got in got {
            let confirmed: Vec<u64> = match got {
                Got::Ack(tag, true) => waiting.range(..=*tag).map(|(tag, _)| *tag).collect(),
                Got::Ack(tag, false) => vec![*tag],
                Got::Nack(tag) => {
                    waiting.remove(tag);
                    Vec::new()
                }
                Got::Method(_) => Vec::new(),
                other => panic!("a publisher got {other:?}"),
            };
            for key in confirmed.iter().filter_map(|tag| waiting.remove(tag)).flatten() {
                self.fates.entry(key).or_default().confirmed = true;
            }
        }
    }

    /// The consumer got something; its consumers are named by their queues.
    pub(super) fn heard(&mut self, got: &[(Got, FieldTable)]) {
        for (got, table) in got {
            if let Got::Delivery(tag, _, body) = got {
                let queue =
                    table.find(CONSUMER_TAG).and_then(FieldValue::as_str).expect("a delivery has a consumer");
                let key = (queue.to_owned(), body.clone());
                let fate = self.fates.entry(key.clone()).or_default();
                assert!(!fate.ack_safe, "{} {:.16} was acknowledged, and is delivered again", key.0, key.1);
                let doubled = self.out.values().any(|other| *other == key);
                assert!(!doubled, "{} {:.16} is with two consumers", key.0, key.1);
                self.out.insert(*tag, key);
            }
        }
    }

    /// The tag of one of the deliveries that are out.
    pub(super) fn nth_out(&self, nth: usize) -> Option<u64> {
        self.out.keys().nth(nth).copied()
    }

    /// The consumer has acknowledged one, or rejected it.
    pub(super) fn settled(&mut self, tag: u64, requeue: Option<bool>) {
        let Some(key) = self.out.remove(&tag) else { return };
        let fate = self.fates.entry(key.clone()).or_default();
        match requeue {
            None => {
                fate.acked = true;
                self.loose.push(key);
            }
            Some(false) => self.dies(&key),
            // It may have been once too often.
            Some(true) if key.0 == "quorum" => self.moves(&key),
            Some(true) => {}
        }
    }

    /// It was rejected: it is where dead letters of its queue go, or nowhere.
    fn dies(&mut self, key: &Key) {
        if MOVING.contains(&&*key.0) {
            return self.moves(key);
        }
        self.fates.entry(key.clone()).or_default().acked = true;
    }

    fn moves(&mut self, key: &Key) {
        let confirmed = self.fates.entry(key.clone()).or_default();
        confirmed.may_have_moved = true;
        self.fates.entry((format!("{DEAD}{}", key.0), key.1.clone())).or_default();
    }

    /// A group has been made: it holds every acknowledgement so far.
    pub(super) fn handed_over(&mut self, end: Position) {
        self.handed.extend(self.loose.drain(..).map(|key| (end, key)));
    }

    /// All before this is safe.
    pub(super) fn safe(&mut self, durable: Position) {
        for (end, key) in std::mem::take(&mut self.handed) {
            if end <= durable {
                self.fates.entry(key).or_default().ack_safe = true;
            } else {
                self.handed.push((end, key));
            }
        }
    }

    /// What was on its way to the log is not any more.
    pub(super) fn crashed(&mut self) {
        self.loose.clear();
        self.handed.clear();
    }

    /// What was in the queues after a crash: compared, and taken as what is true from now on.
    pub(super) fn after_crash(&mut self, drained: &[Key]) {
        let found: HashSet<&Key> = drained.iter().collect();
        assert_eq!(found.len(), drained.len(), "nothing is in a queue twice");
        for key in drained {
            let fate =
                self.fates.get(key).unwrap_or_else(|| panic!("{} {:.16} was never published", key.0, key.1));
            assert!(!fate.ack_safe, "{} {:.16} was acknowledged, and is back", key.0, key.1);
        }
        for (key, fate) in self.fates.iter().filter(|(_, fate)| fate.confirmed && !fate.acked) {
            let elsewhere = (format!("{DEAD}{}", key.0), key.1.clone());
            let dead_is_gone = self.fates.get(&elsewhere).is_some_and(|fate| fate.acked);
            let moved = fate.may_have_moved && (found.contains(&elsewhere) || dead_is_gone);
            assert!(found.contains(key) || moved, "{} {:.16} was confirmed, and is lost", key.0, key.1);
        }
        self.whole_or_not_at_all(&found);
        in_order(drained);
        self.settle_down(&found.into_iter().cloned().collect());
    }

    /// Of a commit that was not answered all is there, or nothing.
    fn whole_or_not_at_all(&self, found: &HashSet<&Key>) {
        for commit in &self.commits {
            let is_gone = |key: &&Key| {
                let fate = self.fates.get(*key);
                fate.is_some_and(|fate| fate.acked || fate.may_have_moved)
            };
            let (there, missing): (Vec<_>, Vec<_>) =
                commit.iter().filter(|key| !is_gone(key)).partition(|key| found.contains(key));
            let short =
                |keys: &[&Key]| keys.iter().map(|key| format!("{} {:.16}", key.0, key.1)).collect::<Vec<_>>();
            let (there, missing) = (short(&there), short(&missing));
            assert!(there.is_empty() || missing.is_empty(), "{there:?} without {missing:?}");
        }
    }

    /// What is there is there for good, and what is not never comes back.
    fn settle_down(&mut self, found: &HashSet<Key>) {
        self.fates.retain(|key, _| found.contains(key));
        for fate in self.fates.values_mut() {
            *fate = Fate { confirmed: true, ..Fate::default() };
        }
        for key in found.iter().filter(|(queue, _)| queue == "brief") {
            self.moves(key);
        }
        // Looking at them was a delivery that came back, which a quorum queue counts.
        let counted: Vec<_> = found.iter().filter(|(queue, _)| queue == "quorum").cloned().collect();
        for key in counted {
            self.moves(&key);
        }
        self.commits.clear();
        self.out.clear();
    }
}

/// In each queue but those of the dead and the delayed, a publisher's messages stand in the order in which they came, of
/// each priority.
fn in_order(drained: &[Key]) {
    let mut last: HashMap<(&str, &str, &str), &str> = HashMap::new();
    for (queue, body) in drained.iter().filter(|(queue, _)| !queue.starts_with(DEAD) && queue != "late") {
        let parts: Vec<&str> = body.splitn(4, '/').collect();
        let before = last.insert((queue, parts[0], parts[2]), parts[1]);
        let is_next = before.is_none_or(|before| before < parts[1]);
        assert!(is_next, "{queue}: {body:.20} after {before:.20?}");
    }
}
