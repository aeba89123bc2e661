//! What became of dead letters, counted by where they came from. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::broker::origin::Origin;

/// Origins that are counted one by one; the rest is counted together, since names may be of anybody's making.
const ORIGINS_MAX: usize = 1_000;
/// What stands for the rest.
const OTHERS: &str = "(others)";

/// An origin as a row of the result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The queue in which they died.
    pub queue: String,
    /// The exchange that they had been published to.
    pub exchange: String,
    /// Why they died.
    pub reason: String,
}

/// What became of those of one origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// They are where they came from, or with a dry run would be.
    pub redriven: u64,
    /// Left: a filter does not hold.
    pub filtered: u64,
    /// Left: there is no such exchange, or no queue takes them.
    pub unroutable: u64,
    /// Left: the broker does not take them, as a full queue may say.
    pub refused: u64,
}

/// What becomes of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// See [`Counts::redriven`].
    Redriven,
    /// See [`Counts::filtered`].
    Filtered,
    /// See [`Counts::unroutable`].
    Unroutable,
    /// See [`Counts::refused`].
    Refused,
}

/// All counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// By origin.
    pub origins: BTreeMap<Place, Counts>,
    /// Left: they do not say where they came from.
    pub without_origin: u64,
}

impl Place {
    /// Of an origin.
    pub fn of(origin: &Origin) -> Self {
        let Origin { queue, exchange, reason, .. } = origin.clone();
        Self { queue, exchange, reason }
    }
}

impl Tally {
    /// Counts one.
    pub fn count(&mut self, place: Place, fate: Fate) {
        let is_counted = self.origins.len() < ORIGINS_MAX || self.origins.contains_key(&place);
        let others = || Place { queue: OTHERS.into(), exchange: OTHERS.into(), reason: OTHERS.into() };
        let counts = self.origins.entry(if is_counted { place } else { others() }).or_default();
        match fate {
            Fate::Redriven => counts.redriven += 1,
            Fate::Filtered => counts.filtered += 1,
            Fate::Unroutable => counts.unroutable += 1,
            Fate::Refused => counts.refused += 1,
        }
    }

    /// Sums over all origins.
    pub fn total(&self) -> Counts {
        self.origins.values().fold(Counts::default(), |sum, counts| Counts {
            redriven: sum.redriven + counts.redriven,
            filtered: sum.filtered + counts.filtered,
            unroutable: sum.unroutable + counts.unroutable,
            refused: sum.refused + counts.refused,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_origins_than_a_table_may_have_are_counted_together() {
        let mut tally = Tally::default();
        for number in 0..ORIGINS_MAX + 5 {
            let place = Place { queue: format!("q{number}"), exchange: "x".into(), reason: "expired".into() };
            tally.count(place, Fate::Redriven);
        }
        assert_eq!(tally.origins.len(), ORIGINS_MAX + 1);
        assert_eq!(tally.total().redriven, 1_005);
    }
}
