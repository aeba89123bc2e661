//! HAProxy on one thread. Its log goes to its standard output, which is a file: a write a request by itself,
//! where a syslog socket would cost a send a request and another process's write.

use std::fmt::Write;

use super::{Setup, Site};
use crate::{case::route_prefix, load::Work};

const CONFIG: &str = "haproxy.cfg";
const MAP: &str = "routes.map";

pub(super) fn setup(site: &Site<'_>, has_log: bool) -> Setup {
    let is_tcp = site.case.work == Work::Tcp;
    let log = if has_log { "log stdout format raw local0" } else { "" };
    let mode = match (is_tcp, has_log) {
        (true, true) => "mode tcp\n    option tcplog\n    option splice-auto",
        (true, false) => "mode tcp\n    option splice-auto",
        (false, true) => "mode http\n    option httplog",
        (false, false) => "mode http",
    };
    let proto = if site.is_http2() { " proto h2" } else { "" };
    let (port, routes) = (site.port, routes(site));
    let mut text = format!(
        "global
    nbthread 1
    maxconn 4000
    {log}
defaults
    log global
    {mode}
    retries 3
    timeout connect 1s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{port}{proto}
{routes}    default_backend back
backend back
    balance random(2)
"
    );
    for (at, address) in site.case.endpoint_addresses().iter().enumerate() {
        // Nothing fails when text is appended to a string.
        let _never = writeln!(text, "    server s{at} {address}:{}{proto}", site.backend_port);
    }
    let map = (0..site.case.routes).map(|number| format!("{}/ back\n", route_prefix(number))).collect();
    Setup {
        arguments: vec!["-db".to_owned(), "-f".to_owned(), site.file(CONFIG)],
        files: vec![(CONFIG, text), (MAP, map)],
    }
}

/// By a map, which HAProxy keeps as a tree: a rule a route would be asked one after the other.
fn routes(site: &Site<'_>) -> String {
    if site.case.routes > 1 {
        format!("    use_backend %[path,map_beg({})]\n", site.file(MAP))
    } else {
        String::new()
    }
}
