//! A collector of traces in place of a real one: takes OTLP over gRPC, and keeps what it is sent.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};
use weft_proto::otlp::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, KeyValue, Resource, Span,
    any_value::Value,
    trace_service_server::{TraceService, TraceServiceServer},
};

use crate::wait::eventually;

/// For spans to come.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A span, and who made it.
#[derive(Debug, Clone)]
pub struct Told {
    /// Who made it.
    pub resource: Resource,
    /// It.
    pub span: Span,
}

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Collector {
    /// Where it listens.
    pub address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
    server: JoinHandle<()>,
}

struct Taker(Arc<Mutex<Vec<Told>>>);

impl Collector {
    /// On any free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let service = TraceServiceServer::new(Taker(Arc::clone(&told)));
        let serving =
            Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async {
            let _ends_with_the_test = serving.await;
        });
        Ok(Self { address, told, server })
    }

    /// For `--otlp-endpoint`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came so far of the request with this id.
    pub fn of_request(&self, id: &str) -> Vec<Told> {
        let told = self.told.lock().map(|told| told.clone()).unwrap_or_default();
        let is = |told: &Told| text(&told.span.attributes, "weft.request_id") == id;
        told.into_iter().filter(is).collect()
    }

    /// The client's span and the server's of a request with this id, once both are there.
    ///
    /// # Errors
    /// When they do not come, or there are others.
    pub async fn pair(&self, id: &str) -> anyhow::Result<(Told, Told)> {
        eventually(&format!("both spans of {id} come"), TIMEOUT, async || {
            let all = self.of_request(id);
            ensure!(all.len() == 2, "{all:?}");
            let of = |kind: i32| all.iter().find(|told| told.span.kind == kind).cloned();
            Ok((of(3).context("no client's")?, of(2).context("no server's")?))
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut told = self.0.lock().map_err(|_| Status::internal("a test has panicked"))?;
        for made in request.into_inner().resource_spans {
            let resource = made.resource.unwrap_or_default();
            let spans = made.scope_spans.into_iter().flat_map(|scope| scope.spans);
            told.extend(spans.map(|span| Told { resource: resource.clone(), span }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// An attribute that is text; empty = there is none.
pub fn text<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|found| found.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}
