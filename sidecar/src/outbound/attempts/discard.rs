//! An answer that another attempt replaces. Its connection goes back to the pool where the rest of the answer is
//! short; a long one is not worth reading.

use std::{pin::Pin, time::Duration};

use http_body::Body;
use hyper::body::Incoming;

use crate::{answer::Reply, clock, exchange::Failure};

/// The longest rest that is read, in bytes: error pages are shorter.
const REST_MAX: u64 = 16 * 1_024;
/// How long it may take to come.
const REST_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) fn discard(result: Result<Reply, Failure>) {
    let Ok(Reply { response, carrier, .. }) = result else { return };
    let mut rest = response.into_body();
    if rest.is_end_stream() {
        return carrier.give_back(clock::now());
    }
    // One that does not say its length is read as far as a short one.
    if rest.size_hint().lower() > REST_MAX {
        return;
    }
    tokio::task::spawn_local(async move {
        if let Ok(true) = tokio::time::timeout(REST_TIMEOUT, read(&mut rest)).await {
            carrier.give_back(clock::now());
        }
    });
}

/// Whether the end was reached.
async fn read(body: &mut Incoming) -> bool {
    let mut length = 0_u64;
    while length <= REST_MAX {
        match std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => return true,
            Some(Ok(frame)) => length += frame.data_ref().map_or(0, bytes::Bytes::len) as u64,
            Some(Err(_)) => return false,
        }
    }
    false
}
