//! An answer that another attempt replaces. Its connection goes back to the pool where the rest of the answer is
//! short; a long one is not worth reading.

use std::time::Duration;

use http_body::Body;

use crate::{answer::Reply, clock, exchange::Failure, unread::Rest};

/// The longest rest that is read, in bytes: error pages are shorter.
const REST_MAX: u64 = 16 * 1_024;
/// How long it may take to come.
const REST_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) fn discard(result: Result<Reply, Failure>) {
    let Ok(Reply { response, carrier, .. }) = result else { return };
    let rest = response.into_body();
    if rest.is_end_stream() {
        return carrier.give_back(clock::now());
    }
    // One that does not say its length is read as far as a short one.
    if rest.size_hint().lower() > REST_MAX {
        return;
    }
    tokio::task::spawn_local(async move {
        if let Ok(true) = tokio::time::timeout(REST_TIMEOUT, Rest::new(rest, REST_MAX)).await {
            carrier.give_back(clock::now());
        }
    });
}
