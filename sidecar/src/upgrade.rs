//! A change of protocols on an HTTP/1.1 connection, as WebSocket begins (RFC 9110 section 7.8). `Upgrade` is meant
//! for one hop, so it is asked for anew at the next one; what the application agrees to are bytes from then on.
//!
//! ```text
//!  request with Upgrade ─▶ Asked ─┬─ 101 from the application ─▶ Agreed ─▶ relay until both sides have ended
//!                                 └─ any other answer ─▶ passed on as of any request
//! ```

use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, on},
};
use hyper_util::rt::TokioIo;

use crate::{body::ResponseBody, forward, pool::Carrier, record::RecordGuard, relay};

/// What a caller wishes to change to, and its side of the connection once it may.
#[derive(Debug)]
pub(crate) struct Asked {
    protocol: HeaderValue,
    caller: OnUpgrade,
}

/// A change that the application agrees to.
#[derive(Debug)]
pub(crate) struct Agreed {
    protocol: HeaderValue,
    caller: OnUpgrade,
    upstream: OnUpgrade,
}

impl Asked {
    /// The wish that a request holds, before the headers for its hop are removed. HTTP/2 is none: a client that
    /// wants it speaks it from the first byte, and a server may ignore this way (RFC 9113 section 3.1).
    pub(crate) fn take(head: &mut Parts) -> Option<Self> {
        let caller = head.extensions.remove::<OnUpgrade>()?;
        let is_for_this_hop = head
            .headers
            .get_all(header::CONNECTION)
            .iter()
            .any(|connection| forward::contains_token(connection, "upgrade"));
        let protocol = head.headers.get(header::UPGRADE)?;
        let is_h2 = forward::contains_token(protocol, "h2c");
        (is_for_this_hop && !is_h2).then(|| Self { protocol: protocol.clone(), caller })
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
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(None);
        }
        let Asked { protocol, caller } = asked.ok_or(Unasked)?;
        let protocol = response.headers().get(header::UPGRADE).cloned().unwrap_or(protocol);
        Ok(Some(Self { protocol, caller, upstream: on(response) }))
    }

    /// Tells the caller, and carries bytes both ways until both sides have ended.
    pub(crate) fn carry(
        self,
        headers: &mut HeaderMap,
        carrier: Carrier,
        mut record: RecordGuard,
    ) -> ResponseBody {
        let Self { protocol, caller, upstream } = self;
        tell(headers, protocol);
        tokio::task::spawn_local(async move {
            // Each side is there once its half of the exchange is over; an error means that it went away.
            if let (Ok(caller), Ok(upstream)) = tokio::join!(caller, upstream) {
                relay::relay(&mut TokioIo::new(caller), &mut TokioIo::new(upstream), &mut record).await;
            }
            drop(carrier);
        });
        ResponseBody::Empty
    }
}

/// An application changed to a protocol that nobody asked it for.
#[derive(Debug)]
pub(crate) struct Unasked;

fn tell(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}
