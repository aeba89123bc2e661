//! The headers exchange: a message goes where a binding's arguments match its headers (AMQP 0-9-1, section 3.1.3.4;
//! RabbitMQ's documentation, "Headers Exchange", for `x-match` and its four values).
//!
//! Names that bindings ask for have numbers, so a message's headers are read once and each binding compares numbers. A
//! binding that needs all its clauses stands in the group of one of them, that whose group was smallest, and is looked at
//! for messages with that header and value alone. The others (`any`, presence only, nested values) are looked at for every
//! message.
//!
//! ```text
//!  header ─▶ (number of its name, hash of its value) ─▶ group ─▶ patterns ─▶ destinations
//!                                            group 0 ─▶ patterns ─▶ destinations
//! ```

use std::{collections::HashMap, hash::BuildHasher};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::{
    bindings::{Binding, BindingId, Place},
    bucket::Bucket,
    header::{HeaderValue, whole},
    kind::KindError,
    message::{Message, Sink},
};
use crate::amqp::value::{FieldTable, FieldValue};

/// The argument that says how a binding matches.
const MATCH: &str = "x-match";

/// Headers of a message that are asked for and stay off the heap.
const HEADERS_INLINE: usize = 16;

type Present<'a> = SmallVec<[(u32, HeaderValue<'a>); HEADERS_INLINE]>;

/// The group of bindings that every message is compared with.
const EVERY: u32 = 0;

/// A header's name by number, and its value by hash.
type Sign = (u32, u64);

/// The bindings, and what each asks for.
#[derive(Debug)]
pub(super) struct Headers {
    groups: Vec<Group>,
    free: Vec<u32>,
    index: HashMap<Sign, u32, RandomState>,
    names: HashMap<Box<str>, Name, RandomState>,
    next_name: u32,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Group {
    sign: Option<Sign>,
    bucket: Bucket,
    /// In the order of the bucket.
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Name {
    number: u32,
    uses: u32,
}

#[derive(Debug)]
struct Pattern {
    mode: Mode,
    clauses: Box<[Clause]>,
}

/// How clauses combine, and whether names that begin with `x-` count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    All,
    Any,
    AllWithX,
    AnyWithX,
}

#[derive(Debug)]
struct Clause {
    name: u32,
    /// Void asks for presence alone.
    value: FieldValue,
}

impl Default for Headers {
    fn default() -> Self {
        Self {
            groups: vec![Group::default()],
            free: Vec::new(),
            index: HashMap::default(),
            names: HashMap::default(),
            next_name: 0,
            hasher: RandomState::default(),
        }
    }
}

impl Headers {
    pub(super) fn attach(&mut self, id: BindingId, binding: &Binding) -> Place {
        let arguments = binding.arguments.table();
        let mode = Mode::of(arguments).unwrap_or(Mode::All);
        let clauses = wanted(mode, arguments)
            .map(|(name, value)| Clause { name: self.number(name), value: value.clone() })
            .collect();
        let pattern = Pattern { mode, clauses };
        let bucket = self.group_for(&pattern);
        let Some(group) = self.groups.get_mut(bucket as usize) else { return Place::default() };
        group.patterns.push(pattern);
        Place { bucket, at: group.bucket.push(binding.destination, id) }
    }

    pub(super) fn detach(&mut self, binding: &Binding) -> Option<BindingId> {
        let Place { bucket, at } = binding.place;
        let group = self.groups.get_mut(bucket as usize)?;
        if (at as usize) < group.patterns.len() {
            let gone = group.patterns.swap_remove(at as usize);
            let moved = group.bucket.take(at);
            self.forget_if_empty(bucket);
            wanted(gone.mode, binding.arguments.table()).for_each(|(name, _)| self.release(name));
            return moved;
        }
        None
    }

    pub(super) fn route(&self, message: &Message<'_>, sink: &mut Sink) {
        let present = self.present(message);
        self.look_at(EVERY, &present, sink);
        if self.index.is_empty() {
            return;
        }
        let signs = present.iter().filter_map(|(name, value)| self.sign(*name, value));
        for group in signs.filter_map(|sign| self.index.get(&sign)) {
            self.look_at(*group, &present, sink);
        }
    }

    /// How many groups and names are kept.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, usize) {
        (self.groups.len() - self.free.len(), self.index.len(), self.names.len())
    }

    fn look_at(&self, group: u32, present: &Present<'_>, sink: &mut Sink) {
        let Some(group) = self.groups.get(group as usize) else { return };
        for (entry, pattern) in group.bucket.iter().zip(&group.patterns) {
            if pattern.matches(present) {
                sink.add(entry.destination);
            }
        }
    }

    /// The smallest group among those of the clauses that all must hold, made if there is none.
    fn group_for(&mut self, pattern: &Pattern) -> u32 {
        if !matches!(pattern.mode, Mode::All | Mode::AllWithX) {
            return EVERY;
        }
        let signs =
            pattern.clauses.iter().filter_map(|clause| self.sign(clause.name, &(&clause.value).into()));
        let size = |sign: &Sign| {
            let group = self.index.get(sign).and_then(|at| self.groups.get(*at as usize));
            group.map_or(0, |group| group.patterns.len())
        };
        let Some(sign) = signs.min_by_key(size) else { return EVERY };
        if let Some(at) = self.index.get(&sign) {
            return *at;
        }
        let at = self.free.pop().unwrap_or_else(|| {
            self.groups.push(Group::default());
            u32::try_from(self.groups.len() - 1).unwrap_or(EVERY)
        });
        if let Some(group) = self.groups.get_mut(at as usize) {
            group.sign = Some(sign);
        }
        self.index.insert(sign, at);
        at
    }

    fn forget_if_empty(&mut self, at: u32) {
        let Some(group) = self.groups.get_mut(at as usize).filter(|group| group.bucket.is_empty()) else {
            return;
        };
        if let Some(sign) = group.sign.take() {
            *group = Group::default();
            self.index.remove(&sign);
            self.free.push(at);
        }
    }

    /// The same for all values that [match](HeaderValue::matches); none for those that are not worth a group.
    fn sign(&self, name: u32, value: &HeaderValue<'_>) -> Option<Sign> {
        let hash = match value {
            HeaderValue::Bool(value) => self.hasher.hash_one(value),
            HeaderValue::Integer(number) => self.hasher.hash_one(number),
            HeaderValue::Float(float) => self.hasher.hash_one(whole(*float)?),
            HeaderValue::Bytes(bytes) => self.hasher.hash_one(bytes),
            HeaderValue::Void | HeaderValue::Decimal { .. } | HeaderValue::Nested(_) => return None,
        };
        Some((name, hash))
    }

    /// The message's headers that some binding asks for, the first of each name.
    fn present<'a>(&self, message: &Message<'a>) -> Present<'a> {
        let mut present = Present::new();
        message.headers.each(&mut |name, value| {
            if let Some(known) = self.names.get(name) {
                present.push((known.number, value));
            }
        });
        present.sort_by_key(|(number, _)| *number);
        present.dedup_by_key(|(number, _)| *number);
        present
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(known) = self.names.get_mut(name) {
            known.uses += 1;
            return known.number;
        }
        let number = self.next_name;
        self.next_name = self.next_name.wrapping_add(1);
        self.names.insert(name.into(), Name { number, uses: 1 });
        number
    }

    fn release(&mut self, name: &str) {
        if let Some(known) = self.names.get_mut(name) {
            known.uses -= 1;
            if known.uses == 0 {
                self.names.remove(name);
            }
        }
    }
}

impl Pattern {
    fn matches(&self, present: &Present<'_>) -> bool {
        let mut clauses = self.clauses.iter();
        match self.mode {
            Mode::All | Mode::AllWithX => clauses.all(|clause| clause.matches(present)),
            Mode::Any | Mode::AnyWithX => clauses.any(|clause| clause.matches(present)),
        }
    }
}

impl Clause {
    fn matches(&self, present: &Present<'_>) -> bool {
        present
            .binary_search_by_key(&self.name, |(number, _)| *number)
            .ok()
            .and_then(|at| present.get(at))
            .is_some_and(|(_, value)| {
                self.value == FieldValue::Void || HeaderValue::from(&self.value).matches(value)
            })
    }
}

impl Mode {
    fn of(arguments: &FieldTable) -> Result<Self, KindError> {
        let Some(value) = arguments.find(MATCH) else { return Ok(Self::All) };
        match value {
            FieldValue::LongString(text) => match text.as_ref() {
                b"all" => Ok(Self::All),
                b"any" => Ok(Self::Any),
                b"all-with-x" => Ok(Self::AllWithX),
                b"any-with-x" => Ok(Self::AnyWithX),
                other => Err(KindError::MatchValue { value: String::from_utf8_lossy(other).into_owned() }),
            },
            other => Err(KindError::MatchType { value: other.clone() }),
        }
    }

    fn counts(self, name: &str) -> bool {
        match self {
            Self::All | Self::Any => !name.starts_with("x-"),
            Self::AllWithX | Self::AnyWithX => name != MATCH,
        }
    }
}

/// Refuses an `x-match` that is none of the four.
pub(super) fn check(arguments: &FieldTable) -> Result<(), KindError> {
    Mode::of(arguments).map(|_| ())
}

fn wanted(mode: Mode, arguments: &FieldTable) -> impl Iterator<Item = (&str, &FieldValue)> {
    arguments.iter().filter(move |(name, _)| mode.counts(name))
}
