//! What was promised to the clients of a simulation, and whether it was kept.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    amqp::value::{FieldTable, FieldValue},
    log::position::Position,
    vhost::tests::harness::{CONSUMER_TAG, Got},
};

use super::QUEUES;

/// What the name of a queue of dead messages begins with, before the name of where they died.
const DEAD: &str = "dead-";

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

/// What waits for its confirm, by tag: queues and bodies.
type Waiting = BTreeMap<u64, Vec<(String, String)>>;

/// The model.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// By queue and body.
    fates: BTreeMap<(String, String), Fate>,
    /// Publishes so far, by publisher.
    counts: HashMap<usize, u64>,
    /// Of each publisher's connection: the last tag, and what waits for its confirm.
    waiting: Vec<(u64, Waiting)>,
    /// Deliveries that are out: tag, queue, body.
    out: BTreeMap<u64, (String, String)>,
    /// Acknowledgements that no group holds yet, and those that one does.
    loose: Vec<(String, String)>,
    handed: Vec<(Position, (String, String))>,
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

    /// A message is published: its body, which names publisher and order.
    pub(super) fn published(&mut self, publisher: usize, to: usize, bytes: usize) -> String {
        let count = self.counts.entry(publisher).or_insert(0);
        *count += 1;
        let body = format!("{publisher}/{count:06}/{}", "x".repeat(bytes));
        let queues: Vec<&str> = if to == 2 { vec![QUEUES[0], QUEUES[1]] } else { vec![QUEUES[to]] };
        let keys: Vec<_> = queues.into_iter().map(|queue| (queue.to_owned(), body.clone())).collect();
        for key in &keys {
            self.fates.insert(key.clone(), Fate::default());
        }
        let (last, waiting) = &mut self.waiting[publisher];
        *last += 1;
        waiting.insert(*last, keys);
        body
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
                assert!(!fate.ack_safe, "{key:.40?} was acknowledged, and is delivered again");
                let doubled = self.out.values().any(|other| *other == key);
                assert!(!doubled, "{key:.40?} is with two consumers");
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
            Some(false) => self.moves(&key),
            // It may have been once too often.
            Some(true) if key.0 == "quorum" => self.moves(&key),
            Some(true) => {}
        }
    }

    fn moves(&mut self, key: &(String, String)) {
        if key.0.starts_with(DEAD) {
            // Nothing takes what is rejected there.
            let fate = self.fates.entry(key.clone()).or_default();
            fate.acked = true;
            return;
        }
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

    /// What was in the queues after a crash: compared, and taken as what is true from now on.
    pub(super) fn after_crash(&mut self, drained: &[(String, String)]) {
        let found: HashSet<&(String, String)> = drained.iter().collect();
        assert_eq!(found.len(), drained.len(), "nothing is in a queue twice");
        for key in drained {
            let fate = self.fates.get(key).unwrap_or_else(|| panic!("{key:.40?} was never published"));
            assert!(!fate.ack_safe, "{key:.40?} was acknowledged, and is back");
        }
        for (key, fate) in self.fates.iter().filter(|(_, fate)| fate.confirmed && !fate.acked) {
            let elsewhere = (format!("{DEAD}{}", key.0), key.1.clone());
            let dead_is_gone = self.fates.get(&elsewhere).is_some_and(|fate| fate.acked);
            let moved = fate.may_have_moved && (found.contains(&elsewhere) || dead_is_gone);
            assert!(found.contains(key) || moved, "{key:.40?} was confirmed, and is lost");
        }
        in_order(drained);
        self.settle_down(&found.into_iter().cloned().collect());
    }

    /// What is there is there for good, and what is not never comes back.
    fn settle_down(&mut self, found: &HashSet<(String, String)>) {
        self.fates.retain(|key, _| found.contains(key));
        for fate in self.fates.values_mut() {
            *fate = Fate { confirmed: true, ..Fate::default() };
        }
        // Looking at them was a delivery that came back, which a quorum queue counts.
        let counted: Vec<_> = found.iter().filter(|(queue, _)| queue == "quorum").cloned().collect();
        for key in counted {
            self.moves(&key);
        }
        self.out.clear();
        self.loose.clear();
        self.handed.clear();
    }
}

/// In each queue but those of the dead, a publisher's messages stand in the order in which they came.
fn in_order(drained: &[(String, String)]) {
    let mut last: HashMap<(&str, &str), &str> = HashMap::new();
    for (queue, body) in drained.iter().filter(|(queue, _)| !queue.starts_with(DEAD)) {
        let publisher = body.split('/').next().unwrap_or_default();
        let before = last.insert((queue, publisher), body);
        let is_next = before.is_none_or(|before| before < body.as_str());
        assert!(is_next, "{queue}: {body:.20} after {before:.20?}");
    }
}
