//! Calls of the application to other services: by Host header, as its HTTP proxy, or by a fixed port.
//!
//! ```text
//!  connection ─▶ detect ─▶ target ─▶ decide ─▶ call [record | total timeout | attempts] ─▶ exchange
//! ```

mod attempts;
mod backend;
mod begin;
mod call;
mod decide;
mod egress;
mod fault;
mod filter;
mod hops;
mod kept;
mod mirror;
mod opaque;
mod outcome;
pub(crate) mod route;
mod source;
mod target;
mod tunnel;
pub(crate) mod upstream;
mod way;

use std::rc::Rc;

pub(crate) use self::decide::{deadline, is_idempotent};

use self::target::Route;
use crate::{
    data::{
        caller::Caller,
        serve::{self, Served, Stay},
        thread::Thread,
    },
    detect::{DETECT_TIMEOUT, Detected, detect_http},
    net::TcpStream,
    pool::Wire,
    stream::Stream,
};

/// A client that speaks HTTP.
struct Client {
    caller: Rc<Caller>,
    wire: Wire,
}

/// One connection on the outbound port, where only HTTP is spoken.
pub(crate) async fn connection(thread: Rc<Thread>, io: TcpStream, caller: Rc<Caller>) {
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
    http(&thread, stream, Client { caller, wire }, Route::Host).await;
}

/// Serves HTTP whose requests go by `route`.
async fn http(thread: &Rc<Thread>, stream: Stream, client: Client, route: Route) {
    let Client { caller, wire } = client;
    let carry = |request| begin::call(thread, &route, Rc::clone(&caller), request);
    let metrics = Rc::clone(&thread.unrouted);
    let stay = Stay { ends_with_drain: false, age_max: thread.config.outbound_connection_age_max };
    let served = Served { caller: Rc::clone(&caller), wire, stay, metrics };
    serve::http(thread, stream, served, carry).await;
}
