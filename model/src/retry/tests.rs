//! Every condition with every obstacle; and that no retry is unsafe, whatever comes.

use proptest::prelude::*;

use super::*;
use crate::policy::RetryOn;

fn rng() -> fastrand::Rng {
    fastrand::Rng::with_seed(7)
}

fn after(ended: Ended) -> Situation {
    Situation {
        ended,
        idempotent: true,
        replayable: true,
        attempts: 1,
        retry_after: None,
        time_left: None,
        is_spent_below: false,
    }
}

fn answered(status: u16) -> Ended {
    Ended::Answered { status, grpc: None }
}

fn listing(statuses: &[u16], grpc_codes: &[u8]) -> RetryPolicy {
    let on = RetryOn { statuses: statuses.into(), grpc_codes: grpc_codes.into(), ..RetryOn::default() };
    RetryPolicy { on, ..RetryPolicy::default() }
}

fn reason(policy: &RetryPolicy, situation: &Situation) -> Result<Reason, Stop> {
    match decide(policy, situation, &mut rng()) {
        Verdict::Retry { reason, .. } => Ok(reason),
        Verdict::Stop(why) => Err(why),
    }
}

fn wait(policy: &RetryPolicy, situation: &Situation) -> Duration {
    match decide(policy, situation, &mut rng()) {
        Verdict::Retry { wait, .. } => wait,
        Verdict::Stop(why) => panic!("{why:?}"),
    }
}

#[test]
fn each_condition_has_its_reason_and_what_is_unsafe_is_not_repeated() {
    let policy = listing(&[503], &[14]);
    let unavailable = Ended::Answered { status: 200, grpc: Some(14) };
    for (ended, idempotent, unsafe_too) in [
        (Ended::NotConnected, Ok(Reason::ConnectFailure), true),
        (Ended::Refused, Ok(Reason::RefusedStream), true),
        (Ended::Full, Ok(Reason::RefusedStream), true),
        (Ended::Reset, Ok(Reason::Reset), false),
        (Ended::TimedOut, Ok(Reason::Timeout), false),
        (answered(503), Ok(Reason::Status), false),
        (unavailable, Ok(Reason::GrpcCode), false),
        (answered(200), Err(Stop::Settled), false),
        (answered(500), Err(Stop::Settled), false),
        (Ended::Answered { status: 200, grpc: Some(3) }, Err(Stop::Settled), false),
        (Ended::Final, Err(Stop::Settled), false),
    ] {
        assert_eq!(reason(&policy, &after(ended)), idempotent, "{ended:?}");
        let unsafe_one = Situation { idempotent: false, ..after(ended) };
        let expected = match idempotent {
            Ok(_) if !unsafe_too => Err(Stop::Unsafe),
            settled => settled,
        };
        assert_eq!(reason(&policy, &unsafe_one), expected, "{ended:?}");
    }
}

#[test]
fn a_condition_that_is_off_is_not_tried_again() {
    let mut policy = RetryPolicy::default();
    policy.on.connect_failure = false;
    policy.on.refused_stream = false;
    policy.on.reset = false;
    for ended in [Ended::NotConnected, Ended::Refused, Ended::Full, Ended::Reset, Ended::TimedOut] {
        assert_eq!(reason(&policy, &after(ended)), Err(Stop::Settled), "{ended:?}");
    }
}

#[test]
fn what_stands_in_the_way_is_named() {
    let policy = listing(&[503], &[]);
    let reset = after(Ended::Reset);
    assert_eq!(reason(&policy, &Situation { replayable: false, ..reset }), Err(Stop::BodyGone));
    assert_eq!(reason(&policy, &Situation { attempts: 3, ..reset }), Err(Stop::AttemptsSpent));
    assert_eq!(reason(&policy, &Situation { is_spent_below: true, ..reset }), Err(Stop::SpentBelow));
    let left = Some(Duration::from_millis(5));
    assert_eq!(reason(&policy, &Situation { time_left: left, attempts: 2, ..reset }), Err(Stop::NoTime));
    assert_eq!(reason(&policy, &Situation { time_left: left, ..reset }), Ok(Reason::Reset));
}

#[test]
fn the_first_retry_of_a_failure_goes_at_once_and_that_of_an_answer_waits() {
    let policy = listing(&[503], &[]);
    assert_eq!(wait(&policy, &after(Ended::Reset)), Duration::ZERO);
    assert!(wait(&policy, &Situation { attempts: 2, ..after(Ended::Reset) }) >= policy.backoff.base / 2);
    assert!(wait(&policy, &after(answered(503))) >= policy.backoff.base / 2);
    let floor = RetryPolicy { wait_min: Duration::from_secs(1), ..policy };
    assert_eq!(wait(&floor, &after(Ended::Reset)), Duration::from_secs(1));
}

#[test]
fn retry_after_is_waited_for_up_to_the_limit_and_otherwise_the_answer_is_passed_on() {
    let policy = listing(&[429, 503], &[]);
    for status in [429, 503] {
        let asks = |seconds| Situation {
            retry_after: Some(Duration::from_secs(seconds)),
            ..after(answered(status))
        };
        assert_eq!(wait(&policy, &asks(1)), Duration::from_secs(1));
        assert!(wait(&policy, &asks(0)) < Duration::from_millis(50));
        assert_eq!(reason(&policy, &asks(2)), Err(Stop::RetryAfterTooLong));
        let hurried = Situation { time_left: Some(Duration::from_millis(900)), ..asks(1) };
        assert_eq!(reason(&policy, &hurried), Err(Stop::NoTime));
    }
}

#[test]
fn who_is_full_is_only_left_for_another_one() {
    let elsewhere = |ended| match decide(&RetryPolicy::default(), &after(ended), &mut rng()) {
        Verdict::Retry { elsewhere, .. } => elsewhere,
        Verdict::Stop(why) => panic!("{why:?}"),
    };
    assert!(elsewhere(Ended::Full) && !elsewhere(Ended::Refused));
}

fn any_ended() -> impl Strategy<Value = Ended> {
    prop_oneof![
        Just(Ended::NotConnected),
        Just(Ended::Refused),
        Just(Ended::Full),
        Just(Ended::Reset),
        Just(Ended::TimedOut),
        Just(Ended::Final),
        (200_u16..600, prop::option::of(0_u8..17))
            .prop_map(|(status, grpc)| Ended::Answered { status, grpc }),
    ]
}

proptest! {
    #[test]
    fn a_retry_is_always_safe_within_its_attempts_and_its_time(
        ended in any_ended(), idempotent: bool, replayable: bool, attempts in 1_u32..6, seed: u64,
        retry_after in prop::option::of(0_u64..5), left_ms in prop::option::of(1_u64..2_000),
        is_spent_below: bool,
    ) {
        let statuses: Vec<u16> = (200..600).collect();
        let policy = listing(&statuses, &[14]);
        let situation = Situation {
            ended,
            idempotent,
            replayable,
            attempts,
            retry_after: retry_after.map(Duration::from_secs),
            time_left: left_ms.map(Duration::from_millis),
            is_spent_below,
        };
        let verdict = decide(&policy, &situation, &mut fastrand::Rng::with_seed(seed));
        if let Verdict::Retry { wait, .. } = verdict {
            let unseen = matches!(ended, Ended::NotConnected | Ended::Refused | Ended::Full);
            prop_assert!((idempotent || unseen) && replayable && !is_spent_below);
            prop_assert!(attempts <= policy.retries_max);
            prop_assert!(wait <= policy.backoff.max.max(policy.retry_after_max));
            prop_assert!(left_ms.is_none_or(|left| wait.is_zero() || wait < Duration::from_millis(left)));
        }
    }
}
