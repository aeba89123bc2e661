//! A change of protocols: on an HTTP/1.1 connection, as WebSocket begins (RFC 9110 section 7.8), or on one stream of
//! an HTTP/2 connection (RFC 8441). `Upgrade` is meant for one hop, so it is asked for anew at the next one; what
//! the application agrees to are bytes from then on.
//!
//! ```text
//!  request with Upgrade, or ─▶ Asked ─┬─ 101, or 200 to CONNECT ─▶ Agreed ─▶ relay until both sides have ended
//!  CONNECT with a protocol            └─ any other answer ─▶ passed on as of any request
//! ```

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded, on},
};
use hyper_util::rt::TokioIo;

use crate::{
    body::ResponseBody,
    data::guarded::Guarded,
    forward,
    limits::Limits,
    pool::{Carrier, EarlyAnswer},
    record::RecordGuard,
    relay::{End, relay},
    stream::Stream,
};

/// What a caller wishes to change to, and its side of the connection once it may.
#[derive(Debug)]
pub(crate) struct Asked {
    /// None where the request itself is the wish: CONNECT.
    protocol: Option<HeaderValue>,
    caller: OnUpgrade,
    /// How long the bytes may stand still.
    idle_max: Option<Duration>,
}

/// A change that the application agrees to.
#[derive(Debug)]
pub(crate) struct Agreed {
    protocol: Option<HeaderValue>,
    caller: OnUpgrade,
    idle_max: Option<Duration>,
    upstream: OnUpgrade,
}

impl Asked {
    /// The wish that a request holds, before the headers for its hop are removed. HTTP/2 is none: a client that
    /// wants it speaks it from the first byte, and a server may ignore this way (RFC 9113 section 3.1).
    pub(crate) fn take(head: &mut Parts, limits: &Limits) -> Option<Self> {
        let caller = head.extensions.remove::<OnUpgrade>()?;
        let idle_max = limits.relay_idle_timeout;
        if head.method == Method::CONNECT {
            return Some(Self { protocol: None, caller, idle_max });
        }
        let is_for_this_hop = head
            .headers
            .get_all(header::CONNECTION)
            .iter()
            .any(|connection| forward::contains_token(connection, "upgrade"));
        let protocol = head.headers.get(header::UPGRADE)?;
        let is_h2 = forward::contains_token(protocol, "h2c");
        (is_for_this_hop && !is_h2).then(|| Self { protocol: Some(protocol.clone()), caller, idle_max })
    }

    /// Asks the next hop for it.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        tell(headers, self.protocol.clone());
    }
}

impl Agreed {
    /// What the application has agreed to in `response`. An error is one that was not asked for.
    pub(crate) fn take(
        asked: Option<Asked>,
        response: &mut Response<Incoming>,
    ) -> Result<Option<Self>, Unasked> {
        let is_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let is_wanted = match &asked {
            Some(Asked { protocol: None, .. }) => response.status() == StatusCode::OK,
            _ => is_switched,
        };
        if !is_wanted {
            return if is_switched { Err(Unasked) } else { Ok(None) };
        }
        let Asked { protocol, caller, idle_max } = asked.ok_or(Unasked)?;
        let protocol =
            protocol.map(|asked| response.headers().get(header::UPGRADE).cloned().unwrap_or(asked));
        Ok(Some(Self { protocol, caller, idle_max, upstream: on(response) }))
    }

    /// Tells the caller, and carries bytes both ways until both sides have ended.
    pub(crate) fn carry(
        self,
        headers: &mut HeaderMap,
        carrier: Carrier,
        mut record: RecordGuard,
    ) -> ResponseBody {
        let Self { protocol, caller, idle_max, upstream } = self;
        tell(headers, protocol);
        tokio::task::spawn_local(async move {
            // Each side is there once its half of the exchange is over; an error means that it went away.
            if let (Ok(caller), Ok(upstream)) = tokio::join!(caller, upstream) {
                relay(end_of(caller), end_of(upstream), idle_max, &mut record).await;
            }
            drop(carrier);
        });
        ResponseBody::Empty
    }
}

/// An application changed to a protocol that nobody asked it for.
#[derive(Debug)]
pub(crate) struct Unasked;

/// A side that has changed protocols: the socket itself where nothing stands between.
pub(crate) fn end_of(upgraded: Upgraded) -> End {
    let upgraded = match upgraded.downcast::<TokioIo<Guarded>>() {
        Ok(parts) => return socket(parts.io.into_inner().into_inner(), &parts.read_buf),
        Err(upgraded) => upgraded,
    };
    match upgraded.downcast::<TokioIo<EarlyAnswer>>() {
        Ok(parts) => socket(Stream::new(parts.io.into_inner().into_inner()), &parts.read_buf),
        Err(upgraded) => End::Layered(TokioIo::new(upgraded)),
    }
}

fn socket(mut stream: Stream, read: &[u8]) -> End {
    stream.give_back(read);
    End::Socket(stream)
}

fn tell(headers: &mut HeaderMap, protocol: Option<HeaderValue>) {
    if let Some(protocol) = protocol {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
}
