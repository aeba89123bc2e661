//! The state machine of a check against invented results, and against a plain restatement of its rules.

use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

fn thresholds(critical: u32, warning: u32, passing: u32) -> Thresholds {
    Thresholds {
        failures_before_critical: critical,
        failures_before_warning: warning,
        successes_before_passing: passing,
    }
}

fn fail() -> ProbeResult {
    ProbeResult::Fail("refused".into())
}

fn pass() -> ProbeResult {
    ProbeResult::Pass("200".into())
}

#[test]
fn failures_warn_first_and_then_turn_critical() {
    let mut check = CheckState::new(thresholds(4, 2, 1), Health::Passing, "", at(0));
    let steps: Vec<Health> = (1..=5)
        .map(|second| {
            check.observe(&fail(), at(second));
            check.health()
        })
        .collect();
    assert_eq!(
        steps,
        [Health::Passing, Health::Warning, Health::Warning, Health::Critical, Health::Critical]
    );
    assert_eq!(check.since(), at(4));
}

#[test]
fn successes_in_a_row_bring_it_back() {
    let mut check = CheckState::new(thresholds(1, 0, 3), Health::Critical, "", at(0));
    check.observe(&pass(), at(1));
    check.observe(&pass(), at(2));
    check.observe(&fail(), at(3));
    check.observe(&pass(), at(4));
    check.observe(&pass(), at(5));
    assert_eq!(check.health(), Health::Critical);
    let step = check.observe(&pass(), at(6));
    assert_eq!(step, Step::Transition { from: Health::Critical, to: Health::Passing });
    assert_eq!(check.since(), at(6));
}

#[test]
fn one_failure_among_successes_does_not_lift_a_critical_check() {
    let mut check = CheckState::new(thresholds(3, 1, 5), Health::Critical, "", at(0));
    check.observe(&pass(), at(1));
    check.observe(&fail(), at(2));
    assert_eq!(check.health(), Health::Critical);
}

#[test]
fn a_warning_shows_at_once_on_a_passing_check() {
    let mut check = CheckState::new(thresholds(2, 0, 3), Health::Passing, "", at(0));
    let step = check.observe(&ProbeResult::Warn("429".into()), at(1));
    assert_eq!(step, Step::Transition { from: Health::Passing, to: Health::Warning });
}

#[test]
fn other_words_are_no_transition() {
    let mut check = CheckState::new(Thresholds::default(), Health::Passing, "200", at(0));
    assert_eq!(check.observe(&pass(), at(1)), Step::Same);
    assert_eq!(check.observe(&ProbeResult::Pass("200 OK".into()), at(2)), Step::Output);
    assert_eq!(check.since(), at(0));
}

#[test]
fn an_expired_ttl_is_critical_until_the_next_report() {
    let mut check = CheckState::new(Thresholds::default(), Health::Critical, "", at(0));
    check.report(Health::Passing, "fine", at(1));
    check.expire(Duration::from_secs(10), at(11));
    assert_eq!((check.health(), check.output()), (Health::Critical, "TTL expired: no report for 10s"));
    check.report(Health::Warning, "so-so", at(12));
    assert_eq!(check.health(), Health::Warning);
}

#[test]
fn output_is_cut_between_characters() {
    let mut check = CheckState::new(Thresholds::default(), Health::Passing, "", at(0));
    check.observe(&ProbeResult::Pass("ü".repeat(OUTPUT_LENGTH_MAX)), at(1));
    assert!(check.output().len() <= OUTPUT_LENGTH_MAX);
    assert!(check.output().ends_with("ü [shortened]"));
}

#[test]
fn the_worst_cause_wins_and_the_first_of_equals() {
    let cause = |id, health| Cause { id, health };
    let causes = [
        cause("a", Health::Passing),
        cause("b", Health::Warning),
        cause("c", Health::Critical),
        cause("d", Health::Critical),
    ];
    assert_eq!(worst(causes).map(|cause| cause.id), Some("c"));
    assert_eq!(worst([cause("a", Health::Passing)]), None);
    assert_eq!(worst([]), None);
}

#[test]
fn removal_is_due_only_after_an_unbroken_time_critical() {
    let start = origin();
    let second = |n| start + Duration::from_secs(n);
    let mut removal = Deregistration::new(Duration::from_secs(60));
    removal.observe(Health::Critical, second(0));
    removal.observe(Health::Warning, second(30));
    removal.observe(Health::Critical, second(40));
    removal.observe(Health::Critical, second(70));
    assert!(!removal.due(second(99)));
    assert!(removal.due(second(100)));
}

#[allow(clippy::disallowed_methods, reason = "an origin for invented times; nothing waits for it")]
fn origin() -> Instant {
    Instant::now()
}

fn any_result() -> impl Strategy<Value = ProbeResult> {
    prop_oneof![
        Just(ProbeResult::Pass(String::new())),
        Just(ProbeResult::Warn(String::new())),
        Just(ProbeResult::Fail(String::new())),
    ]
}

fn any_health() -> impl Strategy<Value = Health> {
    prop_oneof![Just(Health::Passing), Just(Health::Warning), Just(Health::Critical)]
}

proptest! {
    #[test]
    fn a_failure_never_betters_and_a_pass_never_worsens(
        critical in 0_u32..5, warning in 0_u32..5, passing in 0_u32..5,
        initial in any_health(), results in prop::collection::vec(any_result(), 0..60),
    ) {
        let mut check = CheckState::new(thresholds(critical, warning, passing), initial, "", at(0));
        let (mut failures, mut passes) = (0, 0);
        for (result, second) in results.iter().zip(1..) {
            let before = check.clone();
            let step = check.observe(result, at(second));
            match result {
                ProbeResult::Fail(_) => { failures += 1; passes = 0; prop_assert!(check.health() >= before.health()); }
                ProbeResult::Pass(_) => { passes += 1; failures = 0; prop_assert!(check.health() <= before.health()); }
                ProbeResult::Warn(_) => { passes = 0; failures = 0; }
            }
            if failures >= critical.max(1) { prop_assert_eq!(check.health(), Health::Critical); }
            if passes >= passing.max(1) { prop_assert_eq!(check.health(), Health::Passing); }
            let changed = before.health() != check.health();
            prop_assert_eq!(changed, matches!(step, Step::Transition { .. }));
            prop_assert_eq!(check.since(), if changed { at(second) } else { before.since() });
        }
    }

    #[test]
    fn a_shortened_text_fits_and_begins_like_the_whole(text in ".{0,200}", limit in 12_usize..100) {
        let short = shorten(&text, limit);
        prop_assert!(short.len() <= limit.max(SHORTENED.len()));
        prop_assert!(text.starts_with(short.trim_end_matches(SHORTENED)) || short == text);
    }
}
