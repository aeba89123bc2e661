//! The ring: each endpoint has points on a circle of hashes, as many as its weight wants, and a key belongs to
//! the first point at or after it. An endpoint that goes leaves its keys to the points behind its own, and
//! moves no other.

use super::hash;

/// Points of an endpoint of weight 1: its share is then within a tenth or so of what it should be.
const POINTS: u64 = 128;
/// Points of all endpoints together, about: 4 MiB.
const POINTS_MAX: u64 = 1 << 18;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ring {
    /// In the order of their hashes; each with the position of its member.
    points: Box<[(u64, u32)]>,
}

impl Ring {
    /// For members given by the hash of their names and their weights.
    pub(super) fn new(members: &[(u64, u16)]) -> Self {
        let shift = shift(members);
        let mut points: Vec<_> = (0_u32..)
            .zip(members)
            .flat_map(|(position, (name, weight))| {
                let count = ((u64::from(*weight) * POINTS) >> shift).max(1);
                (0..count).map(move |point| (hash::seeded(&point.to_le_bytes(), *name), position))
            })
            .collect();
        points.sort_unstable();
        Self { points: points.into_boxed_slice() }
    }

    /// The member of `key`, then those of the points behind it, round to the start.
    pub(super) fn walk(&self, key: u64) -> impl Iterator<Item = usize> + '_ {
        let start = self.points.partition_point(|(point, _)| *point < key);
        let (before, after) = self.points.split_at(start);
        after.iter().chain(before).map(|(_, member)| *member as usize)
    }
}

/// By how many bits the numbers of points are cut, so that large weights make no large ring. In powers of two,
/// so that an endpoint that comes or goes changes nothing of the others but when a bound is crossed.
fn shift(members: &[(u64, u16)]) -> u32 {
    let wanted: u64 = members.iter().map(|(_, weight)| u64::from(*weight) * POINTS).sum();
    let count = members.len() as u64;
    let allowed = (2 * POINTS * count).min(POINTS_MAX);
    (0..u64::BITS).find(|shift| wanted >> shift <= allowed).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_the_first_point_at_or_after_it_and_the_last_to_the_first() {
        let ring = Ring { points: [(10, 0), (20, 1), (30, 0)].into() };
        let owner = |key| ring.walk(key).next();
        assert_eq!([0, 10, 11, 20, 25, 31].map(owner), [0, 0, 1, 1, 0, 0].map(Some));
        assert_eq!(ring.walk(15).collect::<Vec<_>>(), [1, 0, 0]);
    }

    #[test]
    fn large_weights_and_many_members_make_no_large_ring() {
        let points = |count: u64, weight| {
            let members: Vec<_> = (0..count).map(|name| (hash::combine(name, 1), weight)).collect();
            Ring::new(&members).points.len() as u64
        };
        assert_eq!(points(3, 1), 3 * POINTS);
        assert!(points(3, u16::MAX) <= 3 * 2 * POINTS);
        assert!(points(20_000, 1) <= POINTS_MAX);
        assert_eq!(points(0, 1), 0);
    }
}
