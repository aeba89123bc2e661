//! What good policies become: the values that a sidecar lays over its own.

use std::time::Duration;

use super::{exact, resource, service};
use crate::{
    backoff::Backoff,
    policy::{
        Balance, BalancePolicy, Concurrency, FaultAbort, FaultDelay, FaultPolicy, HashKey, HedgePolicy,
        LimitPolicy, OutlierPolicy, Policy, QueuePolicy, RetryBudget, RetryOn, SuccessRatePolicy, ZonePolicy,
        patch::PolicyPatch,
    },
    resource::Resource,
    traffic::{Match, PathMatch, RateKey, RateLimit, Spec},
};

const MS: Duration = Duration::from_millis(1);

/// The only item of a resource of this kind, about `orders`.
fn said(kind: &str, spec: &str) -> Spec {
    let indented: String = spec.trim().lines().map(|line| format!("  {line}\n")).collect();
    let resource: Resource = resource(&format!(
        "apiVersion: weft.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: p, namespace: shop}}\nspec:\n  targetRefs: \
         [{{kind: Service, name: orders}}]\n{indented}"
    ));
    let mut items = resource.items();
    assert_eq!(resource.targets(), [service("orders.shop")]);
    assert_eq!(items.len(), 1);
    let (target, item) = items.remove(0);
    assert_eq!((target, &*item.origin.kind), (service("orders.shop"), kind));
    item.spec
}

fn policy(spec: &str) -> PolicyPatch {
    let Spec::Policy(patch) = said("ServicePolicy", spec) else { panic!("a policy") };
    *patch
}

fn limits(spec: &str) -> Vec<RateLimit> {
    let Spec::RateLimits(limits) = said("RateLimitPolicy", spec) else { panic!("limits") };
    limits
}

#[test]
fn a_policy_that_says_nothing_changes_nothing() {
    let patch = policy("");
    assert_eq!(patch, PolicyPatch::default());
    assert_eq!(patch.over(&Policy::default()), Policy::default());
}

#[test]
fn timeouts_may_be_never() {
    let patch = policy("timeouts: {request: 0s, backendRequest: 2s, connect: 100ms, idle: 5m}");
    assert_eq!(patch.total_timeout, Some(None));
    assert_eq!(patch.per_try_timeout, Some(Some(2_000 * MS)));
    assert_eq!(patch.connect_timeout, Some(100 * MS));
    assert_eq!(patch.idle_timeout, Some(Some(300_000 * MS)));
}

#[test]
fn retries_have_conditions_codes_and_a_budget() {
    let patch = policy(
        "
retries:
  attempts: 0
  conditions: [Reset]
  codes: [503, 502]
  grpcCodes: [UNAVAILABLE, CANCELLED, UNAUTHENTICATED]
  backoff: {base: 400ms}
  retryAfterMax: 0s
  bodyMax: 1Mi
  budget: {percent: 30}
",
    );
    let on = RetryOn {
        connect_failure: false,
        refused_stream: false,
        reset: true,
        statuses: vec![503, 502],
        grpc_codes: vec![14, 1, 16],
    };
    assert_eq!((patch.retries_max, patch.retry_on), (Some(0), Some(on)));
    assert_eq!(patch.backoff, Some(Backoff { base: 400 * MS, max: 400 * MS }));
    assert_eq!(patch.retry_after_max, Some(Duration::ZERO));
    assert_eq!(patch.retry_body_max, Some(1_048_576));
    assert_eq!(patch.retry_budget, Some(RetryBudget { percent: 30, ..RetryBudget::default() }));
}

#[test]
fn conditions_that_are_not_named_have_their_defaults() {
    let patch = policy("retries: {codes: [503]}");
    assert_eq!(patch.retry_on, Some(RetryOn { statuses: vec![503], ..RetryOn::default() }));
    assert_eq!(policy("retries: {attempts: 1}").retry_on, None);
    let none = policy("retries: {conditions: []}").retry_on.expect("said");
    assert!(!none.connect_failure && !none.refused_stream && !none.reset);
}

#[test]
fn balancing_is_a_whole() {
    let balance = |spec: &str| policy(spec).balance.expect("said");
    assert_eq!(balance("balancing: {}"), BalancePolicy::default());
    let whole = balance(
        "
balancing:
  algorithm: Maglev
  hashBy: {type: Header, name: X-User}
  slowStart: 30s
  zone: {mode: Prefer}
  panicThreshold: 0
  subset: {tags: [v2, eu]}
  connectionMaxAge: 10m
",
    );
    assert_eq!(whole.algorithm, Balance::Maglev(HashKey::Header("x-user".into())));
    assert_eq!(whole.slow_start, Some(30_000 * MS));
    assert_eq!(whole.zone, ZonePolicy::Prefer { spill_percent: 70 });
    assert_eq!(whole.panic_percent, 0);
    assert_eq!(whole.subset, ["v2".into(), "eu".into()]);
    assert_eq!(whole.connection_age_max, Some(600_000 * MS));
}

#[test]
fn each_algorithm_has_its_word() {
    let algorithm = |spec: &str| policy(&format!("balancing: {{{spec}}}")).balance.expect("said").algorithm;
    for (word, balance) in [
        ("PeakEWMA", Balance::P2cPeakEwma),
        ("LeastRequest", Balance::LeastRequest),
        ("RoundRobin", Balance::RoundRobin),
        ("Random", Balance::Random),
    ] {
        assert_eq!(algorithm(&format!("algorithm: {word}")), balance);
    }
    for (key, balance) in [
        ("{type: Cookie, name: Sid}", Balance::RingHash(HashKey::Cookie("Sid".into()))),
        ("{type: QueryParam, name: User}", Balance::RingHash(HashKey::Query("User".into()))),
        ("{type: SourceAddress}", Balance::RingHash(HashKey::SourceAddress)),
    ] {
        assert_eq!(algorithm(&format!("algorithm: RingHash, hashBy: {key}")), balance);
    }
}

#[test]
fn ejection_limits_hedging_and_faults_become_their_policies() {
    let patch = policy(
        "
ejection: {consecutiveFailures: 3, baseTime: 2m, successRate: {stdevFactor: 1.2}}
limits: {concurrency: {type: Fixed, max: 100}, queue: {length: 0}, connectionsPerEndpoint: 4}
hedging: {delay: 20ms}
faults: {delay: {percent: 5, duration: 1s}, abort: {percent: 100, statusCode: 503}}
",
    );
    let rate = SuccessRatePolicy {
        interval: 10_000 * MS,
        requests_min: 100,
        endpoints_min: 5,
        stdev_factor_thousandths: 1_200,
    };
    // The longest ejection is never shorter than the first.
    let outlier = OutlierPolicy {
        consecutive: 3,
        base: 120_000 * MS,
        max: 120_000 * MS,
        success_rate: Some(rate),
        ..OutlierPolicy::default()
    };
    assert_eq!(patch.outlier, Some(outlier));
    let limits = LimitPolicy {
        concurrency: Concurrency::Fixed(100),
        queue: QueuePolicy { length_max: 0, ..QueuePolicy::default() },
        connections_per_endpoint: Some(4),
    };
    assert_eq!(patch.limits, Some(limits));
    assert_eq!(patch.hedge, Some(HedgePolicy { delay: 20 * MS, attempts_max: 2 }));
    let fault = FaultPolicy {
        delay: Some(FaultDelay { percent: 5, time: 1_000 * MS }),
        abort: Some(FaultAbort { percent: 100, status: 503 }),
    };
    assert_eq!(patch.fault, Some(fault));
}

#[test]
fn a_limit_may_be_lifted_or_adaptive() {
    let concurrency =
        |spec: &str| policy(&format!("limits: {{concurrency: {spec}}}")).limits.expect("said").concurrency;
    assert_eq!(concurrency("{type: Unlimited}"), Concurrency::Unlimited);
    assert_eq!(concurrency("{type: Adaptive, max: 50}"), Concurrency::Adaptive { min: 3, max: 50 });
}

#[test]
fn a_rate_limit_has_keys_and_conditions() {
    let found = limits(
        "
limits:
- requests: 100
  per: 1m
- requests: 5
  per: 1s
  burst: 20
  rule: canary
  by: [{type: Header, name: X-Tenant}, {type: SourceAddress}, {type: Rule}]
  matches:
  - {path: {value: /orders}, method: POST, headers: [{name: X-Plan, value: free}]}
- {requests: 1, per: 1s, rule: orders/0, matches: [{path: {value: /a}}, {path: {value: /}}]}
",
    );
    let plain =
        |requests, per, burst| RateLimit { matches: vec![], route: None, by: vec![], requests, per, burst };
    let condition = Match {
        path: Some(PathMatch::Prefix("/orders".into())),
        method: Some("POST".into()),
        headers: vec![exact("x-plan", "free")],
        query: vec![],
    };
    let keyed = RateLimit {
        matches: vec![condition],
        route: Some("canary".into()),
        by: vec![RateKey::Header("x-tenant".into()), RateKey::SourceAddress, RateKey::Route],
        ..plain(5, 1_000 * MS, 20)
    };
    // One match that takes every request makes the others idle.
    let every = RateLimit { route: Some("orders/0".into()), ..plain(1, 1_000 * MS, 1) };
    assert_eq!(found, [plain(100, 60_000 * MS, 100), keyed, every]);
}
