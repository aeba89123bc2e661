//! A small HTTP client for tests: one request, the whole answer.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// For one request and its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }
}

/// Sends one request on a connection of its own.
///
/// # Errors
/// When there is no answer.
pub async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
    tokio::time::timeout(REQUEST_TIMEOUT, exchange(address, request)).await.context("no answer in time")?
}

/// GET with a Host header.
///
/// # Errors
/// When there is no answer.
pub async fn get(address: SocketAddr, host: &str, path: &str) -> anyhow::Result<Answer> {
    send(address, Request::get(path).header("host", host).body(Full::default())?).await
}

/// PUT or POST with a body.
///
/// # Errors
/// When there is no answer.
pub async fn put(address: SocketAddr, path: &str, body: impl Into<Bytes>) -> anyhow::Result<Answer> {
    let request = Request::put(path).header("host", address.to_string()).body(Full::new(body.into()))?;
    send(address, request).await
}

async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("{address} does not accept"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(Answer { status: head.status, headers: head.headers, body })
}
