//! What both roles share: where they listen, who they are, how they stop. It knows no route.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// Names the replica that answered, so that one can see calls being shared out.
pub(crate) const INSTANCE_HEADER: HeaderName = HeaderName::from_static("x-instance");

/// Where a role listens and what it calls itself.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The port to listen on, on loopback: the sidecar beside it sets this
    #[arg(long, env = "PORT", default_value_t = 8080)]
    port: u16,
    /// Address and port to listen on, instead of loopback and --port
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// What this replica calls itself in its answers
    #[arg(long, env = "WEFT_INSTANCE", default_value_t = format!("pid-{}", std::process::id()))]
    instance: String,
}

impl Options {
    /// What this replica calls itself.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }
}

/// Serves `routes` until SIGTERM or SIGINT; requests under way are answered.
pub(crate) async fn serve(options: &Options, routes: Router) -> anyhow::Result<()> {
    let address = options.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, options.port).into());
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: stop what has it, or give another --port"))?;
    let instance = HeaderValue::from_str(&options.instance).context("--instance is no header value")?;
    let routes = routes
        .route("/healthz", get(async || "ok\n"))
        .layer(middleware::from_fn_with_state(instance, name_the_instance));
    tracing::info!(address = %listener.local_addr()?, instance = options.instance, "listening");
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            // Either means the same; the order only keeps it the same each time.
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    axum::serve(listener, routes).with_graceful_shutdown(stop).await?;
    Ok(())
}

async fn name_the_instance(State(instance): State<HeaderValue>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(INSTANCE_HEADER, instance);
    response
}

/// A refusal with a reason that a caller can read.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What it is over HTTP.
    pub(crate) status: StatusCode,
    /// Why.
    pub(crate) reason: String,
}

impl Refusal {
    /// From the two.
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.reason }))).into_response()
    }
}
