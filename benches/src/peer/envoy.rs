//! Envoy with one worker, and what the sidecar does at its defaults: power of two choices, retries, outlier
//! detection, its statistics, a JSON access log to a file.

use serde_json::{Value, json};

use super::{Setup, Site};
use crate::{case::route_prefix, load::Work};

const CONFIG: &str = "envoy.json";
/// Above what any case has: the default limits are not what is measured.
const CONNECTIONS_MAX: u32 = 100_000;
const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions";

pub(super) fn setup(site: &Site<'_>) -> Setup {
    let config = json!({
        "static_resources": {
            "listeners": [{
                "name": "front",
                "address": address("127.0.0.1", site.port),
                "filter_chains": [{ "filters": [filter(site)] }],
            }],
            "clusters": [cluster(site)],
        },
    });
    let arguments = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "--config-path"];
    let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
    arguments.push(site.file(CONFIG));
    Setup { arguments, files: vec![(CONFIG, config.to_string())] }
}

fn filter(site: &Site<'_>) -> Value {
    if site.case.work == Work::Tcp {
        return json!({
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": format!("{EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy"),
                "stat_prefix": "front",
                "cluster": "back",
                "access_log": access_log(site),
            },
        });
    }
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": format!("{EXTENSIONS}.filters.http.router.v3.Router") },
    });
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": format!("{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "front",
            "codec_type": if site.is_http2() { "HTTP2" } else { "HTTP1" },
            "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes(site) }] },
            "http_filters": [router],
            "access_log": access_log(site),
        },
    })
}

fn routes(site: &Site<'_>) -> Vec<Value> {
    let prefixes = match site.case.routes {
        0 | 1 => vec!["/".to_owned()],
        many => (0..many).map(|number| format!("{}/", route_prefix(number))).collect(),
    };
    let action = json!({
        "cluster": "back",
        "timeout": "30s",
        "retry_policy": { "retry_on": "connect-failure,refused-stream,reset", "num_retries": 2 },
    });
    prefixes.iter().map(|prefix| json!({ "match": { "prefix": prefix }, "route": action })).collect()
}

fn access_log(site: &Site<'_>) -> Value {
    let format = json!({
        "time": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(:PATH)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "received_bytes": "%BYTES_RECEIVED%",
        "sent_bytes": "%BYTES_SENT%",
        "duration_ms": "%DURATION%",
        "endpoint": "%UPSTREAM_HOST%",
        "request_id": "%REQ(X-REQUEST-ID)%",
    });
    json!([{
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": format!("{EXTENSIONS}.access_loggers.file.v3.FileAccessLog"),
            "path": site.file("access.log"),
            "log_format": { "json_format": format },
        },
    }])
}

fn cluster(site: &Site<'_>) -> Value {
    let endpoint = |host: &String| json!({ "endpoint": { "address": address(host, site.backend_port) } });
    let endpoints: Vec<Value> = site.case.endpoint_addresses().iter().map(endpoint).collect();
    let limits = ["max_connections", "max_pending_requests", "max_requests"];
    let threshold: serde_json::Map<String, Value> =
        limits.iter().map(|limit| ((*limit).to_owned(), json!(CONNECTIONS_MAX))).collect();
    let mut cluster = json!({
        "name": "back",
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "outlier_detection": {},
        "circuit_breakers": { "thresholds": [threshold] },
        "load_assignment": { "cluster_name": "back", "endpoints": [{ "lb_endpoints": endpoints }] },
    });
    if let (true, Some(fields)) = (site.is_http2(), cluster.as_object_mut()) {
        let http2 = json!({
            "@type": format!("{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions"),
            "explicit_http_config": { "http2_protocol_options": {} },
        });
        let options = json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2 });
        fields.insert("typed_extension_protocol_options".to_owned(), options);
    }
    cluster
}

fn address(host: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}
