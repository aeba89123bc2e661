//! Zone preference within a level: the own zone's endpoints take everything while enough of them are open;
//! below that, what they cannot take goes to the others.

use super::Count;

/// The share of the traffic that stays in the own zone.
pub(super) fn share(near: Count, far: Count, spill_percent: u32) -> f64 {
    match (near.open, far.open) {
        (0, 1..) => 0.0,
        // Nowhere else to go.
        (_, 0) => 1.0,
        _ => {
            let enough = f64::from(near.all) * f64::from(spill_percent) / 100.0;
            // Without a bound, one open endpoint is enough.
            if enough > 0.0 { (f64::from(near.open) / enough).min(1.0) } else { 1.0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_leaves_the_zone_as_far_as_it_has_too_few_open() {
        let stays = |open, all, far| share(Count { open, all }, Count { open: far, all: 10 }, 70);
        assert_eq!(
            [stays(10, 10, 10), stays(7, 10, 10), stays(0, 10, 10), stays(0, 10, 0)],
            [1.0, 1.0, 0.0, 1.0]
        );
        assert!((stays(5, 10, 10) - 5.0 / 7.0).abs() < 1e-9);
        assert_eq!(share(Count { open: 1, all: 10 }, Count { open: 9, all: 9 }, 0), 1.0);
    }
}
