//! `/config_dump`: what this sidecar was told, and what it knows. There are no secrets in either yet.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};
use weft_model::{
    policy::{Policy, ZonePolicy},
    traffic::Item,
};

use crate::{
    config::{AccessLog, Egress, InstanceConfig, SidecarConfig, Upstream},
    limits::Limits,
    table::{ServiceTable, Table, TableEndpoint},
};

/// The configuration, as validated.
pub fn config(config: &SidecarConfig) -> Value {
    json!({
        "control_plane": config.control_plane,
        "node": config.node,
        "namespace": config.namespace,
        "instance": config.instance.as_ref().map(instance),
        "outbound": config.outbound,
        "inbound": config.inbound,
        "advertise": config.advertise,
        "admin": config.admin,
        "data_dir": config.data_dir,
        "insecure_listen": config.insecure_listen,
        "upstreams": config.upstreams.iter().map(upstream).collect::<Vec<_>>(),
        "subscribe": config.subscribe,
        "egress": match config.egress {
            Egress::Allow => "allow",
            Egress::Registered => "registered",
        },
        "data_threads": config.data_threads,
        "access_log": match &config.access_log {
            AccessLog::Off => "off".into(),
            AccessLog::Stdout => "stdout".into(),
            AccessLog::File(path) => path.display().to_string(),
        },
        "records": format!("{:?}", config.records),
        "policy": policy(&config.policy),
        "limits": limits(&config.limits),
        "headers": {
            "via": config.headers.via.as_deref().unwrap_or("off"),
            "forwarded": config.headers.forwarded.as_str(),
        },
        "command": config.command,
        "zone": config.zone,
        "connection_age_max": or_never(config.connection_age_max),
        "outbound_connection_age_max": or_never(config.outbound_connection_age_max),
        "drain_timeout": humantime::format_duration(config.drain_timeout).to_string(),
    })
}

fn upstream(upstream: &Upstream) -> Value {
    json!({
        "service": upstream.service,
        "port_name": upstream.port_name,
        "listen": upstream.listen,
        "protocol": upstream.protocol,
    })
}

/// In the words of the file.
fn policy(policy: &Policy) -> Value {
    let (timeouts, retry, outlier) = (&policy.timeouts, &policy.retry, &policy.outlier);
    let balance = &policy.balance;
    let time = |time| humantime::format_duration(time).to_string();
    json!({
        "timeout": or_never(timeouts.total),
        "per_try_timeout": or_never(timeouts.per_try),
        "connect_timeout": time(timeouts.connect),
        "retries": retry.retries_max,
        "retry_budget_percent": retry.budget.percent,
        "retry_floor_per_second": retry.budget.floor_per_second,
        "retry_body_bytes_max": retry.body_max,
        "balance": balance.algorithm.as_str(),
        "slow_start": or_never(balance.slow_start),
        "zone": match balance.zone {
            ZonePolicy::Any => "any",
            ZonePolicy::Prefer { .. } => "prefer",
        },
        "zone_spill_percent": match balance.zone {
            ZonePolicy::Any => None,
            ZonePolicy::Prefer { spill_percent } => Some(spill_percent),
        },
        "panic_percent": balance.panic_percent,
        "connection_age_max": or_never(balance.connection_age_max),
        "ejection": {
            "failures": outlier.consecutive,
            "time": time(outlier.base),
            "time_max": time(outlier.max),
            "percent_max": outlier.percent_max,
        },
    })
}

/// In the words of the file.
fn limits(limits: &Limits) -> Value {
    let time = |time| humantime::format_duration(time).to_string();
    json!({
        "header_count_max": limits.header_count_max,
        "header_bytes_max": limits.header_bytes_max,
        "request_line_bytes_max": limits.request_line_bytes_max,
        "body_bytes_max": limits.body_bytes_max.map_or_else(|| "never".into(), Value::from),
        "connections_max": limits.connections_max,
        "streams_max": limits.streams_max,
        "stream_resets_max": limits.stream_resets_max,
        "header_timeout": time(limits.header_timeout),
        "body_timeout": time(limits.body_timeout),
        "write_timeout": time(limits.write_timeout),
        "idle_timeout": time(limits.idle_timeout),
        "relay_idle_timeout": limits.relay_idle_timeout.map_or_else(|| "never".to_owned(), time),
    })
}

/// Services, endpoints, and the cells beside them.
pub fn table(table: &Table) -> Value {
    let mut services: Vec<_> = table.services.values().collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    json!({
        "version": table.version,
        "services": services.into_iter().map(|known| service(known)).collect::<Vec<_>>(),
    })
}

fn or_never(limit: Option<Duration>) -> String {
    limit.map_or_else(|| "never".to_owned(), |limit| humantime::format_duration(limit).to_string())
}

fn instance(instance: &InstanceConfig) -> Value {
    json!({
        "service": instance.service,
        "id": instance.id,
        "app": instance.app,
        "protocol": instance.protocol,
        "check": instance.check,
        "tags": instance.tags,
        "weight": instance.weight,
        "zone": instance.zone,
    })
}

fn service(service: &ServiceTable) -> Value {
    json!({
        "service": service.name,
        "retry_budget": service.cell.budget.load(Ordering::Relaxed),
        "last_used_seconds": service.cell.last_used.load(Ordering::Relaxed),
        "endpoints": service.endpoints.iter().map(|known| endpoint(known)).collect::<Vec<_>>(),
        "traffic": service.traffic.items.iter().map(item).collect::<Vec<_>>(),
    })
}

/// What one resource says about the service, oldest first as it counts.
fn item(item: &Item) -> Value {
    let origin = &item.origin;
    json!({
        "kind": origin.kind,
        "namespace": origin.namespace,
        "name": origin.name,
        "generation": origin.generation,
        "says": format!("{:?}", item.spec),
    })
}

fn endpoint(known: &TableEndpoint) -> Value {
    let (endpoint, cell) = (&known.endpoint, &known.cell);
    json!({
        "key": endpoint.key,
        "address": endpoint.address,
        "ports": endpoint.ports,
        "health": endpoint.health,
        "reason": endpoint.reason,
        "weight": endpoint.weight,
        "zone": endpoint.zone,
        "hop": endpoint.hop,
        "tags": endpoint.tags,
        "cell": {
            "in_flight": cell.in_flight.load(Ordering::Relaxed),
            "failures": cell.failures.load(Ordering::Relaxed),
            "ewma_ns": f64::from_bits(cell.ewma_bits.load(Ordering::Relaxed)),
            "ejected_until_ns": cell.ejected_until.load(Ordering::Relaxed),
            "ejections": cell.ejections.load(Ordering::Relaxed),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_shown_in_the_words_of_the_file() {
        let shown = policy(&Policy::default());
        assert_eq!((&shown["timeout"], &shown["per_try_timeout"]), (&json!("30s"), &json!("never")));
        assert_eq!((&shown["balance"], &shown["ejection"]["failures"]), (&json!("p2c-peak-ewma"), &json!(5)));
    }
}
