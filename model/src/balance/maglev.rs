//! Maglev's table (Eisenbud and others, "Maglev", NSDI 2016, section 3.4): each endpoint has a permutation of
//! all slots and takes its next free one in turn, by weight more or less often, until none is left. Evener than
//! a ring and looked up in one step; an endpoint that comes or goes moves a few keys of others too.

use super::hash;

/// Slots: a prime, so that every step visits all of them. The same for any number of endpoints, for another
/// size would move every key; with a hundred slots an endpoint, up to 655 of them, shares are within a
/// hundredth of what they should be.
const SLOTS: u32 = 65_537;
/// Members that the table can hold; with more of them most would have no slot anyway.
const MEMBERS_MAX: usize = u16::MAX as usize;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Maglev {
    /// The position of a member a slot; empty when there are none.
    slots: Box<[u16]>,
}

/// How far one member is.
struct Turn {
    /// The slot it asks for next.
    slot: u32,
    /// From one slot to the next.
    step: u32,
    weight: u64,
    /// Of its weight, what it has used up.
    used: u64,
}

impl Maglev {
    /// For members given by the hash of their names and their weights, in an order that all callers share.
    pub(super) fn new(members: &[(u64, u16)]) -> Self {
        let mut turns: Vec<_> = members.iter().take(MEMBERS_MAX).map(|member| Turn::new(*member)).collect();
        let heaviest = turns.iter().map(|turn| turn.weight).max().unwrap_or(0);
        if heaviest == 0 {
            return Self { slots: Box::default() };
        }
        let mut slots = vec![None; SLOTS as usize];
        let mut free = slots.len();
        for round in 1_u64.. {
            for (position, turn) in (0_u16..).zip(&mut turns) {
                // The heaviest takes a slot a round, one of half its weight every other round.
                if free == 0 || round * turn.weight < turn.used + heaviest {
                    continue;
                }
                turn.used += heaviest;
                turn.take(&mut slots, position);
                free -= 1;
            }
            if free == 0 {
                break;
            }
        }
        Self { slots: slots.into_iter().flatten().collect() }
    }

    /// The member of `key`, then those of the slots behind it.
    pub(super) fn walk(&self, key: u64) -> impl Iterator<Item = usize> + '_ {
        let start = usize::try_from(key % u64::from(SLOTS)).unwrap_or(0).min(self.slots.len());
        let (before, after) = self.slots.split_at(start);
        after.iter().chain(before).map(|member| usize::from(*member))
    }
}

impl Turn {
    fn new((name, weight): (u64, u16)) -> Self {
        let below =
            |bound: u32, seed| u32::try_from(hash::combine(name, seed) % u64::from(bound)).unwrap_or(0);
        Self { slot: below(SLOTS, 1), step: below(SLOTS - 1, 2) + 1, weight: u64::from(weight), used: 0 }
    }

    /// Takes the next free slot; there is one.
    fn take(&mut self, slots: &mut [Option<u16>], position: u16) {
        for _ in 0..SLOTS {
            let asked = self.slot as usize;
            self.slot = (self.slot + self.step) % SLOTS;
            if let Some(slot @ None) = slots.get_mut(asked) {
                *slot = Some(position);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots_of(members: &[(u64, u16)]) -> Vec<u32> {
        let mut counts = vec![0; members.len()];
        for slot in &Maglev::new(members).slots {
            counts[usize::from(*slot)] += 1;
        }
        counts
    }

    #[test]
    fn every_slot_is_taken_and_shares_are_even_to_a_slot() {
        for count in [1, 2, 3, 7, 100, 500] {
            let members: Vec<_> = (0..count).map(|name| (hash::combine(name, 9), 1)).collect();
            let slots = slots_of(&members);
            assert_eq!(slots.iter().sum::<u32>(), SLOTS);
            let spread = slots.iter().max().unwrap() - slots.iter().min().unwrap();
            assert!(spread <= 1, "{spread} with {count} members");
        }
    }

    #[test]
    fn shares_follow_weights() {
        let slots = slots_of(&[(11, 1), (12, 2), (13, 5)]);
        for (slots, share) in slots.iter().zip([1, 2, 5]) {
            assert!(slots.abs_diff(SLOTS * share / 8) <= 2, "{slots} slots for {share} of 8");
        }
    }

    #[test]
    fn without_members_there_is_nobody() {
        assert_eq!(Maglev::new(&[]).walk(7).next(), None);
    }
}
