//! Opaque connections out: an endpoint is chosen for the connection; if its application does not accept,
//! another one is tried, since nothing was sent.

use std::{rc::Rc, sync::atomic::Ordering::Relaxed};

use smallvec::SmallVec;
use weft_model::{error_code::ErrorCode, outlier};

use crate::{
    data::thread::{LocalService, Thread},
    load::{self, InFlight},
    pool::{OpaqueStream, Pool},
    record::RecordGuard,
    relay,
    stream::Stream,
};

/// A connection that an application has accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: OpaqueStream,
    record: RecordGuard,
    _in_flight: InFlight,
}

/// Connects to one endpoint of the service; the record says which, or why to none.
pub(super) async fn connect(thread: &Rc<Thread>, service: &LocalService) -> Option<Accepted> {
    let policy = &service.policy;
    service.note_request();
    let mut record = RecordGuard::begin(&thread.recorder, &service.metrics, None);
    let mut tried: SmallVec<[Rc<Pool>; 4]> = SmallVec::new();
    loop {
        record.attempts += 1;
        let Some(endpoint) = service.choose(thread, &tried, true) else {
            record.fail(ErrorCode::NoHealthyEndpoint);
            return None;
        };
        record.endpoint = Some(endpoint.label.clone());
        endpoint.metrics.requests.fetch_add(1, Relaxed);
        let mut in_flight = InFlight::begin(Rc::clone(&endpoint));
        match endpoint.pool.connect_opaque().await {
            Ok(stream) => {
                in_flight.answer();
                load::praise(&endpoint);
                return Some(Accepted { stream, record, _in_flight: in_flight });
            }
            Err(error) => {
                tracing::debug!(%error, endpoint = %endpoint.label, "opaque connection failed");
                let fault = outlier::Failure::Hard;
                load::blame(service, &endpoint, fault, &policy.outlier, &mut thread.rng.borrow_mut());
                if record.attempts > policy.retry.retries_max || !service.withdraw_retry() {
                    record.fail(error.code());
                    return None;
                }
                record.metrics().retries.fetch_add(1, Relaxed);
                tried.push(Rc::clone(&endpoint.pool));
            }
        }
    }
}

/// Carries bytes both ways until both sides have ended.
pub(super) async fn carry(mut client: Stream, accepted: Accepted) {
    let Accepted { mut stream, mut record, _in_flight } = accepted;
    relay::relay(&mut client, &mut stream.io, &mut record).await;
}
