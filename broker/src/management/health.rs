//! `/api/health/checks/…` and the older `aliveness-test`: for load balancers and alarms. 200, or 503 with a reason.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Failure, READ},
    context::Context,
    nodes, overview,
    request::Request,
};

/// All of them; `path` begins with which family.
pub(super) async fn handle(context: &Context, request: &Request, path: &[&str]) -> Result<Answer, Failure> {
    if request.method != Method::GET {
        return Err(Failure::Method(READ));
    }
    match path {
        ["aliveness-test", vhost] => {
            let handle = context.see(request, vhost)?;
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
        ["virtual-hosts"] => Ok(virtual_hosts(context)),
        ["port-listener", port] => port_listener(context, port),
        ["protocol-listener", protocols] => Ok(protocol_listener(context, protocols)),
        ["ready-to-serve-clients" | "below-node-connection-limit"] => Ok(virtual_hosts(context)),
        // One node holds each queue whole and serves as long as it answers.
        ["node-is-quorum-critical" | "node-is-mirror-sync-critical" | "is-in-service" | "metadata-store"]
        | ["metadata-store", ..]
        | ["quorum-queues-without-elected-leaders", ..] => Ok(ok()),
        // There are no certificates: none expires.
        ["certificate-expiration", _, _] => Ok(ok()),
        ["virtual-host", vhost] => {
            context.see(request, vhost)?.with(|_| ()).await?;
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
    let watermarks = context.shared.facts.watermarks;
    let mut resources = Vec::new();
    if usage.memory_bytes > watermarks.memory_bytes {
        resources.push("memory");
    }
    if usage.disk_free_bytes < watermarks.disk_free_bytes {
        resources.push("disk");
    }
    if resources.is_empty() {
        return Ok(ok());
    }
    let node = context.node();
    let alarms: Vec<_> =
        resources.iter().map(|resource| json!({"node": node, "resource": resource})).collect();
    Ok(failed(json!({ "alarms": alarms }), "There are alarms in effect in the cluster"))
}

fn virtual_hosts(context: &Context) -> Answer {
    let access = context.access();
    let down: Vec<&str> = access
        .vhosts()
        .map(|vhost| &*vhost.name)
        .filter(|name| context.shared.vhost(name).is_none())
        .collect();
    if down.is_empty() {
        return ok();
    }
    failed(json!({ "virtual-hosts": down }), "Some virtual hosts are down")
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
