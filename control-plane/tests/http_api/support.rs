//! A server in this process, and a client that opens a connection a request.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use weft_control_plane::{
    discovery::Sidecars,
    http::{self as api, Api, metrics::Metrics},
    registry::{Registry, RegistryOptions},
    resources::Resources,
    store::{Operation, Store, Txn, memory::MemoryStore},
};

/// A running API.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stopping: CancellationToken,
    _stop_registry: tokio_util::sync::DropGuard,
}

/// One answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with_connections(64).await
    }

    pub(crate) async fn with_connections(connections_max: usize) -> Self {
        let store = MemoryStore::new();
        let first =
            Operation::Put { key: "/weft/1/meta/default/created".into(), value: "x".into(), lease: None };
        store.commit(Txn { guards: Vec::new(), operations: vec![first] }).await.unwrap();
        let options = RegistryOptions::default();
        let stop_registry = options.stop.clone().drop_guard();
        let (registry, _task) = Registry::start(Arc::clone(&store) as _, options).await.unwrap();
        let (resources, _task) =
            Resources::start(Arc::clone(&store) as _, CancellationToken::new()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stopping = CancellationToken::new();
        let mut exposition = prometheus_client::registry::Registry::default();
        let metrics = Metrics::register(&mut exposition);
        let api = Api {
            registry,
            resources,
            store,
            sidecars: Arc::new(Sidecars::default()),
            metrics: metrics.clone(),
            connections_max,
            exposition: Arc::new(exposition),
            address: address.to_string(),
            host: "test-host".into(),
            started: SystemTime::now(),
            stopping: stopping.clone(),
        };
        let router = api::router(Arc::new(api));
        tokio::spawn(api::serve::serve(listener, router, connections_max, metrics, stopping.clone()));
        Self { address, stopping, _stop_registry: stop_registry }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], Bytes::new()).await
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.call(Method::PUT, path, &[], body).await
    }

    /// PUT of JSON that must be taken.
    pub(crate) async fn must_put(&self, path: &str, body: Value) {
        let answer = self.put(path, body.to_string()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }

    /// GET of JSON that must be there.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// From the node `node-1`, unless a header says otherwise.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "test");
        if headers.iter().all(|(name, _)| *name != "x-weft-node") {
            request = request.header("x-weft-node", "node-1");
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn index(&self) -> u64 {
        self.headers["x-consul-index"].to_str().unwrap().parse().unwrap()
    }
}
