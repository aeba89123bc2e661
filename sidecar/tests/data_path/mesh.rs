//! A mesh in one process: data threads as a sidecar runs them, tables filled by hand, applications that do as
//! the test says. Real sockets on loopback, no control plane.

use std::{
    collections::HashSet,
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use weft_model::{
    check::{CheckSpec, Probe},
    endpoint::{Endpoint, Health, HopTarget, Port, Protocol, TlsMode},
    name::{InstanceKey, ServiceName},
    policy::{Concurrency, LimitPolicy, Policy, QueuePolicy},
};
use weft_sidecar::{
    config::{AccessLog, Egress, InstanceConfig, SidecarConfig, Upstream},
    data::{self, DataThreads, Listeners},
    metrics::DataMetrics,
    table::{self, Demand, Demanded, Home, Publisher},
};

/// For anything that is waited for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) type Body = BoxBody<Bytes, Infallible>;
pub(crate) type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Handler = Arc<dyn Fn(Request<Incoming>) -> Answer + Send + Sync>;

/// An application; it speaks HTTP/1 and HTTP/2 with prior knowledge.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
    connections: Arc<Mutex<Vec<tokio::task::AbortHandle>>>,
}

/// Data threads with their table's writing side.
pub(crate) struct Sidecar {
    pub(crate) threads: Option<DataThreads>,
    pub(crate) publisher: Publisher,
    pub(crate) outbound: SocketAddr,
    pub(crate) inbound: SocketAddr,
    pub(crate) upstreams: Vec<SocketAddr>,
    pub(crate) metrics: Arc<DataMetrics>,
}

/// An application with its sidecar, as an endpoint of a service.
pub(crate) struct Replica {
    pub(crate) app: App,
    pub(crate) sidecar: Sidecar,
    pub(crate) endpoint: Endpoint,
}

impl App {
    pub(crate) async fn start(handler: impl Fn(Request<Incoming>) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let handler: Handler = Arc::new(handler);
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (counter, open) = (Arc::clone(&requests), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                let serve = serve(io, Arc::clone(&handler), Arc::clone(&counter));
                open.lock().unwrap().push(tokio::spawn(serve).abort_handle());
            }
        });
        Self { address, requests, task, connections }
    }

    /// Answers 200 with its own name.
    pub(crate) async fn named(name: &'static str) -> Self {
        Self::start(move |_| Box::pin(async move { text(StatusCode::OK, name) })).await
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Connections that were made to it so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }

    /// As `kill -9`: the port is closed, connections break off.
    pub(crate) fn kill(&self) {
        self.task.abort();
        self.connections.lock().unwrap().iter().for_each(|connection| connection.abort());
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn serve(io: TcpStream, handler: Handler, requests: Arc<AtomicUsize>) {
    let service = service_fn(move |request| {
        requests.fetch_add(1, Ordering::SeqCst);
        let answer = handler(request);
        async move {
            let response = answer.await;
            // A handler asks for a broken connection by this status.
            if response.status() == BREAK { Err("the application broke off") } else { Ok(response) }
        }
    });
    let mut preface = [0; 3];
    let is_h2 = matches!(io.peek(&mut preface).await, Ok(3)) && &preface == b"PRI";
    let io = TokioIo::new(io);
    if is_h2 {
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await;
    } else {
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(io, service).with_upgrades().await;
    }
}

/// A handler's wish that its connection break off without an answer.
pub(crate) const BREAK: StatusCode = StatusCode::IM_A_TEAPOT;

pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    Response::builder().status(status).body(Full::new(text.into()).boxed()).unwrap()
}

pub(crate) fn config() -> SidecarConfig {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    SidecarConfig {
        control_plane: None,
        node: "node".parse().unwrap(),
        name: None,
        app_port: None,
        namespace: "default".parse().unwrap(),
        instance: None,
        queue_host: None,
        outbound: any,
        inbound: any,
        advertise: None,
        admin: any,
        data_dir: "/nonexistent".into(),
        insecure_listen: false,
        zone: String::new(),
        upstreams: Vec::new(),
        subscribe: Vec::new(),
        services: Vec::new(),
        egress: Egress::Allow,
        data_threads: 1,
        access_log: AccessLog::Off,
        records: Default::default(),
        policy: Policy::default(),
        limits: weft_sidecar::limits::Limits::default(),
        headers: weft_sidecar::limits::HeaderPolicy::default(),
        concurrency: Default::default(),
        command: Vec::new(),
        proxy_env: true,
        connection_age_max: None,
        outbound_connection_age_max: None,
        drain_timeout: Duration::from_secs(20),
        log_format: Default::default(),
        log_filter: String::new(),
        variables: HashSet::new(),
    }
}

pub(crate) fn hosting(service: &str, app: SocketAddr, protocol: Protocol) -> SidecarConfig {
    let probe = Probe::Tcp { address: app.to_string() };
    let instance = InstanceConfig {
        service: service.parse().unwrap(),
        id: "1".parse().unwrap(),
        app,
        protocol,
        check: CheckSpec::new(probe),
        tags: Vec::new(),
        weight: 1,
        zone: String::new(),
    };
    SidecarConfig { instance: Some(instance), ..config() }
}

pub(crate) fn upstream(service: &str, protocol: Protocol) -> Upstream {
    Upstream {
        service: service.parse().unwrap(),
        port_name: String::new(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        protocol,
    }
}

impl Sidecar {
    pub(crate) fn start(config: SidecarConfig) -> Self {
        let listeners = Listeners::bind(&config).unwrap();
        let (outbound, inbound) = (listeners.outbound().unwrap(), listeners.inbound().unwrap());
        let upstreams = listeners.upstreams().iter().map(|port| port.address().unwrap()).collect();
        let (directory, publisher, mut demands) = table::directory(Home::from(&config));
        let metrics = Arc::new(DataMetrics::default());
        let threads = data::spawn(&Arc::new(config), &directory, listeners, &metrics).unwrap();
        tokio::spawn(async move {
            while let Some(Demand { reply, .. }) = demands.recv().await {
                let _ = reply.send(Demanded::NoRoute);
            }
        });
        Self { threads: Some(threads), publisher, outbound, inbound, upstreams, metrics }
    }

    /// One that calls `service` at these endpoints.
    pub(crate) fn calling(service: &str, endpoints: &[&Replica]) -> Self {
        let sidecar = Self::start(config());
        sidecar.publish(service, endpoints.iter().map(|replica| replica.endpoint.clone()).collect());
        sidecar
    }

    pub(crate) fn publish(&self, service: &str, endpoints: Vec<Endpoint>) {
        self.publisher.update([(service.parse::<ServiceName>().unwrap(), Some(endpoints))]);
    }

    /// What `/metrics` would say.
    pub(crate) fn scrape(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register_collector(Box::new(Arc::clone(&self.metrics)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }
}

impl Replica {
    pub(crate) fn start(service: &str, id: &str, app: App, protocol: Protocol) -> Self {
        let sidecar = Sidecar::start(hosting(service, app.address, protocol));
        let endpoint = endpoint(service, id, app.address, Some(sidecar.inbound));
        Self { app, sidecar, endpoint }
    }

    pub(crate) fn http(service: &str, id: &str, app: App) -> Self {
        Self::start(service, id, app, Protocol::Http)
    }

    /// Its sidecar lets so many calls to the application at once, and so many wait.
    pub(crate) fn limited(service: &str, id: &str, app: App, places: u32, waiting: u32) -> Self {
        let queue = QueuePolicy { length_max: waiting, timeout: Duration::from_millis(50) };
        let concurrency =
            LimitPolicy { concurrency: Concurrency::Fixed(places), queue, connections_per_endpoint: None };
        let hosting = hosting(service, app.address, Protocol::Http);
        let sidecar = Sidecar::start(SidecarConfig { concurrency, ..hosting });
        let endpoint = endpoint(service, id, app.address, Some(sidecar.inbound));
        Self { app, sidecar, endpoint }
    }

    pub(crate) fn critical(&self) -> Endpoint {
        Endpoint { health: Health::Critical, ..self.endpoint.clone() }
    }
}

pub(crate) fn endpoint(service: &str, id: &str, app: SocketAddr, inbound: Option<SocketAddr>) -> Endpoint {
    let hop = match inbound {
        Some(address) => {
            HopTarget::Sidecar { address, hop_version: 1, identity: String::new(), tls: TlsMode::Off }
        }
        None => HopTarget::Direct,
    };
    Endpoint {
        key: InstanceKey {
            service: service.parse().unwrap(),
            node: "node".parse().unwrap(),
            id: id.parse().unwrap(),
        },
        address: app.ip().to_string(),
        ports: vec![Port { name: String::new(), protocol: Protocol::Http, port: app.port() }],
        health: Health::Passing,
        reason: String::new(),
        weight: 1,
        zone: String::new(),
        hop,
        tags: Vec::new(),
    }
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends over a new HTTP/1 connection.
pub(crate) async fn send(to: SocketAddr, request: Request<Full<Bytes>>) -> Got {
    let io = TokioIo::new(TcpStream::connect(to).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let response = tokio::time::timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap();
    collect(response).await
}

pub(crate) async fn collect(response: Response<Incoming>) -> Got {
    let (head, body) = response.into_parts();
    let collected = tokio::time::timeout(DEADLINE, body.collect()).await.unwrap().unwrap();
    let trailers = collected.trailers().cloned();
    Got { status: head.status.as_u16(), headers: head.headers, body: collected.to_bytes(), trailers }
}

pub(crate) fn request(method: &str, host: &str) -> http::request::Builder {
    Request::builder().method(method).uri("/").header("host", host)
}

pub(crate) async fn get(to: SocketAddr, host: &str) -> Got {
    send(to, request("GET", host).body(Full::default()).unwrap()).await
}

pub(crate) async fn post(to: SocketAddr, host: &str) -> Got {
    send(to, request("POST", host).body(Full::from("work")).unwrap()).await
}

/// Waits until `holds`, which is asked again and again.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}
