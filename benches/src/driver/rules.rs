//! A control plane beside the sidecar, on the load's core, where a case has many routes: a sidecar has its routes from
//! there and nowhere else. What it costs is not the sidecar's, and is not counted.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{Bench, running::free_port};
use crate::{
    case::{Case, route_prefix},
    process::{self, Process},
};

/// For the control plane to answer, and for the sidecar to have heard of the routes.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// The service that the routes are for.
pub const SERVICE: &str = "echo";
/// Rules that one HTTPRoute may hold (Gateway API).
const RULES_MAX: u16 = 16;
const ROUTES_PATH: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes";

/// See the module.
#[derive(Debug)]
pub struct Rules {
    _process: Process,
    /// Where sidecars attach.
    pub grpc: SocketAddr,
}

impl Rules {
    /// Starts it with the case's routes, each to the endpoint at `backend_port`.
    ///
    /// # Errors
    /// When it does not answer, or refuses a route.
    pub fn start(bench: &Bench<'_>, case: &Case, backend_port: u16, dir: &Path) -> anyhow::Result<Self> {
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (http, grpc) = (here(free_port()?), here(free_port()?));
        let dir = dir.join("control-plane");
        fs::create_dir_all(&dir)?;
        let mut command = process::on_core(bench.args.load_core, &bench.programs.control_plane);
        command.args(["--http", &http.to_string(), "--grpc", &grpc.to_string()]);
        command.arg("--data-dir").arg(dir.join("data"));
        let process = Process::spawn(&mut command, &dir.join("output.log"))?;
        until("the control plane answers", || send(http, "GET", "/v1/status/leader", &Value::Null))?;
        let instance = json!({ "Name": SERVICE, "Address": "127.0.0.1", "Port": backend_port });
        send(http, "PUT", "/v1/agent/service/register", &instance)?;
        for first in (0..case.routes).step_by(usize::from(RULES_MAX)) {
            let numbers = first..case.routes.min(first + RULES_MAX);
            send(http, "POST", ROUTES_PATH, &route(numbers, backend_port))?;
        }
        Ok(Self { _process: process, grpc })
    }
}

/// Waits until requests get through a proxy that listens already.
///
/// # Errors
/// With what was answered last, when they do not in time.
pub fn until_answered(proxy: SocketAddr, path: &str) -> anyhow::Result<()> {
    until("requests get through", || send(proxy, "GET", path, &Value::Null))
}

fn route(numbers: std::ops::Range<u16>, backend_port: u16) -> Value {
    let backend = json!({ "name": SERVICE, "port": backend_port });
    let rule = |number| {
        let path = json!({ "type": "PathPrefix", "value": route_prefix(number) });
        json!({ "matches": [{ "path": path }], "backendRefs": [backend] })
    };
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": { "name": format!("routes-{}", numbers.start), "namespace": "default" },
        "spec": {
            "parentRefs": [{ "group": "", "kind": "Service", "name": SERVICE }],
            "rules": numbers.map(rule).collect::<Vec<_>>(),
        },
    })
}

fn until(what: &str, mut works: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let start = Instant::now();
    while let Err(error) = works() {
        if start.elapsed() > READY_TIMEOUT {
            return Err(error).with_context(|| format!("waited in vain: {what}"));
        }
        process::pause();
    }
    Ok(())
}

/// One request, whose answer has to be a good one.
fn send(to: SocketAddr, method: &str, path: &str, body: &Value) -> anyhow::Result<()> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(READY_TIMEOUT))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {SERVICE}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(
        answer.starts_with(b"HTTP/1.1 2"),
        "{method} {path} is answered {}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}
