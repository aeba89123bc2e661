//! nginx with one worker and its default access log. It speaks HTTP/1.1 to HTTP backends whatever the client
//! speaks, and HTTP/2 to gRPC ones.

use std::fmt::Write;

use super::{Setup, Site};
use crate::{case::route_prefix, load::Work};

const CONFIG: &str = "nginx.conf";
/// Where Debian puts it (`libnginx-mod-stream`).
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

pub(super) fn setup(site: &Site<'_>) -> Setup {
    let body = if site.case.work == Work::Tcp { stream(site) } else { http(site) };
    let load_module =
        if site.case.work == Work::Tcp { format!("load_module {STREAM_MODULE};\n") } else { String::new() };
    let (pid, error_log) = (site.file("nginx.pid"), site.file("error.log"));
    let text = format!(
        "{load_module}daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {pid};
error_log {error_log};
events {{ worker_connections 8192; }}
{body}"
    );
    Setup {
        arguments: vec!["-e".to_owned(), error_log, "-c".to_owned(), site.file(CONFIG)],
        files: vec![(CONFIG, text)],
    }
}

fn stream(site: &Site<'_>) -> String {
    let (port, backend, log) = (site.port, site.backend_port, site.file("access.log"));
    format!(
        "stream {{
    log_format basic '$remote_addr [$time_local] $protocol $status $bytes_sent $bytes_received $session_time';
    access_log {log} basic;
    server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{backend}; }}
}}
"
    )
}

fn http(site: &Site<'_>) -> String {
    let mut text = format!("http {{\n    access_log {};\n", site.file("access.log"));
    for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        // Nothing fails when text is appended to a string.
        let _never = writeln!(text, "    {name}_temp_path {};", site.file(name));
    }
    text.push_str("    keepalive_timeout 600s;\n    keepalive_requests 1000000000;\n    upstream back {\n");
    for address in site.case.endpoint_addresses() {
        let _never = writeln!(text, "        server {address}:{};", site.backend_port);
    }
    text.push_str("        keepalive 1024;\n        keepalive_requests 1000000000;\n    }\n");
    let http2 = if site.is_http2() { " http2" } else { "" };
    let _never = writeln!(text, "    server {{\n        listen 127.0.0.1:{}{http2};", site.port);
    let pass = match site.case.work {
        Work::GrpcUnary | Work::GrpcStreaming => "grpc_pass grpc://back;",
        _ => "proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection '';",
    };
    for location in locations(site) {
        let _never = writeln!(text, "        location {location} {{ {pass} }}");
    }
    text.push_str("    }\n}\n");
    text
}

fn locations(site: &Site<'_>) -> Vec<String> {
    match site.case.routes {
        0 | 1 => vec!["/".to_owned()],
        many => (0..many).map(|number| format!("{}/", route_prefix(number))).collect(),
    }
}
