//! Routes and rate limits: what is matched, what is done.

use weft_model::traffic::{
    Backend, BackendRef, Filter, GrpcMethod, HeaderEdit, Match, Mirror, PathEdit, PathMatch, PortRef,
    RateKey, RateLimit, Redirect, Rewrite, Route, Rule, RuleRetry, ValueMatch, ValuePattern,
};
use weft_proto::weft::v1 as proto;

use super::{millis, timeout};

pub(super) fn route(route: &Route) -> proto::Route {
    let Route { ports, rules } = route;
    proto::Route { ports: ports.iter().map(port_ref).collect(), rules: rules.iter().map(rule).collect() }
}

pub(super) fn rate_limit(limit: &RateLimit) -> proto::RateLimit {
    let RateLimit { matches, route, by, requests, per, burst } = limit;
    proto::RateLimit {
        matches: matches.iter().map(request_match).collect(),
        route: route.as_deref().unwrap_or_default().to_owned(),
        by: by.iter().map(rate_key).collect(),
        requests: *requests,
        per_ms: millis(*per),
        burst: *burst,
    }
}

fn rule(rule: &Rule) -> proto::Rule {
    let Rule { name, matches, filters, backends, request_timeout, backend_timeout, retry } = rule;
    proto::Rule {
        name: name.to_string(),
        matches: matches.iter().map(request_match).collect(),
        filters: filters.iter().map(filter).collect(),
        backends: backends.iter().map(backend).collect(),
        request_timeout: timeout(*request_timeout),
        backend_timeout: timeout(*backend_timeout),
        retry: retry.as_ref().map(rule_retry),
    }
}

fn rule_retry(retry: &RuleRetry) -> proto::RuleRetry {
    let RuleRetry { statuses, attempts, backoff } = retry;
    proto::RuleRetry {
        statuses: statuses.iter().copied().map(u32::from).collect(),
        attempts: *attempts,
        backoff_ms: backoff.map(millis),
    }
}

fn request_match(one: &Match) -> proto::RequestMatch {
    let Match { path, method, headers, query } = one;
    proto::RequestMatch {
        path: path.as_ref().map(path_match),
        method: method.as_deref().unwrap_or_default().to_owned(),
        headers: headers.iter().map(value_match).collect(),
        query: query.iter().map(value_match).collect(),
    }
}

fn path_match(path: &PathMatch) -> proto::PathMatch {
    use proto::path_match::Path as Wire;

    let wire = match path {
        PathMatch::Exact(text) => Wire::Exact(text.to_string()),
        PathMatch::Prefix(text) => Wire::Prefix(text.to_string()),
        PathMatch::Regex(text) => Wire::Regex(text.to_string()),
        PathMatch::Grpc(GrpcMethod { service, method }) => Wire::Grpc(proto::GrpcMethod {
            service: service.as_ref().map(pattern),
            method: method.as_ref().map(pattern),
        }),
    };
    proto::PathMatch { path: Some(wire) }
}

fn value_match(one: &ValueMatch) -> proto::ValueMatch {
    proto::ValueMatch { name: one.name.to_string(), value: Some(pattern(&one.value)) }
}

fn pattern(pattern: &ValuePattern) -> proto::ValuePattern {
    use proto::value_pattern::Pattern as Wire;

    let wire = match pattern {
        ValuePattern::Exact(text) => Wire::Exact(text.to_string()),
        ValuePattern::Regex(text) => Wire::Regex(text.to_string()),
    };
    proto::ValuePattern { pattern: Some(wire) }
}

fn filter(filter: &Filter) -> proto::Filter {
    use proto::filter::Filter as Wire;

    let wire = match filter {
        Filter::RequestHeaders(edit) => Wire::RequestHeaders(header_edit(edit)),
        Filter::ResponseHeaders(edit) => Wire::ResponseHeaders(header_edit(edit)),
        Filter::Redirect(Redirect { scheme, host, path, port, status }) => Wire::Redirect(proto::Redirect {
            scheme: scheme.as_deref().map(ToOwned::to_owned),
            host: host.as_deref().map(ToOwned::to_owned),
            path: path.as_ref().map(path_edit),
            port: port.map_or(0, u32::from),
            status: u32::from(*status),
        }),
        Filter::Rewrite(Rewrite { host, path }) => Wire::Rewrite(proto::Rewrite {
            host: host.as_deref().map(ToOwned::to_owned),
            path: path.as_ref().map(path_edit),
        }),
        Filter::Mirror(Mirror { backend, fraction: (numerator, denominator) }) => {
            Wire::Mirror(proto::Mirror {
                backend: Some(backend_ref(backend)),
                numerator: *numerator,
                denominator: *denominator,
            })
        }
    };
    proto::Filter { filter: Some(wire) }
}

fn header_edit(edit: &HeaderEdit) -> proto::HeaderEdit {
    let header = |(name, value): &(Box<str>, Box<str>)| proto::Header {
        name: name.to_string(),
        value: value.to_string(),
    };
    proto::HeaderEdit {
        set: edit.set.iter().map(header).collect(),
        add: edit.add.iter().map(header).collect(),
        remove: edit.remove.iter().map(ToString::to_string).collect(),
    }
}

fn path_edit(edit: &PathEdit) -> proto::PathEdit {
    use proto::path_edit::Edit as Wire;

    let wire = match edit {
        PathEdit::Full(text) => Wire::Full(text.to_string()),
        PathEdit::Prefix(text) => Wire::Prefix(text.to_string()),
    };
    proto::PathEdit { edit: Some(wire) }
}

fn backend(backend: &Backend) -> proto::Backend {
    let Backend { target, weight, filters } = backend;
    proto::Backend {
        target: Some(backend_ref(target)),
        weight: *weight,
        filters: filters.iter().map(filter).collect(),
    }
}

fn backend_ref(backend: &BackendRef) -> proto::BackendRef {
    let BackendRef { service, port } = backend;
    proto::BackendRef {
        service: service.name.to_string(),
        namespace: service.namespace.to_string(),
        port: port.as_ref().map(port_ref),
    }
}

fn port_ref(port: &PortRef) -> proto::PortRef {
    use proto::port_ref::Port as Wire;

    let wire = match port {
        PortRef::Number(number) => Wire::Number(u32::from(*number)),
        PortRef::Name(name) => Wire::Name(name.to_string()),
    };
    proto::PortRef { port: Some(wire) }
}

fn rate_key(key: &RateKey) -> proto::RateKey {
    use proto::rate_key::Key as Wire;

    let wire = match key {
        RateKey::Header(name) => Wire::Header(name.to_string()),
        RateKey::SourceAddress => Wire::SourceAddress(proto::SourceAddress {}),
        RateKey::Route => Wire::Route(proto::RouteName {}),
    };
    proto::RateKey { key: Some(wire) }
}
