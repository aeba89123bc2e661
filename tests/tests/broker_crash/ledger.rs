//! The book of what was confirmed, delivered and acknowledged over several lives of a broker, and the rules that must
//! hold over it. Pure: instants are passed in; faults are collected, for who writes into the book does not judge.
//!
//! ```text
//!  published ─▶ confirmed ─────────────────────────────▶ must be seen, once all queues are empty
//!  delivered ─▶ held ──(an end, if long enough before)─▶ comes back marked
//!     └─ acknowledged ─(an end, if long enough before)─▶ never comes back
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

/// An acknowledgement older than this is not forgotten (`ACK_SYNC_MS_MAX` of the broker).
const SYNC: Duration = Duration::from_millis(200);
/// What a busy machine may add to it before the broker even looks.
const MARGIN: Duration = Duration::from_millis(300);
/// Faults that are written down; more tell nothing new.
const FAULTS_MAX: usize = 20;
/// Octets of a body that say which message it is; more are padding.
pub(crate) const NAME_BYTES: usize = 9;

/// A message: who published it, and its number there, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Message {
    pub(crate) publisher: u8,
    pub(crate) number: u64,
}

impl Message {
    /// A body of so many octets that says which one it is.
    pub(crate) fn body(self, bytes: usize) -> Vec<u8> {
        let mut body = vec![self.publisher];
        body.extend_from_slice(&self.number.to_be_bytes());
        let filler = u8::try_from(self.number % 251).unwrap_or_default();
        body.resize(bytes.max(NAME_BYTES), filler);
        body
    }

    /// Which one a body is, all of its octets compared.
    pub(crate) fn of(body: &[u8]) -> anyhow::Result<Self> {
        let (publisher, rest) = body.split_first().context("an empty body")?;
        let number = rest.first_chunk().context("a short body")?;
        let message = Self { publisher: *publisher, number: u64::from_be_bytes(*number) };
        ensure!(body == message.body(body.len()), "the body of {message:?} is not as it was published");
        Ok(message)
    }
}

/// One queue.
#[derive(Debug, Default)]
struct Book {
    confirmed: BTreeSet<Message>,
    /// Confirmed, and not yet seen.
    awaited: BTreeSet<Message>,
    seen: HashSet<Message>,
    /// The highest number of each publisher ever, and in this life.
    highest: HashMap<u8, u64>,
    highest_now: HashMap<u8, u64>,
    /// Delivered in this life and not known to be acknowledged, with the time.
    held: HashMap<Message, Instant>,
    /// Known to be acknowledged in this life, with the time.
    acknowledged: HashMap<Message, Instant>,
    /// May not come back.
    settled: HashSet<Message>,
    /// Must be marked when they come back.
    marked: HashSet<Message>,
}

/// All queues.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    books: BTreeMap<String, Book>,
    faults: Vec<String>,
    /// How many ended lives there are.
    lives: u32,
    /// Messages that were confirmed, deliveries, those that came back after an end.
    pub(crate) confirms: u64,
    pub(crate) deliveries: u64,
    pub(crate) returns: u64,
}

impl Ledger {
    /// The broker has taken a message for this queue.
    pub(crate) fn confirmed(&mut self, queue: &str, message: Message) {
        self.confirms += 1;
        let book = self.book(queue);
        book.confirmed.insert(message);
        if !book.seen.contains(&message) {
            book.awaited.insert(message);
        }
    }

    /// A consumer has got a message.
    pub(crate) fn delivered(&mut self, queue: &str, message: Message, redelivered: bool, now: Instant) {
        self.deliveries += 1;
        let book = self.book(queue);
        let faults = book.delivered(message, redelivered, now);
        if !faults.is_empty() {
            let lives = self.lives;
            for fault in faults {
                self.fault(format!("{queue}, after {lives} ends: {message:?} {fault}"));
            }
        }
        if redelivered {
            self.returns += 1;
        }
    }

    /// The broker has answered to what was sent behind these acknowledgements.
    pub(crate) fn acknowledged(&mut self, queue: &str, messages: &[Message], now: Instant) {
        let book = self.book(queue);
        for message in messages {
            book.held.remove(message);
            book.acknowledged.insert(*message, now);
        }
    }

    /// The broker has ended, at this instant or later.
    pub(crate) fn ended(&mut self, at: Instant) {
        self.lives += 1;
        for book in self.books.values_mut() {
            book.ended(at);
        }
    }

    /// Something else is wrong.
    pub(crate) fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    /// What was confirmed for a queue.
    pub(crate) fn confirmed_of(&self, queue: &str) -> BTreeSet<Message> {
        self.books.get(queue).map(|book| book.confirmed.clone()).unwrap_or_default()
    }

    /// Confirmed messages that no consumer has seen.
    pub(crate) fn unseen(&self) -> Vec<(&str, Message)> {
        let books = self.books.iter();
        books
            .flat_map(|(queue, book)| book.awaited.iter().map(|message| (queue.as_str(), *message)))
            .collect()
    }

    /// Whether every rule held so far.
    pub(crate) fn verdict(&self) -> anyhow::Result<()> {
        ensure!(self.faults.is_empty(), "{}", self.faults.join("\n"));
        Ok(())
    }

    fn book(&mut self, queue: &str) -> &mut Book {
        self.books.entry(queue.to_owned()).or_default()
    }
}

impl Book {
    fn delivered(&mut self, message: Message, redelivered: bool, now: Instant) -> Vec<String> {
        let Message { publisher, number } = message;
        let mut faults = Vec::new();
        if self.settled.contains(&message) {
            faults.push(format!("comes back, acknowledged more than {SYNC:?} before an end"));
        }
        let before = self.highest_now.insert(publisher, number).unwrap_or(0);
        if number <= before {
            faults.push(format!("comes after {before} in one life"));
        }
        self.awaited.remove(&message);
        if self.seen.insert(message) {
            let highest = self.highest.entry(publisher).or_insert(0);
            if number <= *highest {
                faults.push(format!("is seen for the first time after {highest}"));
            }
            *highest = number.max(*highest);
        }
        if self.marked.remove(&message) && !redelivered {
            faults.push("comes back without being marked as redelivered".to_owned());
        }
        self.held.insert(message, now);
        faults
    }

    fn ended(&mut self, at: Instant) {
        let is_old = |since: Instant| since + SYNC + MARGIN <= at;
        self.settled
            .extend(self.acknowledged.drain().filter(|(_, since)| is_old(*since)).map(|(one, _)| one));
        self.marked.extend(self.held.drain().filter(|(_, since)| is_old(*since)).map(|(one, _)| one));
        self.highest_now.clear();
    }
}

#[test]
fn an_old_acknowledgement_that_is_forgotten_is_a_fault() {
    let mut ledger = Ledger::default();
    let (start, message) = (Instant::now(), Message { publisher: 0, number: 1 });
    ledger.delivered("q", message, false, start);
    ledger.acknowledged("q", &[message], start);
    ledger.ended(start + SYNC + MARGIN);
    ledger.delivered("q", message, true, start);
    assert!(ledger.verdict().is_err());
}

#[test]
fn a_young_acknowledgement_may_be_forgotten_and_an_unmarked_return_may_not() {
    let mut ledger = Ledger::default();
    let (start, message) = (Instant::now(), Message { publisher: 0, number: 1 });
    ledger.delivered("q", message, false, start);
    ledger.acknowledged("q", &[message], start);
    ledger.ended(start + SYNC);
    ledger.delivered("q", message, true, start);
    ledger.verdict().unwrap();
    ledger.ended(start + SYNC + MARGIN);
    ledger.delivered("q", message, false, start);
    assert!(ledger.verdict().is_err());
}

#[test]
fn a_confirmed_message_that_nobody_sees_is_found() {
    let mut ledger = Ledger::default();
    let message = Message { publisher: 0, number: 1 };
    ledger.confirmed("q", message);
    assert_eq!(ledger.unseen(), [("q", message)]);
}
