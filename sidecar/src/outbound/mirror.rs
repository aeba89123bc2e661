//! Copies of requests, sent off the path. A copy is sent once, to one endpoint; what comes of it is read and
//! dropped, and nobody waits for it. The body is copied when all of it has come and was kept for a retry: what is
//! longer, or not whole when the answer begins, is not mirrored.

use std::{cell::Cell, rc::Rc, sync::atomic::Ordering::Relaxed, time::Duration};

use http::{HeaderMap, Method, Request, Uri, Version, request::Parts};
use http_body_util::BodyExt;
use weft_model::{error_code::ErrorCode, traffic};

use super::backend::BackendSlot;
use crate::{
    body::RequestBody,
    clock,
    data::thread::Thread,
    exchange::{Answered, exchange},
    forward::WEFT_DEADLINE,
    load::InFlight,
    metrics::ServiceMetrics,
    pool::{Carrier, Wire},
};

/// Copies under way on one thread, at most; one more is dropped and counted.
const COPIES_MAX: usize = 256;
/// How long a copy may take, its answer included.
const COPY_TIMEOUT: Duration = Duration::from_secs(30);

/// A rule's word that requests are copied.
#[derive(Debug)]
pub(super) struct Mirror {
    slot: Rc<BackendSlot>,
    fraction: (u32, u32),
}

/// The copies of one request that are to be sent.
#[derive(Debug, Default)]
pub(super) struct Copies(Vec<Copy>);

/// One copy without its body.
#[derive(Debug)]
struct Copy {
    slot: Rc<BackendSlot>,
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
}

/// A place among the copies under way.
struct Place(Rc<Cell<usize>>);

impl Mirror {
    pub(super) fn new(mirror: &traffic::Mirror) -> Self {
        Self { slot: Rc::new(BackendSlot::new(&mirror.backend)), fraction: mirror.fraction }
    }

    /// Whether a request is copied, for a number drawn evenly.
    fn takes(&self, draw: u64) -> bool {
        let (share, of) = self.fraction;
        let point = (u128::from(draw) * u128::from(of)) >> 64;
        point < u128::from(share)
    }
}

impl Copies {
    /// Copies `head` for each mirror that takes it.
    pub(super) fn take(mirrors: &[Mirror], head: &Parts, rng: &mut fastrand::Rng) -> Self {
        let taken = mirrors.iter().filter(|mirror| mirror.takes(rng.u64(..)));
        Self(taken.map(|mirror| Copy::new(mirror, head)).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends each; `body` makes one, or none where it was not kept.
    pub(super) fn send(
        self,
        thread: &Rc<Thread>,
        metrics: &ServiceMetrics,
        body: impl Fn() -> Option<RequestBody>,
    ) {
        for copy in self.0 {
            let sent = Place::take(&thread.copies).zip(body());
            let Some((place, body)) = sent else {
                metrics.mirrors_dropped.fetch_add(1, Relaxed);
                continue;
            };
            metrics.mirrored.fetch_add(1, Relaxed);
            let thread = Rc::clone(thread);
            tokio::task::spawn_local(async move {
                let sending = tokio::time::timeout(COPY_TIMEOUT, copy.send(&thread, body));
                if let Ok(Err(code)) = sending.await {
                    tracing::debug!(%code, "copy of a request came to nothing");
                }
                drop(place);
            });
        }
    }
}

impl Copy {
    fn new(mirror: &Mirror, head: &Parts) -> Self {
        let mut headers = head.headers.clone();
        headers.remove(&WEFT_DEADLINE);
        Self {
            slot: Rc::clone(&mirror.slot),
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            headers,
        }
    }

    async fn send(self, thread: &Rc<Thread>, body: RequestBody) -> Result<(), ErrorCode> {
        let service = self.slot.resolve(thread).await?;
        let now = clock::now();
        let endpoint = service.choose(thread, &[], false, None, now).ok_or(ErrorCode::NoHealthyEndpoint)?;
        let wire = Wire::of(self.version);
        if !wire.is_spoken_at(endpoint.protocol) {
            return Err(ErrorCode::ProtocolError);
        }
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers;
        let mut in_flight = InFlight::begin(Rc::clone(&endpoint), now);
        let answered = exchange(&endpoint.pool, wire, false, now, &mut request).await;
        let Answered { response, lease, .. } = answered.map_err(|failure| failure.code)?;
        in_flight.answer(lease.taken_at(), !lease.is_reused());
        let mut answer = response.into_body();
        while let Some(frame) = answer.frame().await {
            frame.map_err(|_| ErrorCode::UpstreamReset)?;
        }
        let carrier = Carrier { pool: Rc::clone(&endpoint.pool), lease, in_flight: Some(in_flight) };
        carrier.give_back(clock::now());
        Ok(())
    }
}

impl Place {
    fn take(copies: &Rc<Cell<usize>>) -> Option<Self> {
        if copies.get() >= COPIES_MAX {
            return None;
        }
        copies.set(copies.get() + 1);
        Some(Self(Rc::clone(copies)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_of_the_requests_is_copied() {
        let backend = traffic::BackendRef { service: "shadow".parse().unwrap(), port: None };
        let mut rng = fastrand::Rng::with_seed(3);
        for (fraction, least, most) in
            [((0, 100), 0, 0), ((100, 100), 1_000, 1_000), ((1, 4), 200, 300), ((999, 1_000), 990, 1_000)]
        {
            let mirror = Mirror::new(&traffic::Mirror { backend: backend.clone(), fraction });
            let taken = (0..1_000).filter(|_| mirror.takes(rng.u64(..))).count();
            assert!((least..=most).contains(&taken), "{fraction:?}: {taken}");
        }
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let copies = Rc::default();
        let places: Vec<_> = std::iter::from_fn(|| Place::take(&copies)).collect();
        assert_eq!(places.len(), COPIES_MAX);
        drop(places);
        assert_eq!(copies.get(), 0);
    }
}
