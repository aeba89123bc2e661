//! What a ServicePolicy says over this sidecar's own policy.

use std::time::Duration;

use weft_model::{
    backoff::Backoff,
    policy::{
        Balance, BalancePolicy, Concurrency, FaultAbort, FaultDelay, FaultPolicy, HashKey, HedgePolicy,
        LimitPolicy, OutlierPolicy, PriorityLevel, PriorityPolicy, QueuePolicy, RetryBudget, RetryOn,
        SuccessRatePolicy, ZonePolicy, patch::PolicyPatch,
    },
};
use weft_proto::weft::v1 as proto;

use super::{Refused, each, maybe, narrow, timeout, unknown};

pub(super) fn policy(wire: proto::Policy) -> Result<PolicyPatch, Refused> {
    Ok(PolicyPatch {
        total_timeout: timeout("totalTimeout", wire.total_timeout)?,
        per_try_timeout: timeout("perTryTimeout", wire.per_try_timeout)?,
        connect_timeout: wire.connect_timeout_ms.map(ms),
        idle_timeout: timeout("idleTimeout", wire.idle_timeout)?,
        retries_max: wire.retries_max,
        retry_on: maybe("retryOn", wire.retry_on, retry_on)?,
        retry_budget: wire.retry_budget.map(retry_budget),
        backoff: wire.backoff.map(|wait| Backoff { base: ms(wait.base_ms), max: ms(wait.max_ms) }),
        retry_after_max: wire.retry_after_max_ms.map(ms),
        retry_body_max: wire.retry_body_bytes_max.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        hedge: maybe("hedge", wire.hedge, hedge)?,
        balance: maybe("balance", wire.balance, balance)?,
        outlier: wire.outlier.map(outlier),
        limits: maybe("limits", wire.limits, limits)?,
        fault: maybe("fault", wire.fault, fault)?,
    })
}

fn retry_on(wire: proto::RetryOn) -> Result<RetryOn, Refused> {
    Ok(RetryOn {
        connect_failure: wire.connect_failure,
        refused_stream: wire.refused_stream,
        reset: wire.reset,
        statuses: each("statuses", wire.statuses, |status| narrow("", status))?,
        grpc_codes: each("grpcCodes", wire.grpc_codes, |code| narrow("", code))?,
    })
}

fn retry_budget(wire: proto::RetryBudget) -> RetryBudget {
    let proto::RetryBudget { percent, floor_per_second, reserve } = wire;
    RetryBudget { percent, floor_per_second, reserve }
}

fn hedge(wire: proto::Hedge) -> Result<HedgePolicy, Refused> {
    let proto::Hedge { delay_ms, attempts_max } = wire;
    if attempts_max < 2 {
        return Err(format!("attemptsMax: {attempts_max} is not 2 or more"));
    }
    Ok(HedgePolicy { delay: ms(delay_ms), attempts_max })
}

fn balance(wire: proto::Balance) -> Result<BalancePolicy, Refused> {
    use proto::balance::Algorithm as Wire;

    let algorithm = match wire.algorithm.ok_or_else(|| unknown("algorithm"))? {
        Wire::P2cPeakEwma(proto::Plain {}) => Balance::P2cPeakEwma,
        Wire::LeastRequest(proto::Plain {}) => Balance::LeastRequest,
        Wire::RoundRobin(proto::Plain {}) => Balance::RoundRobin,
        Wire::Random(proto::Plain {}) => Balance::Random,
        Wire::RingHash(key) => Balance::RingHash(hash_key("ringHash", key)?),
        Wire::Maglev(key) => Balance::Maglev(hash_key("maglev", key)?),
    };
    Ok(BalancePolicy {
        algorithm,
        slow_start: wire.slow_start_ms.map(ms),
        zone: wire
            .prefer_zone
            .map_or(ZonePolicy::Any, |zone| ZonePolicy::Prefer { spill_percent: zone.spill_percent }),
        panic_percent: wire.panic_percent,
        subset: texts(wire.subset),
        connection_age_max: wire.connection_age_max_ms.map(ms),
        priority: wire.priority.map(priority).transpose()?.unwrap_or_default(),
    })
}

fn priority(wire: proto::Priority) -> Result<PriorityPolicy, Refused> {
    let proto::Priority { levels, overprovision_percent } = wire;
    if overprovision_percent < 100 {
        return Err(format!("overprovisionPercent: {overprovision_percent} is not 100 or more"));
    }
    let level =
        |proto::PriorityLevel { tags, zones }| PriorityLevel { tags: texts(tags), zones: texts(zones) };
    Ok(PriorityPolicy { levels: levels.into_iter().map(level).collect(), overprovision_percent })
}

fn texts(texts: Vec<String>) -> Vec<Box<str>> {
    texts.into_iter().map(Into::into).collect()
}

fn hash_key(field: &str, wire: proto::HashKey) -> Result<HashKey, Refused> {
    use proto::hash_key::Key as Wire;

    Ok(match wire.key.ok_or_else(|| unknown(field))? {
        Wire::Header(name) => HashKey::Header(name.into()),
        Wire::Cookie(name) => HashKey::Cookie(name.into()),
        Wire::Query(name) => HashKey::Query(name.into()),
        Wire::SourceAddress(proto::SourceAddress {}) => HashKey::SourceAddress,
    })
}

fn outlier(wire: proto::Outlier) -> OutlierPolicy {
    OutlierPolicy {
        consecutive: wire.consecutive,
        base: ms(wire.base_ms),
        max: ms(wire.max_ms),
        forgiven_after: ms(wire.forgiven_after_ms),
        percent_max: wire.percent_max,
        success_rate: wire.success_rate.map(|rate| SuccessRatePolicy {
            interval: ms(rate.interval_ms),
            requests_min: rate.requests_min,
            endpoints_min: rate.endpoints_min,
            stdev_factor_thousandths: rate.stdev_factor_thousandths,
        }),
    }
}

fn limits(wire: proto::Limits) -> Result<LimitPolicy, Refused> {
    use proto::concurrency::Limit as Wire;

    let concurrency = wire.concurrency.and_then(|one| one.limit).ok_or_else(|| unknown("concurrency"))?;
    Ok(LimitPolicy {
        concurrency: match concurrency {
            Wire::Unlimited(proto::Plain {}) => Concurrency::Unlimited,
            Wire::Fixed(limit) => Concurrency::Fixed(limit),
            Wire::Adaptive(proto::AdaptiveConcurrency { min, max }) => Concurrency::Adaptive { min, max },
        },
        queue: QueuePolicy { length_max: wire.queue_length_max, timeout: ms(wire.queue_timeout_ms) },
        connections_per_endpoint: wire.connections_per_endpoint,
    })
}

fn fault(wire: proto::Fault) -> Result<FaultPolicy, Refused> {
    let abort = |abort: proto::FaultAbort| {
        let status = narrow("status", abort.status)?;
        Ok(FaultAbort { percent: abort.percent, status })
    };
    Ok(FaultPolicy {
        delay: wire.delay.map(|delay| FaultDelay { percent: delay.percent, time: ms(delay.time_ms) }),
        abort: maybe("abort", wire.abort, abort)?,
    })
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
