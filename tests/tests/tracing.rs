//! A trace over two sidecars, as a collector is told of it: who is whose parent, what the application is sent, and what
//! is not told.

use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use weft_tests::{
    ControlPlane, Replica, Sidecar,
    collector::{Collector, text},
    http::{get, put, send},
    wait::eventually,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// Of an endpoint that half of the first requests choose.
const REQUESTS_MAX: usize = 64;

struct Mesh {
    _dir: tempfile::TempDir,
    control: ControlPlane,
    _replica: Replica,
    caller: Sidecar,
    collector: Collector,
}

impl Mesh {
    /// A caller, and one replica of `orders`; all traces that begin in their sidecars are recorded.
    async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let (collector, control) = (Collector::start().await?, ControlPlane::start(dir.path()).await?);
        let url = collector.url();
        let traced = ["--otlp-endpoint", &url, "--trace-sample", "100%"];
        let arguments = [&["--check", "http:/health"][..], &traced].concat();
        let replica =
            Replica::start_checked(dir.path(), &control, "orders", "orders-1", &arguments, &[]).await?;
        control.wait_passing("orders", 1).await?;
        let control_plane = format!("http://{}", control.grpc);
        let arguments = [&["--control-plane", &control_plane, "--instance", "caller"][..], &traced].concat();
        let caller = Sidecar::start(dir.path(), "caller", &arguments).await?;
        Ok(Self { _dir: dir, control, _replica: replica, caller, collector })
    }

    /// What the application was sent of traces.
    async fn send(&self, id: &str, headers: &[(&str, &str)]) -> anyhow::Result<Value> {
        let mut request = Request::get("/traced").header("host", "orders").header("x-request-id", id);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = send(self.caller.outbound, request.body(Full::<Bytes>::default())?).await?;
        ensure!(answer.status == StatusCode::OK, "{answer:?}");
        let mut told = answer.json()?;
        Ok(told.get_mut("trace").map(Value::take).unwrap_or_default())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_trace_that_begins_in_a_sidecar_leads_to_the_application() -> anyhow::Result<()> {
    let mesh = Mesh::start().await?;
    let sent = mesh.send("begun", &[]).await?;
    let (client, server) = mesh.collector.pair("begun").await?;
    let (caller, callee) = (&client.span, &server.span);
    ensure!(caller.parent_span_id.is_empty(), "the trace begins there: {caller:?}");
    ensure!(callee.trace_id == caller.trace_id && callee.parent_span_id == caller.span_id, "{callee:?}");
    let (trace, span) = (hex(&callee.trace_id), hex(&callee.span_id));
    ensure!(sent["traceparent"] == format!("00-{trace}-{span}-01"), "{sent}");

    ensure!(text(&client.resource.attributes, "service.name") == "caller", "{client:?}");
    ensure!(text(&server.resource.attributes, "service.name") == "orders", "{server:?}");
    ensure!(text(&server.resource.attributes, "service.instance.id") == "orders-1", "{server:?}");
    ensure!(caller.name == "GET orders.default", "{caller:?}");
    ensure!(text(&caller.attributes, "weft.endpoint").ends_with("/orders-1"), "{caller:?}");
    ensure!(text(&caller.attributes, "url.path") == "/traced", "{caller:?}");
    ensure!(caller.start_time_unix_nano <= callee.start_time_unix_nano, "{caller:?} {callee:?}");
    ensure!(caller.end_time_unix_nano > caller.start_time_unix_nano, "{caller:?}");

    let told = get(mesh.caller.admin, "localhost", &format!("/explain?id={trace}")).await?.json()?;
    ensure!(told["requests"][0]["request_id"] == "begun", "found by its trace: {told}");
    Ok(())
}

#[tokio::test]
async fn a_trace_goes_on_in_the_form_that_it_came_in() -> anyhow::Result<()> {
    let mesh = Mesh::start().await?;
    let w3c = format!("00-{TRACE}-{PARENT}-01");
    let single = format!("{TRACE}-{PARENT}-1");
    let multi = [("x-b3-traceid", TRACE), ("x-b3-spanid", PARENT), ("x-b3-sampled", "1")];
    for (id, headers) in [
        ("w3c", &[("traceparent", &*w3c), ("tracestate", "a=1")][..]),
        ("single", &[("b3", &*single)]),
        ("multi", &multi),
    ] {
        let sent = mesh.send(id, headers).await?;
        let (client, server) = mesh.collector.pair(id).await?;
        let (client, server) = (client.span, server.span);
        ensure!(hex(&client.trace_id) == TRACE && hex(&client.parent_span_id) == PARENT, "{id}: {client:?}");
        ensure!(server.trace_id == client.trace_id, "{id}: {server:?}");
        ensure!(server.parent_span_id == client.span_id, "{id}: {server:?}");
        let (span, parent) = (hex(&server.span_id), hex(&client.span_id));
        let expected = match id {
            "w3c" => serde_json::json!({"traceparent": format!("00-{TRACE}-{span}-01"), "tracestate": "a=1"}),
            "single" => serde_json::json!({"b3": format!("{TRACE}-{span}-1-{parent}")}),
            _ => serde_json::json!({
                "x-b3-traceid": TRACE, "x-b3-spanid": span, "x-b3-parentspanid": parent, "x-b3-sampled": "1",
            }),
        };
        ensure!(sent == expected, "{id}: {sent}");
        ensure!(server.trace_state == if id == "w3c" { "a=1" } else { "" }, "{server:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_its_beginner_does_not_record_is_not_told_and_retries_are() -> anyhow::Result<()> {
    let mesh = Mesh::start().await?;
    let unsampled = format!("00-{TRACE}-{PARENT}-00");
    let sent = mesh.send("unsampled", &[("traceparent", &unsampled)]).await?;
    ensure!(sent == serde_json::json!({"traceparent": unsampled}), "it passes as it came: {sent}");

    let dead = r#"{"Name": "orders", "ID": "dead", "Address": "127.0.0.1", "Port": 1,
                   "Check": {"TTL": "600s", "Status": "passing"}}"#;
    ensure!(put(mesh.control.http, "/v1/agent/service/register", dead).await?.status == 200);
    mesh.control.wait_passing("orders", 2).await?;
    let mut retried = None;
    for number in 0..REQUESTS_MAX {
        let id = format!("request-{number}");
        mesh.send(&id, &[]).await?;
        let (client, _) = mesh.collector.pair(&id).await?;
        if let Some(event) = client.span.events.first() {
            retried = Some(event.clone());
            break;
        }
    }
    let event = retried.context("no request chose the endpoint that is not there")?;
    ensure!(event.name == "weft.attempt", "{event:?}");
    ensure!(text(&event.attributes, "error.type") == "connect-failed", "{event:?}");
    ensure!(text(&event.attributes, "weft.endpoint").ends_with("/dead"), "{event:?}");
    // Spans come in order: those of the first request would have been here long ago.
    let none = mesh.collector.of_request("unsampled");
    ensure!(none.is_empty(), "{none:?}");

    // Counted when the collector has answered, which is after it has told us.
    eventually("what the collector has taken is counted", Duration::from_secs(10), async || {
        let counted = get(mesh.caller.admin, "localhost", "/metrics").await?.text();
        ensure!(!counted.contains("weft_spans_exported_total 0\n"), "{counted}");
        Ok(())
    })
    .await
}
