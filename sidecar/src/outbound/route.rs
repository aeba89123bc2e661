//! The routes, limits and faults of a service as one thread carries them out: the compiled rules, and beside each
//! the sidecar's own form of what it says. Made when a table is built. A service that nothing is said about has
//! none of it, and costs one look whether it has.

use std::{
    borrow::Cow,
    hash::{BuildHasher, Hasher},
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use http::{HeaderName, Method, Uri, header, request::Parts};
use weft_model::{
    name::Label,
    policy::Policy,
    traffic::{
        PortRef, Rule,
        compile::{Compiled, Found, RuleId},
        split::Split,
        view::{HeaderKey, RequestView, join},
    },
};

use super::{backend::BackendSlot, filter::Filters};
use crate::{
    metrics::{DataMetrics, RouteMetrics},
    table::{LimitCell, ServiceTable, TableEndpoint},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Routes {
    compiled: Compiled,
    /// Every header that some rule asks for, by its place; one that is no name is in no request.
    names: Vec<Option<HeaderName>>,
    rules: Vec<LocalRule>,
    limits: Arc<[LimitCell]>,
}

/// One rule.
#[derive(Debug)]
pub(crate) struct LocalRule {
    /// With its name, see [`CompiledRule`](weft_model::traffic::compile::CompiledRule).
    pub(crate) metrics: Arc<RouteMetrics>,
    /// The service's, and what the rule says over it.
    pub(crate) policy: Rc<Policy>,
    /// What the rule says of the time to the response head, gRPC or not.
    pub(crate) total: Option<Option<Duration>>,
    pub(crate) filters: Filters,
    /// Empty = the service that is addressed.
    pub(crate) backends: Vec<LocalBackend>,
    split: Split,
}

/// One of a rule's backends.
#[derive(Debug)]
pub(crate) struct LocalBackend {
    pub(crate) slot: BackendSlot,
    pub(crate) filters: Filters,
}

/// Where the calls of rules are counted; one that stays goes on with its cell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteCounts<'a> {
    pub(crate) all: &'a DataMetrics,
    pub(crate) service: &'a Arc<str>,
    pub(crate) before: Option<&'a Routes>,
}

/// Who a rule gives a request to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The service that is addressed.
    Addressed,
    /// The backend at this place.
    Backend(usize),
    /// Nobody: every weight is 0.
    Nobody,
}

/// What matching sees of a head.
struct HeadView<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a http::HeaderMap,
    names: &'a [Option<HeaderName>],
    peer: Option<IpAddr>,
}

/// What the routes say of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There are no rules: it goes to the service.
    Unruled,
    /// This rule counts.
    Ruled(Found),
    /// There are rules, and none matches.
    Unmatched,
    /// A limit refuses it for this long.
    Limited(Duration),
}

impl Routes {
    /// For callers of the namespace `caller` to one port; `None` when nothing is said of their calls.
    pub(crate) fn of(
        table: &ServiceTable,
        port_name: &str,
        caller: &Label,
        policy: &Rc<Policy>,
        counts: RouteCounts<'_>,
    ) -> Option<Self> {
        let is_port = |port: &PortRef| is_port(&table.endpoints, port_name, port);
        let routes = table.traffic.routes_for(&table.name, caller.as_str(), is_port);
        let compiled = Compiled::new(routes, table.traffic.rate_limits().map(|(_, _, limit)| limit));
        if !compiled.has_rules() && table.limits.is_empty() && policy.fault.is_none() {
            return None;
        }
        let names = compiled.header_names().iter();
        Some(Self {
            names: names.map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).collect(),
            rules: compiled
                .rules()
                .iter()
                .map(|rule| LocalRule::new(counts.of(&rule.name), &rule.rule, policy))
                .collect(),
            limits: Arc::clone(&table.limits),
            compiled,
        })
    }

    /// Finds the rule that counts and takes a token of every limit that applies.
    pub(crate) fn judge(&self, head: &Parts, peer: Option<IpAddr>) -> Verdict {
        let (method, uri, headers) = (&head.method, &head.uri, &head.headers);
        let view = HeadView { method, uri, headers, names: &self.names, peer };
        let found = self.compiled.find(&view);
        if found.is_none() && self.compiled.has_rules() {
            return Verdict::Unmatched;
        }
        match self.take_tokens(&view, found.map(|found| found.rule)) {
            Ok(()) => found.map_or(Verdict::Unruled, Verdict::Ruled),
            Err(wait) => Verdict::Limited(wait),
        }
    }

    pub(crate) fn rule(&self, id: RuleId) -> Option<&LocalRule> {
        self.rules.get(id.0 as usize)
    }

    /// What one limit has given is not given back when the next one refuses.
    fn take_tokens(&self, view: &HeadView<'_>, rule: Option<RuleId>) -> Result<(), Duration> {
        let limits = self.compiled.limits().iter().zip(&*self.limits);
        for (limit, cell) in limits.filter(|(limit, _)| limit.applies(view, rule)) {
            cell.take(|hashing| {
                let mut hasher = hashing.build_hasher();
                limit.hash_key(view, rule, &mut hasher);
                hasher.finish()
            })?;
        }
        Ok(())
    }
}

impl RouteCounts<'_> {
    fn of(&self, rule: &Arc<str>) -> Arc<RouteMetrics> {
        let known =
            self.before.and_then(|before| before.rules.iter().find(|known| known.metrics.route == *rule));
        known.map_or_else(|| self.all.route(self.service, rule), |known| Arc::clone(&known.metrics))
    }
}

impl LocalRule {
    fn new(metrics: Arc<RouteMetrics>, rule: &Rule, policy: &Rc<Policy>) -> Self {
        let backends = rule.backends.iter().map(|backend| LocalBackend {
            slot: BackendSlot::new(&backend.target),
            filters: Filters::new(&backend.filters),
        });
        Self {
            metrics,
            policy: over(rule, policy),
            total: rule.request_timeout,
            filters: Filters::new(&rule.filters),
            backends: backends.collect(),
            split: Split::new(&rule.backends),
        }
    }

    /// Who gets a request, for a number drawn evenly.
    pub(crate) fn choose(&self, draw: u64) -> Choice {
        if self.backends.is_empty() {
            return Choice::Addressed;
        }
        self.split.pick(draw).map_or(Choice::Nobody, Choice::Backend)
    }
}

impl RequestView for HeadView<'_> {
    fn path(&self) -> &str {
        self.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn header(&self, key: &HeaderKey) -> Option<Cow<'_, [u8]>> {
        let name = self.names.get(key.place)?.as_ref()?;
        let said = join(self.headers.get_all(name).iter().map(http::HeaderValue::as_bytes));
        // HTTP/2 says the host elsewhere.
        said.or_else(|| {
            let authority = self.uri.authority().filter(|_| *name == header::HOST)?;
            Some(Cow::Borrowed(authority.as_str().as_bytes()))
        })
    }

    fn source(&self) -> Option<IpAddr> {
        self.peer
    }
}

/// Whether the port that calls go to is the one that a route names. Where no endpoint has a port of that number,
/// numbers are the system's choice and say nothing: the route is for every port.
fn is_port(endpoints: &[Arc<TableEndpoint>], port_name: &str, port: &PortRef) -> bool {
    let called = || endpoints.iter().filter_map(|shared| shared.endpoint.port(port_name));
    match port {
        PortRef::Name(name) => **name == *port_name || called().any(|called| *called.name == **name),
        PortRef::Number(number) => {
            let all = || endpoints.iter().flat_map(|shared| &shared.endpoint.ports);
            called().any(|called| called.port == *number) || all().all(|known| known.port != *number)
        }
    }
}

/// A policy with what a rule says laid over it.
fn over(rule: &Rule, policy: &Rc<Policy>) -> Rc<Policy> {
    if rule.request_timeout.is_none() && rule.backend_timeout.is_none() && rule.retry.is_none() {
        return Rc::clone(policy);
    }
    let mut policy = Policy::clone(policy);
    policy.timeouts.total = rule.request_timeout.unwrap_or(policy.timeouts.total);
    policy.timeouts.per_try = rule.backend_timeout.unwrap_or(policy.timeouts.per_try);
    if let Some(said) = &rule.retry {
        let retry = &mut policy.retry;
        retry.retries_max = said.attempts.unwrap_or(retry.retries_max);
        retry.on.statuses.extend(&said.statuses);
        if let Some(least) = said.backoff {
            retry.wait_min = least;
            retry.backoff.max = retry.backoff.max.max(least);
        }
    }
    Rc::new(policy)
}

#[cfg(test)]
mod tests {
    use weft_model::traffic::RuleRetry;

    use super::*;

    #[test]
    fn what_a_rule_says_lies_over_the_policy_and_the_rest_stays() {
        let policy = Rc::new(Policy::default());
        assert!(Rc::ptr_eq(&over(&Rule::default(), &policy), &policy));
        let second = Duration::from_secs(1);
        let rule = Rule {
            request_timeout: Some(None),
            backend_timeout: Some(Some(second)),
            retry: Some(RuleRetry { statuses: vec![503], attempts: Some(5), backoff: Some(second) }),
            ..Rule::default()
        };
        let laid = over(&rule, &policy);
        assert_eq!((laid.timeouts.total, laid.timeouts.per_try), (None, Some(second)));
        assert_eq!((laid.retry.retries_max, &laid.retry.on.statuses[..]), (5, &[503][..]));
        assert_eq!((laid.retry.wait_min, laid.retry.backoff.max), (second, second));
        assert_eq!(laid.balance, policy.balance);
    }
}
