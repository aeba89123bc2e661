//! Which records are written to the access log. Pure.

use super::AccessRecord;
use crate::config::{Condition, RecordPolicy};

/// Whether a record is written: a failure always, another one where a condition holds and it is in the sample.
pub(super) fn wants(policy: &RecordPolicy, record: &AccessRecord) -> bool {
    let holds = |condition: &Condition| match condition {
        Condition::Failed => false,
        Condition::Slower(time) => u128::from(record.nanos) >= time.as_nanos(),
        Condition::Class(class) => record.status / 100 == *class,
        Condition::Retried => record.attempts > 1,
    };
    record.has_failed()
        || (policy.when.is_empty() || policy.when.iter().any(holds)) && is_sampled(policy.sample, record)
}

/// By the request's id where it has one, so that every sidecar on its way picks the same requests.
fn is_sampled(share: f64, record: &AccessRecord) -> bool {
    if share >= 1.0 {
        return true;
    }
    let place = match record.request_id() {
        Some(id) => f64::from(crc32fast::hash(id)) / (f64::from(u32::MAX) + 1.0),
        None => fastrand::f64(),
    };
    place < share
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use smallvec::SmallVec;
    use weft_model::error_code::ErrorCode;

    use super::*;
    use crate::record::format::tests::record;

    fn with_id(number: u32) -> AccessRecord {
        let mut record = record();
        record.line.as_mut().unwrap().request_id = SmallVec::from_slice(number.to_string().as_bytes());
        record
    }

    #[test]
    fn a_tenth_of_the_ids_is_a_tenth_of_the_records_and_the_same_ones_each_time() {
        let policy = RecordPolicy { sample: 0.1, ..RecordPolicy::default() };
        let picked: Vec<_> = (0..10_000).filter(|id| wants(&policy, &with_id(*id))).collect();
        assert!((900..1_100).contains(&picked.len()), "{}", picked.len());
        assert!(picked.iter().all(|id| wants(&policy, &with_id(*id))));
    }

    #[test]
    fn failures_are_written_whatever_is_said() {
        let policy = RecordPolicy { sample: 0.0, when: vec![Condition::Failed], ..RecordPolicy::default() };
        assert!(!wants(&policy, &record()));
        assert!(wants(&policy, &AccessRecord { error: Some(ErrorCode::NoRoute), ..record() }));
        assert!(wants(&policy, &AccessRecord { status: 500, ..record() }));
    }

    #[test]
    fn one_condition_is_enough() {
        let when = vec![Condition::Slower(Duration::from_millis(5)), Condition::Class(4), Condition::Retried];
        let policy = RecordPolicy { when, ..RecordPolicy::default() };
        assert!(!wants(&policy, &record()));
        assert!(wants(&policy, &AccessRecord { nanos: 5_000_000, ..record() }));
        assert!(wants(&policy, &AccessRecord { status: 404, ..record() }));
        assert!(wants(&policy, &AccessRecord { attempts: 2, ..record() }));
    }
}
