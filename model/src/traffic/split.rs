//! Which of a rule's backends a request goes to: each gets its weight's share of all.

use super::Backend;

/// The weights of one rule, added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// The weight of each and of all before it.
    sums: Vec<u64>,
}

impl Split {
    /// Of the backends of one rule, in their order.
    pub fn new(backends: &[Backend]) -> Self {
        let mut sum = 0;
        let sums = backends.iter().map(|backend| {
            sum += u64::from(backend.weight);
            sum
        });
        Self { sums: sums.collect() }
    }

    /// The place of the backend for a number drawn evenly from all; `None` when every weight is 0.
    pub fn pick(&self, draw: u64) -> Option<usize> {
        let sum = self.sums.last().copied().filter(|sum| *sum > 0)?;
        // The upper half of the product is even over 0..sum, without a division.
        let point = u64::try_from((u128::from(draw) * u128::from(sum)) >> 64).unwrap_or(0);
        Some(self.sums.partition_point(|below| *below <= point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::BackendRef;

    fn split(weights: &[u32]) -> Split {
        let backends = weights.iter().map(|weight| Backend {
            target: BackendRef { service: "a".parse().unwrap(), port: None },
            weight: *weight,
            filters: Vec::new(),
        });
        Split::new(&backends.collect::<Vec<_>>())
    }

    #[test]
    fn each_gets_its_share_and_weight_nought_gets_none() {
        let (split, mut rng) = (split(&[0, 90, 0, 9, 1, 0]), fastrand::Rng::with_seed(7));
        let mut counts = [0_i32; 6];
        for _ in 0..100_000 {
            counts[split.pick(rng.u64(..)).unwrap()] += 1;
        }
        assert_eq!((counts[0], counts[2], counts[5]), (0, 0, 0));
        for (count, share) in [(counts[1], 90_000), (counts[3], 9_000), (counts[4], 1_000)] {
            assert!((count - share).abs() < share / 10, "{counts:?}");
        }
    }

    #[test]
    fn the_ends_of_the_range_are_inside() {
        let both = split(&[1, 1]);
        assert_eq!((both.pick(0), both.pick(u64::MAX)), (Some(0), Some(1)));
        assert_eq!((split(&[]).pick(0), split(&[0, 0]).pick(9)), (None, None));
    }
}
