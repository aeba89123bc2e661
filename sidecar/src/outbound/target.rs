//! Where a request goes: the service that its host or its port names, or a place outside the mesh.

use std::rc::Rc;

use http::{HeaderMap, Uri, Version, header, uri::Scheme};
use weft_model::{error_code::ErrorCode, name::ServiceName};

use crate::{
    config::{Egress, Upstream},
    data::thread::{LocalService, Thread},
    table::Demanded,
};

/// How the requests of a connection find their target.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// By Host header, `:authority` or absolute URI.
    Host,
    /// A fixed port: whatever the host.
    Fixed(Rc<Upstream>),
}

/// Where a request goes.
#[derive(Debug)]
pub(crate) enum Target {
    Service(Rc<LocalService>),
    /// An absolute URI outside the mesh.
    Outside {
        host: Box<str>,
        port: u16,
    },
}

/// The service of a request, where this thread knows it.
pub(crate) fn known(thread: &Thread, route: &Route, head: &http::request::Parts) -> Option<Rc<LocalService>> {
    match route {
        Route::Fixed(upstream) => thread.service(&upstream.service, &upstream.port_name),
        Route::Host => thread.service_of_host(split_port(authority(&head.uri, &head.headers)?).0),
    }
}

/// The target of a request; a name that is not yet known is asked for, one second at most.
pub(crate) async fn resolve(
    thread: &Thread,
    route: &Route,
    head: &http::request::Parts,
) -> Result<Target, ErrorCode> {
    if let Route::Fixed(upstream) = route {
        return service(thread, &upstream.service, &upstream.port_name).await.map(Target::Service);
    }
    let is_proxied = head.version <= Version::HTTP_11 && head.uri.authority().is_some();
    let authority = authority(&head.uri, &head.headers).ok_or(ErrorCode::BadRequest)?;
    let (host, port) = split_port(authority);
    if let Some(known) = thread.service_of_host(host) {
        return Ok(Target::Service(known));
    }
    let outside = || {
        let is_https = head.uri.scheme() == Some(&Scheme::HTTPS);
        let allowed = is_proxied && !is_https && thread.config.egress == Egress::Allow;
        let host = host.trim_start_matches('[').trim_end_matches(']').into();
        if allowed { Ok(Target::Outside { host, port: port.unwrap_or(80) }) } else { Err(ErrorCode::NoRoute) }
    };
    // This machine is never a service of the mesh; nor is what has the shape of no service's name.
    let name = match ServiceName::from_host(host, &thread.config.namespace) {
        Ok(name) if host != "localhost" => name,
        _ => return outside(),
    };
    match service(thread, &name, "").await {
        Ok(service) => Ok(Target::Service(service)),
        Err(ErrorCode::NoRoute) => outside(),
        Err(code) => Err(code),
    }
}

/// The service by its name, after asking for it if it is unknown.
pub(crate) async fn service(
    thread: &Thread,
    name: &ServiceName,
    port_name: &str,
) -> Result<Rc<LocalService>, ErrorCode> {
    if let Some(known) = thread.service(name, port_name) {
        return Ok(known);
    }
    match Box::pin(thread.directory.demand(name.clone())).await {
        Demanded::Known => thread.service(name, port_name).ok_or(ErrorCode::NoRoute),
        Demanded::NoRoute => Err(ErrorCode::NoRoute),
        Demanded::Timeout => Err(ErrorCode::DiscoveryTimeout),
    }
}

fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(header::HOST)?.to_str().ok(),
    }
}

/// Host and port; user information in front is ignored, as it is no part of a Host header.
pub(super) fn split_port(authority: &str) -> (&str, Option<u16>) {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name, port.parse().ok())
        }
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_split_off_a_name_and_off_an_address() {
        assert_eq!(split_port("orders"), ("orders", None));
        assert_eq!(split_port("orders.default:8080"), ("orders.default", Some(8080)));
        assert_eq!(split_port("[::1]:80"), ("[::1]", Some(80)));
        assert_eq!(split_port("[::1]"), ("[::1]", None));
        assert_eq!(split_port("user:pw@orders:1"), ("orders", Some(1)));
    }
}
