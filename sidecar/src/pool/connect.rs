//! Making one connection: dial, hop header, handshake. Whatever fails here, the application on the other side
//! has seen nothing of the request.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weft_model::{endpoint::Protocol, error_code::ErrorCode, name::ServiceName};

use super::{early_answer::EarlyAnswer, streams::StreamedBody};
use crate::{
    body::RequestBody,
    exec::LocalExec,
    hop::{Hop, Status},
    metrics::{ConnectionMetrics, OpenConnection},
    net::TcpStream,
    stream::Stream,
};

/// An application may take its time to accept, but not for ever: how long the other sidecar's status byte is
/// waited for.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);
/// An HTTP/2 connection on which nothing came for this long is asked whether it lives.
const H2_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long its answer may take.
const H2_KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// What one stream may have under way to us, in bytes; with many streams this is what bounds memory.
const H2_STREAM_WINDOW: u32 = 256 * 1_024;
/// What all streams of one connection may, in bytes.
const H2_CONNECTION_WINDOW: u32 = 1_024 * 1_024;
/// What we keep of one request body that the peer does not take, in bytes; beyond it its caller waits.
const H2_SEND_BUFFER: usize = 64 * 1_024;
/// Streams that we gave up within the last second, so that an answer under way is ignored. An answer to a stream that
/// is forgotten counts as an error of the peer, of which the library forgives a connection 1,024; then the connection
/// ends, and every call on it. A peer that is overrun answers late, and many calls are given up at once.
const H2_GIVEN_UP_MAX: usize = 4_096;
/// The largest list of response headers, in bytes.
const HEADER_LIST_MAX: u32 = 64 * 1_024;

/// How to get to a target.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) target: Target,
    /// What the hop header says; none for a target without a sidecar.
    pub(crate) hop: Option<HopBase>,
    /// For a connection that is begun from now on.
    pub(crate) timeout: Cell<Duration>,
}

/// Where it is.
#[derive(Debug)]
pub(crate) enum Target {
    Address(SocketAddr),
    /// Resolved each time, off the data thread.
    Name(String, u16),
}

/// The hop header, but for the protocol.
#[derive(Debug)]
pub(crate) struct HopBase {
    pub(crate) service: ServiceName,
    pub(crate) port_name: String,
    pub(crate) source: String,
}

/// Why there is no connection. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no connection")]
    Io(#[from] io::Error),
    #[error("no connection in time")]
    Timeout,
    #[error("handshake failed")]
    Handshake(#[from] hyper::Error),
    #[error("the connection that several requests waited for could not be made")]
    Shared,
    #[error("the other sidecar refused: {0}")]
    Refused(ErrorCode),
}

/// A connection for bytes, counted while it is open.
#[derive(Debug)]
pub(crate) struct OpaqueStream {
    pub(crate) io: TcpStream,
    pub(crate) _open: OpenConnection,
}

impl ConnectError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(code) => *code,
            Self::Io(_) | Self::Timeout | Self::Handshake(_) | Self::Shared => ErrorCode::ConnectFailed,
        }
    }
}

pub(super) async fn http1(
    dial: &Dial,
    connections: &Arc<ConnectionMetrics>,
) -> Result<http1::SendRequest<RequestBody>, ConnectError> {
    let io = dial_with_hop(dial, Protocol::Http).await?;
    let open = OpenConnection::new(connections);
    let io = TokioIo::new(EarlyAnswer::new(io, Arc::clone(connections)));
    let (sender, connection) = http1::Builder::new().handshake(io).await?;
    tokio::task::spawn_local(async move {
        let _open = open;
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(sender)
}

pub(super) async fn http2(
    dial: &Dial,
    connections: &Arc<ConnectionMetrics>,
) -> Result<(http2::SendRequest<StreamedBody>, Rc<Cell<usize>>), ConnectError> {
    let io = dial_with_hop(dial, Protocol::Http2).await?;
    let open = OpenConnection::new(connections);
    let (sender, connection) = http2::Builder::new(LocalExec)
        .timer(TokioTimer::new())
        .keep_alive_interval(H2_KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(H2_KEEP_ALIVE_TIMEOUT)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .max_header_list_size(HEADER_LIST_MAX)
        .max_send_buf_size(H2_SEND_BUFFER)
        .max_concurrent_reset_streams(H2_GIVEN_UP_MAX)
        .handshake(TokioIo::new(Stream::new(io)))
        .await?;
    let streams_max = Rc::new(Cell::new(connection.current_max_send_streams()));
    let told = Rc::clone(&streams_max);
    tokio::task::spawn_local(async move {
        let _open = open;
        let mut connection = pin!(connection);
        // Only the connection knows how many streams the peer allows, and it may change: asked each time the
        // connection has read something.
        let ended = poll_fn(|cx| {
            let polled = connection.as_mut().poll(cx);
            told.set(connection.as_ref().get_ref().current_max_send_streams());
            polled
        });
        if let Err(error) = ended.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok((sender, streams_max))
}

pub(super) async fn opaque(
    dial: &Dial,
    connections: &Arc<ConnectionMetrics>,
) -> Result<OpaqueStream, ConnectError> {
    let mut io = dial_with_hop(dial, Protocol::Tcp).await?;
    if dial.hop.is_some() {
        let status = tokio::time::timeout(STATUS_TIMEOUT, io.read_u8()).await;
        match Status::from_byte(status.map_err(|_| ConnectError::Timeout)??) {
            Status::Accepted => {}
            Status::Refused(code) => return Err(ConnectError::Refused(code)),
        }
    }
    Ok(OpaqueStream { io, _open: OpenConnection::new(connections) })
}

async fn dial_with_hop(dial: &Dial, protocol: Protocol) -> Result<TcpStream, ConnectError> {
    let connect = async {
        let mut io = match &dial.target {
            Target::Address(address) => TcpStream::connect(address).await?,
            Target::Name(name, port) => TcpStream::connect((name.as_str(), *port)).await?,
        };
        io.set_nodelay(true)?;
        if let Some(base) = &dial.hop {
            // A fresh socket's buffer takes the header whole: this does not wait for the peer.
            io.write_all(&base.with(protocol).encode()).await?;
        }
        Ok::<_, io::Error>(io)
    };
    Ok(tokio::time::timeout(dial.timeout.get(), connect).await.map_err(|_| ConnectError::Timeout)??)
}

impl HopBase {
    fn with(&self, protocol: Protocol) -> Hop {
        Hop {
            service: self.service.clone(),
            port_name: self.port_name.clone(),
            protocol,
            source: self.source.clone(),
        }
    }
}
