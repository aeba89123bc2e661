//! Which level a request goes to: each takes what the ones before could not, as far as its open endpoints reach
//! (Envoy's priority levels).

use super::Count;

/// The share of all traffic that a level with so many open endpoints can take, 0 to 1; `overprovision` is 1 or
/// more.
pub(super) fn reach(count: Count, overprovision: f64) -> f64 {
    if count.all == 0 { 0.0 } else { (f64::from(count.open) / f64::from(count.all) * overprovision).min(1.0) }
}

/// The level that a `draw` of 0 to 1 falls on, of levels that reach so far; the first when none is open. Where
/// all of them together cannot take the traffic, it is shared out by what they can.
pub(super) fn level(reaches: impl Iterator<Item = f64> + Clone, draw: f64) -> usize {
    let mut left = draw * reaches.clone().sum::<f64>().min(1.0);
    for (level, reach) in reaches.enumerate() {
        if left < reach {
            return level;
        }
        left -= reach;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(levels: &[(u32, u32)]) -> Vec<u32> {
        let reaches = levels.iter().map(|(open, all)| reach(Count { open: *open, all: *all }, 1.4));
        let mut shares = vec![0; levels.len()];
        for draw in 0..100 {
            shares[level(reaches.clone(), (f64::from(draw) + 0.5) / 100.0)] += 1;
        }
        shares
    }

    /// The figures of Envoy's documentation of priority levels, with its factor of 140.
    #[test]
    fn a_level_gets_what_the_ones_before_cannot_take() {
        for (levels, expected) in [
            (&[(100, 100), (100, 100)][..], &[100, 0][..]),
            (&[(72, 100), (72, 100)], &[100, 0]),
            (&[(50, 100), (60, 100)], &[70, 30]),
            (&[(0, 100), (100, 100)], &[0, 100]),
            (&[(25, 100), (25, 100)], &[50, 50]),
            (&[(5, 100), (0, 100), (65, 100)], &[7, 0, 93]),
            (&[(20, 100), (20, 100), (10, 100)], &[40, 40, 20]),
            (&[(0, 3), (0, 3)], &[100, 0]),
            (&[(0, 0), (3, 3)], &[0, 100]),
        ] {
            assert_eq!(shares(levels), expected, "{levels:?}");
        }
    }
}
