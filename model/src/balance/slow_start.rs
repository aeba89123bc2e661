//! Slow start: a new endpoint's share grows from a tenth to the whole over the time that the policy names, so
//! that cold caches and compilers meet little traffic.

/// The share an endpoint begins with: with none at all it would never warm up (Envoy's `min_weight_percent`).
const SHARE_MIN: f64 = 0.1;

/// The share, above 0 and at most 1, of an endpoint in service since `started` (0 = since ever), all in
/// nanoseconds.
pub(super) fn share(started: u64, now: u64, window: u64) -> f64 {
    let age = now.saturating_sub(started);
    if window == 0 || started == 0 || age >= window {
        return 1.0;
    }
    (age as f64 / window as f64).max(SHARE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_from_a_tenth_to_the_whole() {
        let shares = [100, 110, 150, 199, 200, 500].map(|now| share(100, now, 100));
        assert_eq!(shares, [0.1, 0.1, 0.5, 0.99, 1.0, 1.0]);
        assert_eq!((share(0, 5, 100), share(100, 101, 0)), (1.0, 1.0));
    }
}
