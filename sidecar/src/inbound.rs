//! Calls from other sidecars, and from bare clients, to the application.
//!
//! ```text
//!  accept ─▶ hop? ─┬─ yes: the protocol it names ─┬─ http, http2 ─▶ call [record | limit] ─▶ application
//!                  └─ no: detected                └─ tcp ─▶ status byte, relay
//! ```

mod http;
mod opaque;

use std::{rc::Rc, time::Duration};

use weft_model::{endpoint::Protocol, error_code::ErrorCode};

use self::http::Host;
use crate::{
    config::InstanceConfig,
    data::{
        caller::Caller,
        serve::{self, Served, Stay},
        thread::Thread,
    },
    detect::{DETECT_TIMEOUT, Detected, detect_any, detect_http},
    hop::{self, Decoded, Hop},
    net::TcpStream,
    pool::Wire,
    stream::Stream,
};

/// Before an application that speaks bytes, a bare client that stays silent waits for a greeting; a hop header
/// comes with the first packet.
const SILENCE_GRACE: Duration = Duration::from_millis(100);

/// How a connection begins.
#[derive(Debug, PartialEq, Eq)]
enum Opening {
    Hop(Hop, usize),
    Bare(Wire),
    Broken,
}

/// One connection on the inbound port.
pub(crate) async fn connection(thread: Rc<Thread>, io: TcpStream, caller: Rc<Caller>) {
    let Some(instance) = thread.config.instance.as_ref() else { return };
    let mut stream = Stream::new(io);
    let is_bytes = instance.protocol == Protocol::Tcp;
    let time = if is_bytes { SILENCE_GRACE } else { DETECT_TIMEOUT };
    let opening = stream.settle(time, |bytes| opening(bytes, instance.protocol)).await;
    match opening {
        Some(Opening::Hop(hop, length)) => {
            stream.consume(length);
            with_hop(&thread, instance, (stream, caller), &hop).await;
        }
        Some(Opening::Bare(Wire::Opaque)) => opaque::bare(&thread, stream).await,
        Some(Opening::Bare(wire)) => http(&thread, (stream, caller), wire, Host::Here).await,
        None if is_bytes => opaque::bare(&thread, stream).await,
        Some(Opening::Broken) | None => {}
    }
}

async fn with_hop(thread: &Rc<Thread>, instance: &InstanceConfig, client: (Stream, Rc<Caller>), hop: &Hop) {
    let is_here = hop.service == instance.service;
    if !is_here {
        tracing::info!(service = %hop.service, source = %hop.source, "call for a service that is not hosted here");
    }
    let host = if is_here { Host::Here } else { Host::Elsewhere };
    match hop.protocol {
        Protocol::Http2 | Protocol::Grpc => http(thread, client, Wire::Http2, host).await,
        Protocol::Tcp if is_here => opaque::with_status(thread, client.0).await,
        // Amqp is the broker's, which has an issue of its own.
        Protocol::Tcp | Protocol::Amqp => opaque::refuse(client.0, ErrorCode::WrongEndpoint).await,
        Protocol::Http | Protocol::Auto => http(thread, client, Wire::Http1, host).await,
    }
}

async fn http(thread: &Rc<Thread>, (stream, caller): (Stream, Rc<Caller>), wire: Wire, host: Host) {
    let carry = |request| http::call(Rc::clone(thread), wire, host, Rc::clone(&caller), request);
    let metrics = Rc::clone(thread.inbound.metrics.as_ref().unwrap_or(&thread.unrouted));
    let stay = Stay { ends_with_drain: true, age_max: thread.config.connection_age_max };
    let served = Served { caller: Rc::clone(&caller), wire, stay, metrics };
    serve::http(thread, stream, served, carry).await;
}

fn opening(bytes: &[u8], protocol: Protocol) -> Option<Opening> {
    if bytes.is_empty() {
        return None;
    }
    match hop::decode(bytes) {
        Ok(Decoded::NeedMore) => return None,
        Ok(Decoded::Hop(hop, length)) => return Some(Opening::Hop(hop, length)),
        Ok(Decoded::Absent) => {}
        Err(error) => {
            tracing::info!(%error, "connection with a broken hop header, closed");
            return Some(Opening::Broken);
        }
    }
    let detected = match protocol {
        Protocol::Tcp | Protocol::Amqp => Detected::Opaque,
        Protocol::Auto => detect_any(bytes),
        Protocol::Http | Protocol::Http2 | Protocol::Grpc => detect_http(bytes),
    };
    match detected {
        Detected::NeedMore => None,
        Detected::Http1 => Some(Opening::Bare(Wire::Http1)),
        Detected::Http2 => Some(Opening::Bare(Wire::Http2)),
        Detected::Opaque if matches!(protocol, Protocol::Http | Protocol::Http2 | Protocol::Grpc) => {
            tracing::info!("client of an application that speaks http speaks none, closed");
            Some(Opening::Broken)
        }
        Detected::Opaque => Some(Opening::Bare(Wire::Opaque)),
    }
}
