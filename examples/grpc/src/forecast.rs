//! The weather itself: pure arithmetic, so that tests know what to expect.

use crate::proto;

/// Tenths of a degree between the coldest and the warmest reading of a station.
const SWING: u64 = 200;
/// The coldest.
const COLDEST: i32 = -50;

/// A station's reading at a point of its sequence.
pub(crate) fn reading(station: &str, sequence: u64, served_by: &str) -> proto::Reading {
    let seed: u64 = station.bytes().map(u64::from).sum();
    let step = (seed.wrapping_mul(31).wrapping_add(sequence.wrapping_mul(7))) % SWING;
    let decidegrees = COLDEST + i32::try_from(step).unwrap_or(0);
    proto::Reading { station: station.into(), decidegrees, sequence, served_by: served_by.into() }
}

/// Takes one more reading into a summary.
pub(crate) fn fold(summary: &mut proto::Summary, reading: &proto::Reading) {
    let first = summary.readings == 0;
    summary.readings += 1;
    if first || reading.decidegrees < summary.decidegrees_min {
        summary.decidegrees_min = reading.decidegrees;
    }
    if first || reading.decidegrees > summary.decidegrees_max {
        summary.decidegrees_max = reading.decidegrees;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_holds_the_extremes() {
        let mut summary = proto::Summary::default();
        for decidegrees in [30, -20, 110] {
            fold(&mut summary, &proto::Reading { decidegrees, ..Default::default() });
        }
        assert_eq!((summary.readings, summary.decidegrees_min, summary.decidegrees_max), (3, -20, 110));
    }

    #[test]
    fn readings_differ_by_station_and_sequence() {
        assert_ne!(reading("oslo", 0, "a").decidegrees, reading("oslo", 1, "a").decidegrees);
        assert_ne!(reading("oslo", 0, "a").decidegrees, reading("rome", 0, "a").decidegrees);
    }
}
