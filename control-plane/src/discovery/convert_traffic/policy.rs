//! What a ServicePolicy says over a sidecar's own policy.

use weft_model::{
    backoff::Backoff,
    policy::{
        Balance, BalancePolicy, Concurrency, FaultAbort, FaultDelay, FaultPolicy, HashKey, HedgePolicy,
        LimitPolicy, OutlierPolicy, PriorityLevel, PriorityPolicy, QueuePolicy, RetryBudget, RetryOn,
        SuccessRatePolicy, ZonePolicy, patch::PolicyPatch,
    },
};
use weft_proto::weft::v1 as proto;

use super::{millis, timeout};

pub(super) fn policy(patch: &PolicyPatch) -> proto::Policy {
    let PolicyPatch {
        total_timeout,
        per_try_timeout,
        connect_timeout,
        idle_timeout,
        retries_max,
        retry_on: on,
        retry_budget: budget,
        backoff: wait,
        retry_after_max,
        retry_body_max,
        hedge: second,
        balance: choice,
        outlier: ejection,
        limits: limit,
        fault: broken,
    } = patch;
    proto::Policy {
        total_timeout: timeout(*total_timeout),
        per_try_timeout: timeout(*per_try_timeout),
        connect_timeout_ms: connect_timeout.map(millis),
        idle_timeout: timeout(*idle_timeout),
        retries_max: *retries_max,
        retry_on: on.as_ref().map(retry_on),
        retry_budget: budget.as_ref().map(retry_budget),
        backoff: wait.as_ref().map(backoff),
        retry_after_max_ms: retry_after_max.map(millis),
        retry_body_bytes_max: retry_body_max.map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX)),
        hedge: second.as_ref().map(hedge),
        balance: choice.as_ref().map(balance),
        outlier: ejection.as_ref().map(outlier),
        limits: limit.as_ref().map(limits),
        fault: broken.as_ref().map(fault),
    }
}

fn retry_on(on: &RetryOn) -> proto::RetryOn {
    let RetryOn { connect_failure, refused_stream, reset, statuses, grpc_codes } = on;
    proto::RetryOn {
        connect_failure: *connect_failure,
        refused_stream: *refused_stream,
        reset: *reset,
        statuses: statuses.iter().copied().map(u32::from).collect(),
        grpc_codes: grpc_codes.iter().copied().map(u32::from).collect(),
    }
}

fn retry_budget(budget: &RetryBudget) -> proto::RetryBudget {
    let RetryBudget { percent, floor_per_second, reserve } = *budget;
    proto::RetryBudget { percent, floor_per_second, reserve }
}

fn backoff(backoff: &Backoff) -> proto::Backoff {
    let Backoff { base, max } = *backoff;
    proto::Backoff { base_ms: millis(base), max_ms: millis(max) }
}

fn hedge(hedge: &HedgePolicy) -> proto::Hedge {
    let HedgePolicy { delay, attempts_max } = *hedge;
    proto::Hedge { delay_ms: millis(delay), attempts_max }
}

fn balance(balance: &BalancePolicy) -> proto::Balance {
    use proto::balance::Algorithm as Wire;

    let BalancePolicy { algorithm, slow_start, priority, zone, panic_percent, subset, connection_age_max } =
        balance;
    let wire = match algorithm {
        Balance::P2cPeakEwma => Wire::P2cPeakEwma(proto::Plain {}),
        Balance::LeastRequest => Wire::LeastRequest(proto::Plain {}),
        Balance::RoundRobin => Wire::RoundRobin(proto::Plain {}),
        Balance::Random => Wire::Random(proto::Plain {}),
        Balance::RingHash(key) => Wire::RingHash(hash_key(key)),
        Balance::Maglev(key) => Wire::Maglev(hash_key(key)),
    };
    proto::Balance {
        algorithm: Some(wire),
        slow_start_ms: slow_start.map(millis),
        prefer_zone: match *zone {
            ZonePolicy::Any => None,
            ZonePolicy::Prefer { spill_percent } => Some(proto::PreferZone { spill_percent }),
        },
        panic_percent: *panic_percent,
        subset: texts(subset),
        connection_age_max_ms: connection_age_max.map(millis),
        priority: (*priority != PriorityPolicy::default()).then(|| proto::Priority {
            levels: priority.levels.iter().map(level).collect(),
            overprovision_percent: priority.overprovision_percent,
        }),
    }
}

fn level(PriorityLevel { tags, zones }: &PriorityLevel) -> proto::PriorityLevel {
    proto::PriorityLevel { tags: texts(tags), zones: texts(zones) }
}

fn texts(texts: &[Box<str>]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn hash_key(key: &HashKey) -> proto::HashKey {
    use proto::hash_key::Key as Wire;

    let wire = match key {
        HashKey::Header(name) => Wire::Header(name.to_string()),
        HashKey::Cookie(name) => Wire::Cookie(name.to_string()),
        HashKey::Query(name) => Wire::Query(name.to_string()),
        HashKey::SourceAddress => Wire::SourceAddress(proto::SourceAddress {}),
    };
    proto::HashKey { key: Some(wire) }
}

fn outlier(outlier: &OutlierPolicy) -> proto::Outlier {
    let OutlierPolicy { consecutive, base, max, forgiven_after, percent_max, success_rate } = *outlier;
    proto::Outlier {
        consecutive,
        base_ms: millis(base),
        max_ms: millis(max),
        forgiven_after_ms: millis(forgiven_after),
        percent_max,
        success_rate: success_rate.map(|rate| {
            let SuccessRatePolicy { interval, requests_min, endpoints_min, stdev_factor_thousandths } = rate;
            let interval_ms = millis(interval);
            proto::SuccessRate { interval_ms, requests_min, endpoints_min, stdev_factor_thousandths }
        }),
    }
}

fn limits(limits: &LimitPolicy) -> proto::Limits {
    use proto::concurrency::Limit as Wire;

    let LimitPolicy { concurrency, queue: QueuePolicy { length_max, timeout }, connections_per_endpoint } =
        *limits;
    let wire = match concurrency {
        Concurrency::Unlimited => Wire::Unlimited(proto::Plain {}),
        Concurrency::Fixed(limit) => Wire::Fixed(limit),
        Concurrency::Adaptive { min, max } => Wire::Adaptive(proto::AdaptiveConcurrency { min, max }),
    };
    proto::Limits {
        concurrency: Some(proto::Concurrency { limit: Some(wire) }),
        queue_length_max: length_max,
        queue_timeout_ms: millis(timeout),
        connections_per_endpoint,
    }
}

fn fault(fault: &FaultPolicy) -> proto::Fault {
    let FaultPolicy { delay, abort } = *fault;
    proto::Fault {
        delay: delay.map(|FaultDelay { percent, time }| proto::FaultDelay { percent, time_ms: millis(time) }),
        abort: abort
            .map(|FaultAbort { percent, status }| proto::FaultAbort { percent, status: u32::from(status) }),
    }
}
