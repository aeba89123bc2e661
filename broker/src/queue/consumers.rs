//! Who takes from a queue, and whose turn it is: by priority, then round robin among those with room.
//!
//! ```text
//!            add ──▶ waiting its turn ──(delivery fills its room)──▶ full
//!                        ▲     │                                      │
//!                        └─────┴────────── room again ◀───────────────┘
//! ```
//!
//! With a single active consumer, one has turns and the others stand by; see RabbitMQ's "Single Active Consumer".

use std::{collections::VecDeque, rc::Rc};

use crate::amqp::value::FieldTable;

/// Where a consumer lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// The connection, by its place in the virtual host.
    pub session: u32,
    /// The channel of it.
    pub channel: u16,
}

/// A consumer of one queue, for as long as it lives there; never used again in that queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsumerId(pub u32);

/// What `basic.consume` asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Whose it is.
    pub address: Address,
    /// Its tag.
    pub tag: Rc<str>,
    /// Deliveries are settled as they are sent.
    pub no_ack: bool,
    /// Nobody else may consume.
    pub exclusive: bool,
    /// `x-priority`.
    pub priority: i64,
    /// Deliveries without an acknowledgement at most; 0 is no limit.
    pub prefetch: u16,
    /// Arguments, as sent.
    pub arguments: FieldTable,
}

/// One consumer.
#[derive(Debug)]
pub struct Consumer {
    /// Its name here.
    pub id: ConsumerId,
    /// What it asked for.
    pub wish: Wish,
    /// What it holds.
    pub unacked: u32,
    /// It is listed with its channel, which wakes it when there is room.
    pub is_listed: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In its ring.
    Waiting,
    /// Without room: who filled it, or its channel, says when it has.
    Full,
    /// Another one is the single active consumer.
    Standby,
}

impl Consumer {
    /// Whether it is the one, or one of those, that get something.
    pub fn is_active(&self) -> bool {
        self.state != State::Standby
    }

    /// Whether its own prefetch leaves room.
    pub fn has_room(&self) -> bool {
        self.wish.no_ack || self.wish.prefetch == 0 || self.unacked < u32::from(self.wish.prefetch)
    }
}

/// All consumers of a queue.
#[derive(Debug, Default)]
pub struct Consumers {
    /// By id, rising.
    all: Vec<Consumer>,
    /// Those that wait for their turn, by priority, highest first.
    rings: Vec<(i64, VecDeque<ConsumerId>)>,
    next_id: u32,
    single_active: bool,
}

impl Consumers {
    /// None, with one active at a time or all.
    pub fn new(single_active: bool) -> Self {
        Self { single_active, ..Self::default() }
    }

    /// Adds one; it stands by where another one is active.
    pub fn add(&mut self, wish: Wish) -> ConsumerId {
        let id = ConsumerId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        let active = !self.single_active || self.all.iter().all(|consumer| !consumer.is_active());
        let state = if active { State::Full } else { State::Standby };
        self.all.push(Consumer { id, wish, unacked: 0, is_listed: false, state });
        if active {
            self.wake(id);
        }
        id
    }

    /// Takes one away, and makes the next one active where it was the active one.
    pub fn remove(&mut self, id: ConsumerId) -> Option<Consumer> {
        let at = self.position(id)?;
        let consumer = self.all.remove(at);
        self.leave_ring(id, consumer.wish.priority);
        if self.single_active && consumer.is_active() {
            self.promote();
        }
        Some(consumer)
    }

    /// The highest priority first, the oldest of them.
    fn promote(&mut self) {
        let Some(next) = self.all.iter_mut().rev().max_by_key(|consumer| consumer.wish.priority) else {
            return;
        };
        next.state = State::Full;
        let id = next.id;
        self.wake(id);
    }

    /// Who has the next turn.
    pub fn front(&self) -> Option<ConsumerId> {
        self.rings.iter().find_map(|(_, ring)| ring.front().copied())
    }

    /// The one in front had its turn: it goes to the end of its ring, or out of it if it has no room.
    pub fn rotate(&mut self, has_room: bool) {
        let Some((_, ring)) = self.rings.iter_mut().find(|(_, ring)| !ring.is_empty()) else { return };
        let Some(id) = ring.pop_front() else { return };
        if has_room {
            ring.push_back(id);
        } else if let Some(consumer) = self.one_mut(id) {
            consumer.state = State::Full;
        }
    }

    /// It has room again; whether that changed anything.
    pub fn wake(&mut self, id: ConsumerId) -> bool {
        let Some(consumer) = self.one_mut(id).filter(|consumer| consumer.state == State::Full) else {
            return false;
        };
        if !consumer.has_room() {
            return false;
        }
        consumer.state = State::Waiting;
        let priority = consumer.wish.priority;
        let at = self.rings.partition_point(|(other, _)| *other > priority);
        match self.rings.get_mut(at).filter(|(other, _)| *other == priority) {
            Some((_, ring)) => ring.push_back(id),
            None => self.rings.insert(at, (priority, VecDeque::from([id]))),
        }
        true
    }

    fn leave_ring(&mut self, id: ConsumerId, priority: i64) {
        if let Some(at) = self.rings.iter().position(|(other, _)| *other == priority)
            && let Some((_, ring)) = self.rings.get_mut(at)
        {
            ring.retain(|other| *other != id);
            if ring.is_empty() {
                self.rings.remove(at);
            }
        }
    }

    /// One of them.
    pub fn one(&self, id: ConsumerId) -> Option<&Consumer> {
        self.all.get(self.position(id)?)
    }

    /// One of them.
    pub fn one_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        let at = self.position(id)?;
        self.all.get_mut(at)
    }

    fn position(&self, id: ConsumerId) -> Option<usize> {
        self.all.binary_search_by_key(&id, |consumer| consumer.id).ok()
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.all.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether somebody consumes alone.
    pub fn is_exclusive(&self) -> bool {
        self.all.iter().any(|consumer| consumer.wish.exclusive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(priority: i64, prefetch: u16) -> Wish {
        Wish {
            address: Address { session: 0, channel: 1 },
            tag: "c".into(),
            no_ack: false,
            exclusive: false,
            priority,
            prefetch,
            arguments: FieldTable::new(),
        }
    }

    fn turns(consumers: &mut Consumers, count: usize) -> Vec<u32> {
        let mut had = Vec::new();
        for _ in 0..count {
            let Some(id) = consumers.front() else { break };
            had.push(id.0);
            let consumer = consumers.one_mut(id).expect("who is in front is there");
            consumer.unacked += 1;
            let room = consumer.has_room();
            consumers.rotate(room);
        }
        had
    }

    #[test]
    fn each_has_its_turn_while_it_has_room() {
        let mut consumers = Consumers::new(false);
        consumers.add(wish(0, 0));
        let limited = consumers.add(wish(0, 2));
        assert_eq!(turns(&mut consumers, 6), [0, 1, 0, 1, 0, 0]);
        consumers.one_mut(limited).expect("it is there").unacked = 1;
        assert!(consumers.wake(limited));
        assert_eq!(turns(&mut consumers, 3), [0, 1, 0]);
    }

    #[test]
    fn a_higher_priority_goes_first_until_it_is_full() {
        let mut consumers = Consumers::new(false);
        consumers.add(wish(0, 0));
        consumers.add(wish(5, 2));
        assert_eq!(turns(&mut consumers, 4), [1, 1, 0, 0]);
    }

    #[test]
    fn one_is_active_and_the_next_follows() {
        let mut consumers = Consumers::new(true);
        let first = consumers.add(wish(0, 0));
        consumers.add(wish(0, 0));
        consumers.add(wish(3, 0));
        assert_eq!(turns(&mut consumers, 2), [0, 0]);
        consumers.remove(first);
        assert_eq!(turns(&mut consumers, 2), [2, 2]);
    }

    #[test]
    fn who_goes_has_no_turn_any_more() {
        let mut consumers = Consumers::new(false);
        let first = consumers.add(wish(0, 0));
        consumers.add(wish(0, 0));
        assert!(consumers.remove(first).is_some());
        assert_eq!(turns(&mut consumers, 2), [1, 1]);
        assert!(consumers.remove(first).is_none());
    }
}
