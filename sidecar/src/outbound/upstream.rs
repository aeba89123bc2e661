//! A fixed local port to one service, for anything that speaks TCP. Where the protocol is not told, it is found
//! out: HTTP is balanced request by request, anything else connection by connection, and a server that speaks
//! first is relayed at once.
//!
//! ```text
//!            client speaks within the grace           http ─▶ requests by this service's route
//!  accept ─┬───────────────────────────────▶ detect ─┤
//!          │                                          opaque ─▶ relay
//!          └─ silence ─▶ connect opaquely ─┬─ server speaks first ─▶ relay
//!                                          └─ client speaks first ─▶ detect (as above)
//! ```

use std::{net::IpAddr, rc::Rc, time::Duration};

use tokio::time::timeout;
use weft_model::endpoint::Protocol;

use super::{
    Client, http,
    opaque::{self, Accepted},
    target::{self, Route},
};
use crate::{
    config::Upstream,
    data::{caller::Caller, thread::Thread},
    detect::{DETECT_TIMEOUT, Detected, detect_any},
    net::TcpStream,
    pool::Wire,
    relay::End,
    stream::Stream,
};

/// How long a client may be silent before a connection is made for a server that may speak first. A client
/// that speaks first does it at once, on this machine; a server's greeting is later by no more than this.
const SILENCE_GRACE: Duration = Duration::from_millis(10);

/// What the first bytes, from whichever side, have settled.
enum Settled {
    Http(Wire),
    Opaque(Option<Accepted>),
}

/// One connection on a fixed port.
pub(crate) async fn connection(
    thread: Rc<Thread>,
    upstream: Rc<Upstream>,
    io: TcpStream,
    caller: Rc<Caller>,
) {
    let mut stream = Stream::new(io);
    let peer = Some(caller.peer.ip().to_canonical());
    let settled = match upstream.protocol {
        Protocol::Tcp | Protocol::Amqp => Settled::Opaque(None),
        Protocol::Auto | Protocol::Http | Protocol::Http2 | Protocol::Grpc => {
            settle(&thread, &upstream, &mut stream, peer).await
        }
    };
    match settled {
        Settled::Http(wire) => http(&thread, stream, Client { caller, wire }, Route::Fixed(upstream)).await,
        Settled::Opaque(accepted) => {
            let accepted = match accepted {
                None => connect(&thread, &upstream, peer).await,
                accepted => accepted,
            };
            if let Some(accepted) = accepted {
                opaque::carry(&thread, End::Socket(stream), accepted).await;
            }
        }
    }
}

async fn connect(thread: &Rc<Thread>, upstream: &Upstream, peer: Option<IpAddr>) -> Option<Accepted> {
    match target::service(thread, &upstream.service, &upstream.port_name).await {
        Ok(service) => match opaque::connect(thread, &service, opaque::begin(thread, &service), peer).await {
            Ok(accepted) => Some(accepted),
            Err((code, mut record)) => {
                record.fail(code);
                None
            }
        },
        Err(code) => {
            tracing::info!(service = %upstream.service, %code, "connection has no target, closed");
            None
        }
    }
}

async fn settle(
    thread: &Rc<Thread>,
    upstream: &Upstream,
    stream: &mut Stream,
    peer: Option<IpAddr>,
) -> Settled {
    // Where the protocol is told, only its version is to be found out, and there is no greeting to wait for.
    let is_http = upstream.protocol != Protocol::Auto;
    let grace = if is_http { DETECT_TIMEOUT } else { SILENCE_GRACE };
    if let Some(settled) = stream.settle(grace, detect).await {
        return settled;
    }
    if is_http {
        return Settled::Http(Wire::Http1);
    }
    let Some(accepted) = connect(thread, upstream, peer).await else { return Settled::Opaque(None) };
    loop {
        tokio::select! {
            // The client first: if both speak, HTTP is still HTTP.
            biased;
            read = timeout(DETECT_TIMEOUT, stream.read_ahead()) => match read {
                Ok(Ok(length)) if length > 0 => match detect(stream.ahead()) {
                    Some(Settled::Http(wire)) => return Settled::Http(wire),
                    Some(Settled::Opaque(_)) => return Settled::Opaque(Some(accepted)),
                    None => {}
                },
                // It ended its side, or will not say what it speaks.
                _ => return Settled::Opaque(Some(accepted)),
            },
            () = accepted.speaks() => return Settled::Opaque(Some(accepted)),
        }
    }
}

fn detect(bytes: &[u8]) -> Option<Settled> {
    match detect_any(bytes) {
        Detected::NeedMore => None,
        Detected::Http1 => Some(Settled::Http(Wire::Http1)),
        Detected::Http2 => Some(Settled::Http(Wire::Http2)),
        Detected::Opaque => Some(Settled::Opaque(None)),
    }
}
