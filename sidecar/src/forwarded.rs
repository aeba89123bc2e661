//! What a message says of the way it took: `Via` (RFC 9110 section 7.6.3), `Forwarded` (RFC 7239) and its elders
//! `X-Forwarded-…`. Nothing is said unless the settings ask for it; see [`HeaderPolicy`].

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header, request::Parts};

use crate::limits::{Forwarded, HeaderPolicy};

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Adds this sidecar to the way of a message that came in `version`.
pub(crate) fn tell_via(headers: &mut HeaderMap, version: Version, policy: &HeaderPolicy) {
    let Some(name) = &policy.via else { return };
    let protocol = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    if let Ok(value) = HeaderValue::try_from(format!("{protocol} {name}")) {
        headers.append(header::VIA, value);
    }
}

/// Tells the application who has called, as the policy wishes. The head must still be as it came: its host is
/// the one that was asked for.
pub(crate) fn tell_caller(head: &mut Parts, peer: IpAddr, policy: &HeaderPolicy) {
    if policy.forwarded == Forwarded::Off {
        return;
    }
    let host = match head.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => head.headers.get(header::HOST).cloned(),
    };
    let headers = &mut head.headers;
    if policy.forwarded == Forwarded::Replace {
        for name in [&FORWARDED, &X_FORWARDED_FOR, &X_FORWARDED_HOST, &X_FORWARDED_PROTO] {
            headers.remove(name);
        }
    }
    add_to_list(headers, &X_FORWARDED_FOR, &peer.to_string());
    // Whoever stood at the edge knows what was asked for there.
    if !headers.contains_key(&X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    if let (false, Some(host)) = (headers.contains_key(&X_FORWARDED_HOST), host) {
        headers.insert(X_FORWARDED_HOST, host);
    }
    // Kept in step where it is used; the elders are what applications read.
    if headers.contains_key(&FORWARDED) {
        let node = match peer {
            IpAddr::V4(ip) => format!("for={ip};proto=http"),
            IpAddr::V6(ip) => format!("for=\"[{ip}]\";proto=http"),
        };
        add_to_list(headers, &FORWARDED, &node);
    }
}

/// One line, whatever came: a reader that takes the first of several lines would miss the last station.
fn add_to_list(headers: &mut HeaderMap, name: &HeaderName, element: &str) {
    let mut list = Vec::new();
    for value in headers.get_all(name) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(element.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&list) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(policy: Forwarded, came: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut request = http::Request::get("/").header("host", "orders");
        for (name, value) in came {
            request = request.header(*name, *value);
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        let policy = HeaderPolicy { via: None, forwarded: policy };
        tell_caller(&mut head, [10, 0, 0, 7].into(), &policy);
        head.headers
    }

    #[test]
    fn nothing_is_said_unless_it_is_asked_for() {
        let came = [("x-forwarded-for", "1.2.3.4"), ("forwarded", "for=1.2.3.4")];
        let headers = told(Forwarded::Off, &came);
        assert_eq!(headers["x-forwarded-for"], "1.2.3.4");
        assert_eq!(headers["forwarded"], "for=1.2.3.4");
        let mut plain = HeaderMap::new();
        tell_via(&mut plain, Version::HTTP_11, &HeaderPolicy::default());
        assert!(plain.is_empty());
    }

    #[test]
    fn the_caller_is_added_to_what_came_or_told_alone() {
        let came = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", "5.6.7.8"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=1.2.3.4"),
        ];
        let headers = told(Forwarded::Append, &came);
        assert_eq!(headers["x-forwarded-for"], "1.2.3.4, 5.6.7.8, 10.0.0.7");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "orders");
        assert_eq!(headers["forwarded"], "for=1.2.3.4, for=10.0.0.7;proto=http");
        let headers = told(Forwarded::Replace, &came);
        assert_eq!(headers["x-forwarded-for"], "10.0.0.7");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert!(!headers.contains_key("forwarded"));
    }

    #[test]
    fn via_names_the_version_that_came() {
        let policy = HeaderPolicy { via: Some("weft".into()), ..HeaderPolicy::default() };
        let mut headers = HeaderMap::new();
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            tell_via(&mut headers, version, &policy);
        }
        let values: Vec<_> = headers.get_all("via").iter().collect();
        assert_eq!(values, ["1.0 weft", "1.1 weft", "2 weft"]);
    }
}
