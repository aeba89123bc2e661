//! `/api/health/checks/…` and the older `aliveness-test`: for load balancers and alarms. 200, or 503 with a reason.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    answer::{Answer, Failure, READ},
    context::Context,
    nodes, overview,
    request::Request,
};
use crate::{
    server::VhostHandle,
    vhost::{Blocked, Reasons},
};

/// How long a virtual host may take to say how it is.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// It does not answer.
#[derive(Debug, Clone, Copy)]
struct Down;

/// All of them; `path` begins with which family.
pub(super) async fn handle(context: &Context, request: &Request, path: &[&str]) -> Result<Answer, Failure> {
    if request.method != Method::GET {
        return Err(Failure::Method(READ));
    }
    match path {
        ["aliveness-test", vhost] => {
            let handle = context.see(request, vhost)?;
            if has_failed(state(&handle).await) {
                return Ok(failed(json!({ "virtual-hosts": [vhost] }), "Some virtual hosts are down"));
            }
            handle.change(|_| ()).await?;
            Ok(ok())
        }
        ["healthchecks", "node"] => Ok(ok()),
        ["healthchecks", "node", node] if *node == context.node() => Ok(ok()),
        ["health", "checks", check @ ..] => checks(context, request, check).await,
        _ => Err(Failure::NotFound),
    }
}

async fn checks(context: &Context, request: &Request, check: &[&str]) -> Result<Answer, Failure> {
    match check {
        ["alarms" | "local-alarms"] => alarms(context).await,
        ["virtual-hosts" | "ready-to-serve-clients"] => Ok(virtual_hosts(context).await),
        ["port-listener", port] => port_listener(context, port),
        ["protocol-listener", protocols] => Ok(protocol_listener(context, protocols)),
        ["below-node-connection-limit"] => Ok(connection_limit(context)),
        // One node holds each queue whole and serves as long as it answers.
        ["node-is-quorum-critical" | "node-is-mirror-sync-critical" | "is-in-service" | "metadata-store"]
        | ["metadata-store", ..]
        | ["quorum-queues-without-elected-leaders", ..] => Ok(ok()),
        // There are no certificates: none expires.
        ["certificate-expiration", _, _] => Ok(ok()),
        ["virtual-host", vhost] => {
            let state = state(&context.see(request, vhost)?).await;
            if has_failed(state) {
                return Ok(failed(json!({ "virtual-hosts": [vhost] }), "Some virtual hosts are down"));
            }
            Ok(ok())
        }
        _ => Err(Failure::NotFound),
    }
}

fn ok() -> Answer {
    Answer::Json(json!({"status": "ok"}))
}

fn failed(mut details: Value, reason: &str) -> Answer {
    if let Value::Object(details) = &mut details {
        details.insert("status".to_owned(), "failed".into());
        details.insert("reason".to_owned(), reason.into());
    }
    Answer::Status(StatusCode::SERVICE_UNAVAILABLE, details)
}

async fn alarms(context: &Context) -> Result<Answer, Failure> {
    let usage = nodes::usage(context).await?;
    let reasons = states(context).await.into_iter().filter_map(|(_, state)| state.ok());
    let reasons = reasons.fold(Reasons::default(), Reasons::or);
    let alarms = usage.alarms(&context.shared.facts.watermarks).and(reasons);
    let resources =
        [("memory", alarms.memory), ("disk", alarms.disk), ("message_log", reasons.has(Blocked::LogFailed))];
    let node = context.node();
    let alarms: Vec<_> = resources
        .iter()
        .filter(|(_, is_so)| *is_so)
        .map(|(resource, _)| json!({"node": node, "resource": resource}))
        .collect();
    if alarms.is_empty() {
        return Ok(ok());
    }
    Ok(failed(json!({ "alarms": alarms }), "There are alarms in effect in the cluster"))
}

/// Why publishers of each virtual host wait; an error where it does not answer.
async fn states(context: &Context) -> Vec<(String, Result<Reasons, Down>)> {
    let access = context.access();
    let mut states = Vec::new();
    for vhost in access.vhosts() {
        let state = match context.shared.vhost(&vhost.name) {
            Some(handle) => state(&handle).await,
            None => Err(Down),
        };
        states.push((vhost.name.to_string(), state));
    }
    states
}

async fn state(handle: &VhostHandle) -> Result<Reasons, Down> {
    let asked = timeout(ANSWER_MAX, handle.with(|vhost| vhost.blocked_reasons())).await;
    asked.ok().and_then(Result::ok).ok_or(Down)
}

/// Fails where a virtual host does not answer, or its log takes nothing more.
async fn virtual_hosts(context: &Context) -> Answer {
    let states = states(context).await;
    let down = states.iter().filter(|(_, state)| has_failed(*state));
    let down: Vec<&str> = down.map(|(name, _)| name.as_str()).collect();
    if down.is_empty() {
        return ok();
    }
    failed(json!({ "virtual-hosts": down }), "Some virtual hosts are down")
}

fn has_failed(state: Result<Reasons, Down>) -> bool {
    state.map_or(true, |reasons| reasons.has(Blocked::LogFailed))
}

fn connection_limit(context: &Context) -> Answer {
    let connections = context.shared.connection_count();
    if connections < context.shared.facts.connections_max as u64 {
        return ok();
    }
    failed(json!({ "connections": connections }), "node connection limit is reached")
}

fn port_listener(context: &Context, port: &str) -> Result<Answer, Failure> {
    let port: u16 = port.parse().map_err(|_| Failure::Bad("Invalid port".to_owned()))?;
    let facts = &context.shared.facts;
    let ports: Vec<u16> =
        [facts.amqp, facts.management].into_iter().flatten().map(|address| address.port()).collect();
    if ports.contains(&port) {
        return Ok(Answer::Json(json!({"status": "ok", "port": port})));
    }
    Ok(failed(json!({"missing": port, "ports": ports}), "No active listener"))
}

/// One protocol or several with commas; one that listens is enough.
fn protocol_listener(context: &Context, wanted: &str) -> Answer {
    let listeners = overview::listeners(context);
    let protocols: Vec<&str> =
        listeners.iter().filter_map(|listener| listener.get("protocol")?.as_str()).collect();
    let wanted: Vec<String> = wanted
        .split(',')
        .map(|protocol| match protocol.trim().to_lowercase().as_str() {
            "amqp091" | "amqp0.9.1" | "amqp0-9-1" => "amqp".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    if let Some(found) = wanted.iter().find(|wanted| protocols.contains(&wanted.as_str())) {
        return Answer::Json(json!({"status": "ok", "protocol": found}));
    }
    failed(json!({"missing": wanted, "protocols": protocols}), "No active listener")
}
