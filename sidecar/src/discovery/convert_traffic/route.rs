//! Routes and rate limits: what is matched, what is done.

use std::time::Duration;

use weft_model::traffic::{
    Backend, BackendRef, Filter, GrpcMethod, HeaderEdit, Match, Mirror, PathEdit, PathMatch, PortRef,
    RateKey, RateLimit, Redirect, Rewrite, Route, Rule, RuleRetry, ValueMatch, ValuePattern,
};
use weft_proto::weft::v1 as proto;

use super::{Refused, each, maybe, narrow, service, timeout, unknown, within};

pub(super) fn route(wire: proto::Route) -> Result<Route, Refused> {
    Ok(Route { ports: each("ports", wire.ports, port_ref)?, rules: each("rules", wire.rules, rule)? })
}

pub(super) fn rate_limit(wire: proto::RateLimit) -> Result<RateLimit, Refused> {
    if wire.burst == 0 || wire.per_ms == 0 {
        return Err(format!("burst: {} in {} ms lets nothing through", wire.burst, wire.per_ms));
    }
    Ok(RateLimit {
        matches: each("matches", wire.matches, request_match)?,
        route: some(wire.route),
        by: each("by", wire.by, rate_key)?,
        requests: wire.requests,
        per: Duration::from_millis(wire.per_ms),
        burst: wire.burst,
    })
}

fn rule(wire: proto::Rule) -> Result<Rule, Refused> {
    Ok(Rule {
        name: wire.name.into(),
        matches: each("matches", wire.matches, request_match)?,
        filters: each("filters", wire.filters, filter)?,
        backends: each("backends", wire.backends, backend)?,
        request_timeout: timeout("requestTimeout", wire.request_timeout)?,
        backend_timeout: timeout("backendTimeout", wire.backend_timeout)?,
        retry: maybe("retry", wire.retry, rule_retry)?,
    })
}

fn rule_retry(wire: proto::RuleRetry) -> Result<RuleRetry, Refused> {
    Ok(RuleRetry {
        statuses: each("statuses", wire.statuses, |status| narrow("", status))?,
        attempts: wire.attempts,
        backoff: wire.backoff_ms.map(Duration::from_millis),
    })
}

fn request_match(wire: proto::RequestMatch) -> Result<Match, Refused> {
    Ok(Match {
        path: maybe("path", wire.path, path_match)?,
        method: some(wire.method),
        headers: each("headers", wire.headers, value_match)?,
        query: each("query", wire.query, value_match)?,
    })
}

fn path_match(wire: proto::PathMatch) -> Result<PathMatch, Refused> {
    use proto::path_match::Path as Wire;

    Ok(match wire.path.ok_or_else(|| unknown(""))? {
        Wire::Exact(text) => PathMatch::Exact(text.into()),
        Wire::Prefix(text) => PathMatch::Prefix(text.into()),
        Wire::Regex(text) => PathMatch::Regex(text.into()),
        Wire::Grpc(wire) => PathMatch::Grpc(GrpcMethod {
            service: maybe("grpc.service", wire.service, pattern)?,
            method: maybe("grpc.method", wire.method, pattern)?,
        }),
    })
}

fn value_match(wire: proto::ValueMatch) -> Result<ValueMatch, Refused> {
    let value = wire.value.ok_or_else(|| unknown("value"))?;
    Ok(ValueMatch {
        name: wire.name.into(),
        value: pattern(value).map_err(|reason| within("value", &reason))?,
    })
}

fn pattern(wire: proto::ValuePattern) -> Result<ValuePattern, Refused> {
    use proto::value_pattern::Pattern as Wire;

    Ok(match wire.pattern.ok_or_else(|| unknown(""))? {
        Wire::Exact(text) => ValuePattern::Exact(text.into()),
        Wire::Regex(text) => ValuePattern::Regex(text.into()),
    })
}

fn filter(wire: proto::Filter) -> Result<Filter, Refused> {
    use proto::filter::Filter as Wire;

    Ok(match wire.filter.ok_or_else(|| unknown(""))? {
        Wire::RequestHeaders(edit) => Filter::RequestHeaders(header_edit(edit)),
        Wire::ResponseHeaders(edit) => Filter::ResponseHeaders(header_edit(edit)),
        Wire::Redirect(wire) => Filter::Redirect(Redirect {
            scheme: wire.scheme.map(Into::into),
            host: wire.host.map(Into::into),
            path: maybe("redirect.path", wire.path, path_edit)?,
            port: Some(narrow("redirect.port", wire.port)?).filter(|port| *port != 0),
            status: narrow("redirect.status", wire.status)?,
        }),
        Wire::Rewrite(wire) => Filter::Rewrite(Rewrite {
            host: wire.host.map(Into::into),
            path: maybe("rewrite.path", wire.path, path_edit)?,
        }),
        Wire::Mirror(wire) => {
            if wire.denominator == 0 {
                return Err("mirror.denominator: it is 0".to_owned());
            }
            let backend = wire.backend.ok_or_else(|| unknown("mirror.backend"))?;
            let backend = backend_ref(backend).map_err(|reason| within("mirror.backend", &reason))?;
            Filter::Mirror(Mirror { backend, fraction: (wire.numerator, wire.denominator) })
        }
    })
}

fn header_edit(wire: proto::HeaderEdit) -> HeaderEdit {
    let header = |header: proto::Header| (header.name.into(), header.value.into());
    HeaderEdit {
        set: wire.set.into_iter().map(header).collect(),
        add: wire.add.into_iter().map(header).collect(),
        remove: wire.remove.into_iter().map(Into::into).collect(),
    }
}

fn path_edit(wire: proto::PathEdit) -> Result<PathEdit, Refused> {
    use proto::path_edit::Edit as Wire;

    Ok(match wire.edit.ok_or_else(|| unknown(""))? {
        Wire::Full(text) => PathEdit::Full(text.into()),
        Wire::Prefix(text) => PathEdit::Prefix(text.into()),
    })
}

fn backend(wire: proto::Backend) -> Result<Backend, Refused> {
    let target = wire.target.ok_or_else(|| unknown("target"))?;
    Ok(Backend {
        target: backend_ref(target).map_err(|reason| within("target", &reason))?,
        weight: wire.weight,
        filters: each("filters", wire.filters, filter)?,
    })
}

fn backend_ref(wire: proto::BackendRef) -> Result<BackendRef, Refused> {
    Ok(BackendRef {
        service: service(&wire.service, &wire.namespace)?,
        port: maybe("port", wire.port, port_ref)?,
    })
}

fn port_ref(wire: proto::PortRef) -> Result<PortRef, Refused> {
    use proto::port_ref::Port as Wire;

    Ok(match wire.port.ok_or_else(|| unknown(""))? {
        Wire::Number(number) => PortRef::Number(narrow("", number)?),
        Wire::Name(name) => PortRef::Name(name.into()),
    })
}

fn rate_key(wire: proto::RateKey) -> Result<RateKey, Refused> {
    use proto::rate_key::Key as Wire;

    Ok(match wire.key.ok_or_else(|| unknown(""))? {
        Wire::Header(name) => RateKey::Header(name.into()),
        Wire::SourceAddress(proto::SourceAddress {}) => RateKey::SourceAddress,
        Wire::Route(proto::RouteName {}) => RateKey::Route,
    })
}

/// An empty text stands for none.
fn some(text: String) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into())
}
