//! The sidecar alone, with its services in its file (or, with many routes, from a control plane), and everything
//! else as it comes: P2C on EWMA, retries with
//! replay, outlier ejection, timeouts, metrics; its JSON access record goes to a file.

use serde_json::{Value, json};

use super::{Setup, Site};
use crate::{driver::rules::SERVICE, load::Work};

const CONFIG: &str = "sidecar.yaml";

pub(super) fn setup(site: &Site<'_>) -> Setup {
    let is_tcp = site.case.work == Work::Tcp;
    let here = format!("127.0.0.1:{}", site.port);
    let config = json!({
        "services": if site.rules.is_some() { json!({}) } else { json!({ SERVICE: endpoints(site) }) },
        "subscribe": if site.rules.is_some() { json!([SERVICE]) } else { json!([]) },
        "upstreams": if is_tcp { json!({ "echo": { "port": site.port, "protocol": "tcp" } }) } else { json!({}) },
        "outbound": if is_tcp { "127.0.0.1:0" } else { here.as_str() },
        "inbound": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "data_dir": site.file("data"),
        "access_log": site.file("access.log"),
    });
    let mut arguments = vec!["run".to_owned(), "--config".to_owned(), site.file(CONFIG)];
    if let Some(control_plane) = site.rules {
        arguments.extend(["--control-plane".to_owned(), format!("http://{control_plane}")]);
    }
    Setup { arguments, files: vec![(CONFIG, config.to_string())] }
}

fn endpoints(site: &Site<'_>) -> Vec<Value> {
    let protocol = match site.case.work {
        Work::Http1 => "http",
        Work::Http2 => "http2",
        Work::GrpcUnary | Work::GrpcStreaming => "grpc",
        Work::Tcp => "tcp",
    };
    let endpoint = |address| json!({ "address": address, "port": site.backend_port, "protocol": protocol });
    site.case.endpoint_addresses().into_iter().map(endpoint).collect()
}
