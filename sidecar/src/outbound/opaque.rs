//! Opaque connections out: an endpoint is chosen for the connection; if its application does not accept,
//! another one is tried, since nothing was sent.

use std::{net::IpAddr, rc::Rc, sync::atomic::Ordering::Relaxed};

use smallvec::SmallVec;
use weft_model::{error_code::ErrorCode, outlier, retry::Reason};

use crate::{
    clock,
    data::thread::{LocalService, Thread},
    load::{self, InFlight},
    pool::{OpaqueStream, Pool},
    record::RecordGuard,
    relay::{End, relay},
    stream::Stream,
};

/// A connection that an application has accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    stream: OpaqueStream,
    pub(super) record: RecordGuard,
    /// None outside the mesh.
    _in_flight: Option<InFlight>,
}

impl Accepted {
    pub(super) fn new(stream: OpaqueStream, record: RecordGuard, in_flight: Option<InFlight>) -> Self {
        Self { stream, record, _in_flight: in_flight }
    }

    /// Waits until the application says something, or ends.
    pub(super) async fn speaks(&self) {
        let mut greeting = [0_u8; 1];
        // An error shows when bytes are carried.
        let _ = self.stream.io.peek(&mut greeting).await;
    }
}

/// A record for one connection to `service`.
pub(super) fn begin(thread: &Thread, service: &LocalService) -> RecordGuard {
    service.note_request(clock::now());
    RecordGuard::begin(&thread.recorder, &service.metrics, None)
}

/// Connects to one endpoint of the service; the record says which, or why to none.
pub(super) async fn connect(
    thread: &Rc<Thread>,
    service: &LocalService,
    mut record: RecordGuard,
    peer: Option<IpAddr>,
) -> Result<Accepted, (ErrorCode, RecordGuard)> {
    let policy = &service.policy;
    let mut tried: SmallVec<[Rc<Pool>; 4]> = SmallVec::new();
    let key = service.hash_by.of_connection(peer);
    loop {
        record.attempts += 1;
        let Some(endpoint) = service.choose(thread, &tried, true, key, clock::now()) else {
            return Err((ErrorCode::NoHealthyEndpoint, record));
        };
        record.endpoint = Some(endpoint.label.clone());
        endpoint.metrics.requests.fetch_add(1, Relaxed);
        let asked_at = clock::now();
        let mut in_flight = InFlight::begin(Rc::clone(&endpoint), asked_at);
        match endpoint.pool.connect_opaque().await {
            Ok(stream) => {
                in_flight.answer(asked_at, false);
                load::praise(&endpoint);
                return Ok(Accepted::new(stream, record, Some(in_flight)));
            }
            Err(error) => {
                tracing::debug!(%error, endpoint = %endpoint.label, "opaque connection failed");
                let fault = outlier::Failure::Hard;
                load::blame(service, &endpoint, fault, &policy.outlier, &mut thread.rng.borrow_mut());
                if record.attempts > policy.retry.retries_max || !service.withdraw_retry() {
                    return Err((error.code(), record));
                }
                record.metrics().resilience.retry(Reason::ConnectFailure);
                tried.push(Rc::clone(&endpoint.pool));
            }
        }
    }
}

/// Carries bytes both ways until both sides have ended.
pub(super) async fn carry(thread: &Thread, client: End, accepted: Accepted) {
    let Accepted { stream: OpaqueStream { io, _open }, mut record, _in_flight } = accepted;
    let idle_max = thread.config.limits.relay_idle_timeout;
    relay(client, End::Socket(Stream::new(io)), idle_max, &mut record).await;
}
