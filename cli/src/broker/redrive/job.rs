//! The decisions of `weft redrive`: how many messages to ask for, what becomes of each, and when one may be
//! acknowledged. Pure: events and times in, decisions out.
//!
//! ```text
//!  ask ─▶ got ─┬─ leave ─────────────────────────────▶ held, returned to the queue at the end
//!              └─ send ─▶ pending ─┬─ confirmed ─────▶ acknowledged: only now it leaves the queue
//!                                  └─ returned, nack ▶ held
//! ```
//! A message is in its old queue until the broker has confirmed it for the new one: so it may come twice, if the
//! broker or we die in between, and never not at all.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use super::tally::{Fate, Place, Tally};
use crate::broker::{
    amqp::Message,
    filter::Filter,
    origin::{self, Origin},
};

/// Messages under way at most.
const WINDOW: u64 = 64;
/// Bytes of bodies under way, as far as the largest seen so far tells.
const WINDOW_BYTES: u64 = 4 << 20;
/// A message that has come back so often is not returned again: a queue with a delivery limit (20 by default in a quorum
/// queue) would take it out.
const CAME_BACK_MAX: i64 = 10;

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The queue of dead letters.
    pub queue: String,
    /// To the queue in which they died, rather than to the exchange.
    pub to_queue: bool,
    /// What must hold for them.
    pub filters: Vec<Filter>,
    /// So many a second at most.
    pub rate: Option<u32>,
    /// So many at most.
    pub limit: Option<u64>,
    /// Nothing is moved.
    pub dry_run: bool,
    /// Messages that came back often are returned again.
    pub force: bool,
    /// Who publishes.
    pub user: String,
}

/// Why it ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// Somebody said so.
    Interrupted,
    /// A message has come back too often.
    CameBack,
    /// Messages that stay have been held for too long.
    HeldTooLong,
}

/// A message for its way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Of the delivery.
    pub tag: u64,
    /// Where it is counted.
    pub place: Place,
    /// How often it came back.
    pub came_back: i64,
    /// The exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// Flags and property list.
    pub properties: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

/// One that waits for its confirm.
#[derive(Debug)]
struct Pending {
    tag: u64,
    place: Place,
    came_back: i64,
    prints: Prints,
    returned: bool,
}

/// By what a message that comes back is told from others: two that are equal in all of it are exchangeable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prints {
    whole: u64,
    /// Without the properties, which a broker may write anew.
    loose: u64,
}

/// The state of one redrive.
#[derive(Debug)]
pub struct Job {
    plan: Plan,
    /// Messages of the beginning that have not been asked for: what dies meanwhile is not taken, or a message that dies at
    /// once again would go round for ever.
    remaining: u64,
    asked: u64,
    sent: u64,
    pending: BTreeMap<u64, Pending>,
    largest: u64,
    held: u64,
    halt: Option<Halt>,
    tally: Tally,
}

impl Job {
    /// One for a queue with so many messages.
    pub fn new(plan: Plan, waiting: u64) -> Self {
        Self {
            plan,
            remaining: waiting,
            asked: 0,
            sent: 0,
            pending: BTreeMap::new(),
            largest: 1,
            held: 0,
            halt: None,
            tally: Tally::default(),
        }
    }

    /// One that has come so far, and has nothing under way.
    #[cfg(test)]
    pub(crate) fn resumed(plan: Plan, tally: Tally) -> Self {
        Self { tally, ..Self::new(plan, 0) }
    }

    /// How many messages to ask for now, so long after the beginning. They count as asked for.
    pub fn ask(&mut self, elapsed: Duration) -> u64 {
        let pending = self.pending.len() as u64;
        let window = (WINDOW_BYTES / self.largest).clamp(1, WINDOW).saturating_sub(self.asked + pending);
        let taken = self.tally.total().redriven + pending + self.asked;
        let limit = self.plan.limit.map_or(u64::MAX, |limit| limit.saturating_sub(taken));
        let rate = match self.plan.rate {
            Some(rate) if !self.plan.dry_run => {
                allowed(rate, elapsed).saturating_sub(self.sent.saturating_add(self.asked))
            }
            _ => u64::MAX,
        };
        let count = window.min(limit).min(rate).min(self.remaining);
        self.asked += count;
        self.remaining -= count;
        count
    }

    /// The queue is empty.
    pub fn empty(&mut self) {
        self.asked = self.asked.saturating_sub(1);
        self.remaining = 0;
    }

    /// A message came. `None`: it stays.
    pub fn got(&mut self, tag: u64, message: Message) -> Option<Publication> {
        self.asked = self.asked.saturating_sub(1);
        self.largest = self.largest.max(message.body.len() as u64);
        let headers = origin::headers(&message.properties);
        let came_back = origin::delivery_count(&headers);
        let Some(origin) = Origin::of(&headers) else {
            self.tally.without_origin += 1;
            self.hold(came_back);
            return None;
        };
        let place = Place::of(&origin);
        if !self.plan.filters.iter().all(|filter| filter.holds(&origin, &headers)) {
            self.leave(place, came_back, Fate::Filtered);
            return None;
        }
        let Plan { to_queue, user, .. } = &self.plan;
        let Ok(properties) = origin.restore(&message.properties, *to_queue, user) else {
            self.tally.without_origin += 1;
            self.hold(came_back);
            return None;
        };
        let (exchange, routing_key) = origin.target(*to_queue);
        let (exchange, routing_key) = (exchange.to_owned(), routing_key.to_owned());
        Some(Publication { tag, place, came_back, exchange, routing_key, properties, body: message.body })
    }

    /// There is nowhere to publish it to: it stays.
    pub fn has_no_target(&mut self, publication: Publication) {
        self.leave(publication.place, publication.came_back, Fate::Unroutable);
    }

    /// A dry run would publish it.
    pub fn would_send(&mut self, publication: Publication) {
        self.leave(publication.place, publication.came_back, Fate::Redriven);
    }

    /// It has been published: on that channel as the next one.
    pub fn sent(&mut self, publication: &Publication) {
        let Publication { exchange, routing_key, properties, body, .. } = publication;
        self.sent += 1;
        let pending = Pending {
            tag: publication.tag,
            place: publication.place.clone(),
            came_back: publication.came_back,
            prints: Prints::of(exchange, routing_key, properties, body),
            returned: false,
        };
        self.pending.insert(self.sent, pending);
    }

    /// One came back, because no queue takes it. Its confirm follows.
    pub fn returned(&mut self, message: &Message) {
        let Message { exchange, routing_key, properties, body } = message;
        let prints = Prints::of(exchange, routing_key, properties, body);
        let mut waiting = self.pending.values_mut().filter(|pending| !pending.returned);
        if let Some(pending) = waiting.find(|pending| pending.prints.whole == prints.whole) {
            pending.returned = true;
            return;
        }
        let mut waiting = self.pending.values_mut().filter(|pending| !pending.returned);
        match waiting.find(|pending| pending.prints.loose == prints.loose) {
            Some(pending) => pending.returned = true,
            // Which one it was cannot be told, so none that is under way may leave the queue.
            None => self.pending.values_mut().for_each(|pending| pending.returned = true),
        }
    }

    /// Publishes are confirmed, or not taken: the deliveries to acknowledge.
    pub fn settled(&mut self, tag: u64, multiple: bool, taken: bool) -> Vec<u64> {
        let settled = if multiple {
            let later = self.pending.split_off(&tag.saturating_add(1));
            std::mem::replace(&mut self.pending, later)
        } else {
            self.pending.remove(&tag).map(|pending| (tag, pending)).into_iter().collect()
        };
        let mut acknowledged = Vec::with_capacity(settled.len());
        for Pending { tag, place, came_back, returned, .. } in settled.into_values() {
            match (taken, returned) {
                (true, false) => {
                    self.tally.count(place, Fate::Redriven);
                    acknowledged.push(tag);
                }
                (true, true) => self.leave(place, came_back, Fate::Unroutable),
                (false, _) => self.leave(place, came_back, Fate::Refused),
            }
        }
        acknowledged
    }

    /// Asks for nothing more.
    pub fn stop(&mut self, halt: Halt) {
        self.halt.get_or_insert(halt);
        self.remaining = 0;
    }

    /// Whether nothing is under way and nothing more is to come.
    pub fn is_done(&self) -> bool {
        let is_full = self.plan.limit.is_some_and(|limit| self.tally.total().redriven >= limit);
        self.asked == 0 && self.pending.is_empty() && (self.remaining == 0 || is_full)
    }

    /// Messages that have come and stay in their queue.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Why it ends before its end.
    pub fn halt(&self) -> Option<Halt> {
        self.halt
    }

    /// What was wanted.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What became of messages so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn leave(&mut self, place: Place, came_back: i64, fate: Fate) {
        self.tally.count(place, fate);
        self.hold(came_back);
    }

    fn hold(&mut self, came_back: i64) {
        self.held += 1;
        if came_back >= CAME_BACK_MAX && !self.plan.force {
            self.stop(Halt::CameBack);
        }
    }
}

impl Prints {
    fn of(exchange: &str, routing_key: &str, properties: &[u8], body: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        (exchange, routing_key, body).hash(&mut hasher);
        let loose = hasher.finish();
        properties.hash(&mut hasher);
        Self { whole: hasher.finish(), loose }
    }
}

/// Messages that may have been published so long after the beginning, the first at once.
fn allowed(rate: u32, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    millis.saturating_mul(rate.into()) / 1_000 + 1
}

#[cfg(test)]
mod tests;
