//! Endpoints among which one is chosen by an algorithm: those of a level of priority, or of a zone of it. Made
//! when the table is built; a request only draws from it.

use std::sync::Arc;

use super::{hash, maglev::Maglev, plan::Member, ring::Ring};
use crate::policy::Balance;

/// Points or slots behind a key's own that are looked at, before all members are: with half of the endpoints
/// closed, all but none of the keys find an open one in so many.
const WALK_MAX: usize = 32;

/// See the module.
#[derive(Debug)]
pub(super) struct Group {
    /// Callable members, as places in the table.
    places: Box<[u32]>,
    /// Sums of their weights up to and with each; none when all are alike, as they mostly are.
    sums: Option<Box<[u32]>>,
    /// The mean of their weights.
    mean: f64,
    /// All members, critical ones too, so that health moves no key but those of the endpoint.
    hashed: Option<Hashed>,
}

/// For consistent hashing.
#[derive(Debug)]
struct Hashed {
    /// The hash of its name and the place of each member.
    members: Box<[(u64, u32)]>,
    names: Arc<Names>,
}

/// What depends on names and weights alone, so that a table made anew for another reason takes it over.
#[derive(Debug)]
struct Names {
    of: Box<[(u64, u16)]>,
    table: Table,
}

#[derive(Debug)]
enum Table {
    Ring(Ring),
    Maglev(Maglev),
}

impl Group {
    /// Of these members, in the order of their names. What `before` has in common is taken over.
    pub(super) fn new(members: &[&Member], algorithm: &Balance, before: Option<&Self>) -> Self {
        let callable = || members.iter().filter(|member| member.is_callable);
        let places: Box<[u32]> = callable().map(|member| member.place).collect();
        let weights = || callable().map(|member| u32::from(member.weight));
        let total: u32 = weights().fold(0, u32::saturating_add);
        let mean = f64::from(total) / f64::from(u32::try_from(places.len()).unwrap_or(u32::MAX)).max(1.0);
        let is_even = weights().min() == weights().max();
        let sums = weights().scan(0_u32, |sum, weight| {
            *sum = sum.saturating_add(weight);
            Some(*sum)
        });
        let hashed = || Hashed::new(members, algorithm, before.and_then(|before| before.hashed.as_ref()));
        Self {
            sums: (!is_even).then(|| sums.collect()),
            mean,
            hashed: algorithm.hash_key().map(|_| hashed()),
            places,
        }
    }

    /// How many members can be drawn.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether shares differ.
    pub(super) fn is_weighted(&self) -> bool {
        self.sums.is_some()
    }

    /// How much of a mean endpoint's load one of this weight should have.
    pub(super) fn relative(&self, weight: u16) -> f64 {
        if self.sums.is_some() { f64::from(weight.max(1)) / self.mean } else { 1.0 }
    }

    /// The place of the member with this number, of [`Group::len`].
    pub(super) fn place(&self, number: usize) -> Option<usize> {
        self.places.get(number).map(|place| *place as usize)
    }

    /// All of them, from the one with the number `start`, round to it.
    pub(super) fn from(&self, start: usize) -> impl Iterator<Item = usize> + '_ {
        let (before, after) = self.places.split_at(start.min(self.places.len()));
        after.iter().chain(before).map(|place| *place as usize)
    }

    /// One of them by weight.
    pub(super) fn draw(&self, rng: &mut fastrand::Rng) -> Option<usize> {
        let number = match self.sums.as_deref() {
            None if self.places.is_empty() => return None,
            None => rng.usize(..self.places.len()),
            Some(sums) => {
                let unit = rng.u32(..*sums.last()?);
                sums.partition_point(|sum| *sum <= unit)
            }
        };
        self.place(number)
    }

    /// The number of the member whose turn it is. By weight, the turns of one are spread evenly between those of
    /// the others: steps of the golden section fall everywhere alike, however many were made.
    pub(super) fn turn(&self, turn: u32) -> usize {
        const GOLDEN: u32 = 0x9E37_79B9;
        match self.sums.as_deref() {
            None => turn as usize % self.places.len().max(1),
            Some(sums) => {
                let total = u64::from(sums.last().copied().unwrap_or(0));
                let unit = (u64::from(turn.wrapping_mul(GOLDEN)) * total) >> u32::BITS;
                sums.partition_point(|sum| u64::from(*sum) <= unit)
            }
        }
    }

    /// The place that `key` belongs to, as far as `admits` lets it, else the next one on the way.
    pub(super) fn hashed(&self, key: u64, mut admits: impl FnMut(usize, u64) -> bool) -> Option<usize> {
        let hashed = self.hashed.as_ref()?;
        let mut admitted = |position: usize| {
            let (name, place) = *hashed.members.get(position)?;
            admits(place as usize, hash::combine(key, name)).then_some(place as usize)
        };
        let near = match &hashed.names.table {
            Table::Ring(ring) => ring.walk(key).take(WALK_MAX).find_map(&mut admitted),
            Table::Maglev(maglev) => maglev.walk(key).take(WALK_MAX).find_map(&mut admitted),
        };
        // Few are open. Each key has an order of its own of all members (rendezvous hashing), so that it still
        // stays where it is while others come and go.
        near.or_else(|| {
            let ranked = (0..hashed.members.len()).filter_map(|position| {
                let place = admitted(position)?;
                Some((hash::combine(key, hashed.members.get(position)?.0), place))
            });
            ranked.max().map(|(_, place)| place)
        })
    }
}

impl Hashed {
    fn new(members: &[&Member], algorithm: &Balance, before: Option<&Self>) -> Self {
        let of: Box<[_]> = members.iter().map(|member| (member.name, member.weight)).collect();
        let known = before.map(|before| &before.names).filter(|names| names.is(&of, algorithm));
        let names = known.map_or_else(|| Arc::new(Names::new(of, algorithm)), Arc::clone);
        Self { members: members.iter().map(|member| (member.name, member.place)).collect(), names }
    }
}

impl Names {
    fn new(of: Box<[(u64, u16)]>, algorithm: &Balance) -> Self {
        let table = match algorithm {
            Balance::Maglev(_) => Table::Maglev(Maglev::new(&of)),
            _ => Table::Ring(Ring::new(&of)),
        };
        Self { of, table }
    }

    fn is(&self, of: &[(u64, u16)], algorithm: &Balance) -> bool {
        matches!(algorithm, Balance::Maglev(_)) == matches!(self.table, Table::Maglev(_)) && *self.of == *of
    }
}
