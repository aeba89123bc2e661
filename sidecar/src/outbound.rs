//! Calls of the application to other services: by Host header, as its HTTP proxy, or by a fixed port.
//!
//! ```text
//!  connection ─▶ detect ─▶ target ─▶ decide ─▶ call [record | total timeout | attempts] ─▶ exchange
//! ```

mod attempts;
mod call;
mod decide;
mod egress;
mod opaque;
mod outcome;
mod target;
pub(crate) mod upstream;

use std::rc::Rc;

use tokio::net::TcpStream;

pub(crate) use self::decide::{deadline, is_idempotent};
use self::target::Route;
use crate::{
    data::{
        serve::{self, Drains},
        thread::Thread,
    },
    detect::{DETECT_TIMEOUT, Detected, detect_http},
    metrics::OpenConnection,
    pool::Wire,
    stream::Stream,
};

/// One connection on the outbound port, where only HTTP is spoken.
pub(crate) async fn connection(thread: Rc<Thread>, io: TcpStream) {
    let _open = OpenConnection::new(&thread.outbound_connections);
    let mut stream = Stream::new(io);
    let detected = stream
        .settle(DETECT_TIMEOUT, |bytes| match detect_http(bytes) {
            Detected::NeedMore => None,
            settled => Some(settled),
        })
        .await;
    let wire = match detected {
        Some(Detected::Http1) => Wire::Http1,
        Some(Detected::Http2) => Wire::Http2,
        Some(Detected::Opaque | Detected::NeedMore) => {
            return tracing::info!("client on the outbound port speaks no http, closed");
        }
        // It went, or never said a word.
        None => return,
    };
    http(&thread, stream, wire, Route::Host).await;
}

/// Serves HTTP whose requests go by `route`.
async fn http(thread: &Rc<Thread>, stream: Stream, wire: Wire, route: Route) {
    let peer = stream.peer();
    let carry = |request| call::call(Rc::clone(thread), route.clone(), peer, request);
    serve::http(thread, stream, wire, Drains::No, carry).await;
}
