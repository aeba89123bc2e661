//! The way of one request past the rules of its service: which rule counts, what it does to the head, who is
//! called in the end, and by whose policy. Where the rules answer themselves, there is no way.
//!
//! ```text
//!  head ─▶ rule ─▶ tokens ─▶ redirect ─▶ faults ─▶ edits ─▶ copies ─▶ backend ─▶ way
//!           │ none   │ none    │           │ abort                      │ none
//!           ▼        ▼         ▼           ▼                            ▼
//!          404      429    301 … 308   its status                      500
//! ```

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Response, header, request::Parts};
use weft_model::{
    error_code::ErrorCode,
    policy::Policy,
    traffic::compile::{Found, RuleId},
};

use super::{
    backend::BackendSlot,
    fault::Fault,
    filter::Filters,
    mirror::Copies,
    route::{Choice, LocalBackend, LocalRule, Routes, Verdict},
};
use crate::{
    answer::{refuse, refuse_saying},
    body::ResponseBody,
    clock,
    data::thread::{LocalService, Thread},
    local_error,
    record::RecordGuard,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Way {
    /// Who is called.
    pub(super) service: Rc<LocalService>,
    /// Timeouts, retries, hedging: of the service that is addressed, and the rule's over it.
    pub(super) policy: Rc<Policy>,
    /// What the rule says of the time to the response head.
    pub(super) total: Option<Option<Duration>>,
    /// What a policy breaks on purpose.
    pub(super) fault: Fault,
    /// Where a rule counts.
    pub(super) ruled: Option<Ruled>,
    pub(super) copies: Copies,
}

/// The rule that counts, kept for what it does to the answer.
#[derive(Debug, Clone)]
pub(super) struct Ruled {
    routes: Rc<Routes>,
    rule: RuleId,
    /// Of the path, where that is how it matched.
    prefix: Option<usize>,
    /// The place of its backend.
    place: Option<usize>,
}

/// An answer in the way's place.
#[derive(Debug)]
pub(super) enum Instead {
    Redirect(Box<Response<ResponseBody>>),
    Limited(Duration),
    Refused(ErrorCode),
    Unmatched,
}

impl Way {
    /// The way past what is said about `front`, which may edit the head.
    pub(super) fn find(
        thread: &Thread,
        front: Rc<LocalService>,
        (head, peer): (&mut Parts, Option<IpAddr>),
    ) -> Result<Self, Instead> {
        match front.routes.clone() {
            None => Ok(Self::straight(front)),
            Some(routes) => Self::by_rules(thread, front, &routes, (head, peer)),
        }
    }

    /// The backend that the rule has chosen; the way leads there once it has arrived.
    pub(super) fn backend(&self) -> Option<&BackendSlot> {
        self.ruled.as_ref()?.backend().map(|backend| &backend.slot)
    }

    /// The backend is found: it is called, with a head as it wishes.
    pub(super) fn arrive(&mut self, service: Rc<LocalService>, head: &mut Parts) {
        self.service = service;
        let Some(ruled) = &self.ruled else { return };
        if let Some((rule, backend)) = ruled.routes.rule(ruled.rule).zip(ruled.backend()) {
            let prefix = ruled.prefix.filter(|_| !rule.filters.rewrites_path());
            backend.filters.edit_request(head, prefix);
        }
    }

    /// With the rule's name and who is called in the record.
    pub(super) fn told(self, record: &mut RecordGuard) -> Self {
        if let Some(Ruled { routes, rule, .. }) = &self.ruled {
            record.route = routes.rule(*rule).map(|rule| Arc::clone(&rule.metrics));
            record.story.backend = Some(Arc::clone(&self.service.metrics.service));
        }
        self
    }

    /// Of a service that nothing is said about.
    fn straight(service: Rc<LocalService>) -> Self {
        let policy = Rc::clone(&service.policy);
        let (fault, copies) = (Fault::default(), Copies::default());
        Self { service, policy, total: None, fault, ruled: None, copies }
    }

    /// By the rules of `front`, which edit the head.
    fn by_rules(
        thread: &Thread,
        front: Rc<LocalService>,
        routes: &Rc<Routes>,
        (head, peer): (&mut Parts, Option<IpAddr>),
    ) -> Result<Self, Instead> {
        let found = match routes.judge(head, peer) {
            Verdict::Unruled => None,
            Verdict::Ruled(found) => Some(found),
            Verdict::Unmatched => return Err(Instead::Unmatched),
            Verdict::Limited(wait) => return Err(Instead::Limited(wait)),
        };
        front.note_use();
        let fault = front.policy.fault.as_ref();
        let fault = fault.map(|policy| Fault::draw(policy, &mut thread.rng.borrow_mut())).unwrap_or_default();
        let mut way = Self { fault, ..Self::straight(front) };
        if let Some((found, rule)) = found.and_then(|found| Some((found, routes.rule(found.rule)?))) {
            if let Some(redirect) = rule.filters.redirect(head, found.prefix) {
                return Err(Instead::Redirect(Box::new(redirect)));
            }
            let backend = way.follow(thread, rule, (head, found)).map_err(|code| {
                tracing::debug!(route = %rule.metrics.route, %code, "route leads nowhere");
                Instead::Refused(code)
            })?;
            let (routes, prefix) = (Rc::clone(routes), found.prefix);
            way.ruled = Some(Ruled { routes, rule: found.rule, prefix, place: backend });
        }
        Ok(way)
    }

    /// Does what the rule says; the place of the backend that it chose.
    fn follow(
        &mut self,
        thread: &Thread,
        rule: &LocalRule,
        (head, found): (&mut Parts, Found),
    ) -> Result<Option<usize>, ErrorCode> {
        self.policy = Rc::clone(&rule.policy);
        self.total = rule.total;
        rule.filters.edit_request(head, found.prefix);
        self.copies = rule.filters.copies(head, thread);
        let draw = thread.rng.borrow_mut().u64(..);
        match rule.choose(draw) {
            Choice::Addressed => Ok(None),
            Choice::Backend(place) => Ok(Some(place)),
            Choice::Nobody => Err(ErrorCode::NoBackend),
        }
    }
}

impl Ruled {
    /// Edits a head on its way back: the backend's filters first, as the nearer ones.
    pub(super) fn edit_response(&self, headers: &mut HeaderMap) {
        self.filters().for_each(|filters| filters.edit_response(headers));
    }

    fn backend(&self) -> Option<&LocalBackend> {
        self.routes.rule(self.rule)?.backends.get(self.place?)
    }

    fn filters(&self) -> impl Iterator<Item = &Filters> {
        let rule = self.routes.rule(self.rule);
        self.backend().map(|backend| &backend.filters).into_iter().chain(rule.map(|rule| &rule.filters))
    }
}

impl Instead {
    pub(super) fn answer(self, grpc: bool, mut record: RecordGuard) -> Response<ResponseBody> {
        match self {
            Self::Redirect(response) => {
                record.status = response.status().as_u16();
                record.complete(clock::now());
                *response
            }
            Self::Limited(wait) => {
                let mut response = refuse(ErrorCode::RateLimited, grpc, record);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
                response
            }
            Self::Refused(code) => refuse(code, grpc, record),
            Self::Unmatched => {
                refuse_saying(ErrorCode::NoRoute, "no route of the service matches the request", grpc, record)
            }
        }
    }
}

/// Answers with a failure that a policy makes.
pub(super) fn abort(status: u16, grpc: bool, mut record: RecordGuard) -> Response<ResponseBody> {
    let response = local_error::fault(status, grpc);
    record.status = response.status().as_u16();
    record.fail(ErrorCode::FaultInjected);
    response
}

/// Rounded up: who waits as long as told is not told to wait again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
