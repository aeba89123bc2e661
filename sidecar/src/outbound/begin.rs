//! The beginning of a call: everything that can be done with its request at once. For most calls that is all there is
//! before their first attempt, so it is plain code and no future, and a call that waits for its answer holds what its
//! attempts need and nothing else. What has to be waited for first goes on in a future of its own.
//!
//! ```text
//!  request ─▶ record ─▶ refuse? ─▶ target ─▶ way ─▶ decide ─▶ ready
//!                          │          │ unknown │ backend unknown
//!                          ▼          ▼         ▼
//!                       answered    later: asks, then goes on from here
//! ```

use std::{future, net::IpAddr, pin::Pin, rc::Rc};

use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, request::Parts};
use http_body::Body;

use super::{
    call::{Call, prepare},
    decide::decide,
    egress, hops,
    source::Source,
    target::{Route, Target, known, resolve},
    tunnel,
    way::{Instead, Way},
};
use crate::{
    answer::refuse,
    body::ResponseBody,
    clock,
    data::{
        caller::Caller,
        thread::{LocalService, Thread},
    },
    fields::{Field, Fields},
    forward::{self, REQUEST_ID},
    local_error,
    record::{Line, RecordGuard},
    unread::CallerBody,
    upgrade::Asked,
};

/// How far a call has come when nothing more can be done at once: its attempts can begin, or something has to be
/// waited for first. What is answered already is the shortest wait.
struct Begun {
    ready: Option<Call>,
    later: Option<Pin<Box<dyn Future<Output = Response<ResponseBody>>>>>,
}

/// A request whose service is found.
struct Coming {
    thread: Rc<Thread>,
    peer: Option<IpAddr>,
    head: Parts,
    fields: Fields,
    body: CallerBody,
    asked: Option<Asked>,
    record: RecordGuard,
    now: u64,
}

/// Carries one request.
pub(super) fn call(
    thread: &Rc<Thread>,
    route: &Route,
    caller: Rc<Caller>,
    request: Request<CallerBody>,
) -> impl Future<Output = Response<ResponseBody>> + use<> {
    let (version, is_head) = (request.version(), request.method() == Method::HEAD);
    let (mut head, body) = request.into_parts();
    let mut fields = Fields::of(&head.headers);
    let inherited = hops::inherit(&thread.shared.traces, &mut head.headers, &mut fields);
    let came_with_id = fields.has(Field::REQUEST_ID);
    if !came_with_id {
        add_request_id(thread, &mut head.headers);
    }
    let span = thread.begin_span(&mut head.headers, &mut fields);
    let line = thread.recorder.is_on().then(|| Line::of(&head, fields));
    let mut record = RecordGuard::begin(&thread.recorder, &thread.unrouted, line);
    record.is_traced(span);
    let peer = Some(caller.peer.ip().to_canonical());
    let unread = (!body.is_end_stream()).then(|| Rc::clone(&caller));
    record.came_on(caller, &body, &thread.config.limits);
    record.hops = hops::count(&head.headers, fields, inherited.as_ref(), came_with_id);
    if inherited.is_some() {
        record.holds().inherited = inherited;
    }
    let received = record.received.clone();
    let mut begun = begin(thread, route, peer, (head, fields), body, record);
    async move {
        let mut response = begun.finish().await;
        if version < Version::HTTP_2 && (!received.is_whole() || forward::is_bad_request(&response)) {
            forward::say_close(&mut response);
            unread.iter().filter(|_| !received.is_whole()).for_each(|caller| caller.is_answered_early());
        }
        if is_head {
            local_error::leave_body_out(&mut response);
        }
        response
    }
}

fn begin(
    thread: &Rc<Thread>,
    route: &Route,
    peer: Option<IpAddr>,
    (head, fields): (Parts, Fields),
    body: CallerBody,
    mut record: RecordGuard,
) -> Begun {
    if let Some(code) = forward::refusal(&head, fields, body.size_hint().lower(), &thread.config.limits) {
        return Begun::answered(refuse(code, forward::is_grpc(&head.headers), record));
    }
    if forward::is_tunnel(&head) {
        let (thread, route) = (Rc::clone(thread), route.clone());
        return Begun::later(async move { tunnel::carry(&thread, &route, peer, head, record).await });
    }
    if let Some(service) = known(thread, route, &head) {
        let now = record.began();
        record.belongs_to(&service.metrics);
        return Coming::new(thread, peer, (head, fields), body, record, now).to(service);
    }
    let (thread, route) = (Rc::clone(thread), route.clone());
    Begun::later(async move {
        match resolve(&thread, &route, &head).await {
            Ok(Target::Service(service)) => {
                record.belongs_to(&service.metrics);
                let coming = Coming::new(&thread, peer, (head, fields), body, record, clock::now());
                coming.to(service).finish().await
            }
            Ok(Target::Outside { host, port }) => {
                egress::carry(&thread, (&host, port), (head, fields, body), record).await
            }
            Err(code) => refuse(code, forward::is_grpc(&head.headers), record),
        }
    })
}

impl Begun {
    fn ready(call: Call) -> Self {
        Self { ready: Some(call), later: None }
    }

    fn later(rest: impl Future<Output = Response<ResponseBody>> + 'static) -> Self {
        Self { ready: None, later: Some(Box::pin(rest)) }
    }

    fn answered(response: Response<ResponseBody>) -> Self {
        Self::later(future::ready(response))
    }

    /// The answer. It works on the call where it is: to move it would cost a copy.
    async fn finish(&mut self) -> Response<ResponseBody> {
        if let Some(call) = &mut self.ready {
            let carried = call.carry().await;
            if let Some(call) = self.ready.take() {
                return call.answer(carried);
            }
        }
        match self.later.take() {
            Some(rest) => rest.await,
            // Nobody asks twice.
            None => Response::new(ResponseBody::Empty),
        }
    }
}

impl Coming {
    fn new(
        thread: &Rc<Thread>,
        peer: Option<IpAddr>,
        (mut head, fields): (Parts, Fields),
        body: CallerBody,
        record: RecordGuard,
        now: u64,
    ) -> Self {
        let asked = prepare(&thread.config, &mut head, fields);
        Self { thread: Rc::clone(thread), peer, head, fields, body, asked, record, now }
    }

    /// To the service, or to the backend that its rules choose.
    fn to(mut self, service: Rc<LocalService>) -> Begun {
        let mut way = match Way::find(&self.thread, service, (&mut self.head, self.peer)) {
            Ok(way) => way,
            Err(instead) => return self.answer(instead),
        };
        let Some(slot) = way.backend() else { return self.on(way) };
        if let Some(backend) = slot.known(&self.thread) {
            way.arrive(backend, &mut self.head);
            return self.on(way);
        }
        Begun::later(async move {
            let Some(slot) = way.backend() else { return self.on(way).finish().await };
            match slot.resolve(&self.thread).await {
                Ok(backend) => {
                    way.arrive(backend, &mut self.head);
                    self.now = clock::now();
                    self.on(way).finish().await
                }
                Err(code) => Instead::Refused(code).answer(forward::is_grpc(&self.head.headers), self.record),
            }
        })
    }

    /// Decides, once it is known who is called.
    fn on(self, way: Way) -> Begun {
        let Self { thread, peer, head, mut fields, body, asked, mut record, now } = self;
        let Way { service, policy, total, fault, ruled, copies } = way.told(&mut record);
        if ruled.is_some() {
            // The rule may have changed the head.
            fields = Fields::of(&head.headers);
        }
        let mut decision = decide(&head, fields, &policy, total);
        let limit = decision.limit.map_or(Ok(None), |limit| limit.after(now.saturating_sub(record.began())));
        match limit.and_then(|limit| hops::limit(&record, limit)) {
            Ok(limit) => decision.limit = limit,
            Err(code) => return Begun::answered(refuse(code, decision.grpc, record)),
        }
        service.note_request(now);
        let source = Source::new(body, policy.retry.body_max, &record.received);
        Begun::ready(Call {
            key: service.hash_by.of_request(&head, peer),
            due: decision.limit.map(|limit| clock::later(now, limit.time)),
            now,
            thread,
            service,
            policy,
            decision,
            head,
            fields,
            kept: None,
            source,
            record,
            asked,
            fault,
            ruled,
            copies,
            current: None,
        })
    }

    fn answer(self, instead: Instead) -> Begun {
        Begun::answered(instead.answer(forward::is_grpc(&self.head.headers), self.record))
    }
}

/// Records of both sides are found by it; an application's own is kept.
fn add_request_id(thread: &Thread, headers: &mut HeaderMap) {
    let id = thread.rng.borrow_mut().u128(..).to_be_bytes();
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(id) {
        pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 0xf)]);
    }
    if let Ok(id) = HeaderValue::from_bytes(&text) {
        headers.insert(REQUEST_ID, id);
    }
}

const fn hex_digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        _ => b'a' + (value - 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A future is made and moved for each request, and stays while it is under way.
    #[test]
    fn a_call_under_way_is_small() {
        let size = size_of::<Begun>();
        assert!(size <= 640, "a call takes {size} bytes");
    }
}
