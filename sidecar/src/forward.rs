//! What changes in a message head that is forwarded (RFC 9110 section 7.6), and the headers of the mesh.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header,
    request::Parts,
    uri::{PathAndQuery, Scheme, Uri},
};
use hyper::ext::Protocol;
use weft_model::error_code::ErrorCode;

use crate::{
    body::ResponseBody,
    fields::{Field, Fields},
    limits::Limits,
    strict,
};

/// The code of a failure that Weft answered; never an application's.
pub(crate) const WEFT_ERROR: HeaderName = HeaderName::from_static("weft-error");
/// `budget-exhausted`: this answer would have been retried.
pub(crate) const WEFT_RETRY: HeaderName = HeaderName::from_static("weft-retry");
/// Which try of the same request this is; absent = the first.
pub(crate) const WEFT_ATTEMPT: HeaderName = HeaderName::from_static("weft-attempt");
/// Milliseconds that are left to answer.
pub(crate) const WEFT_DEADLINE: HeaderName = HeaderName::from_static("weft-deadline");
/// Sidecars that a request has passed on its way through services, each of which called the next; absent = none.
pub(crate) const WEFT_HOPS: HeaderName = HeaderName::from_static("weft-hops");
/// In an answer: so many retries were spent on it further on. A sidecar does not retry such an answer.
pub(crate) const WEFT_RETRIED: HeaderName = HeaderName::from_static("weft-retried");
/// Ties the records of one request together.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// gRPC's own deadline.
pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Why a request is not carried at all, whatever its target: it is over a limit, or different readers would find
/// different hosts in it. `length` is what its body has at least.
pub(crate) fn refusal(head: &Parts, fields: Fields, length: u64, limits: &Limits) -> Option<ErrorCode> {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if fields.bytes() + target > limits.header_bytes_max
        || target > limits.request_line_bytes_max
        || head.headers.len() > limits.header_count_max
    {
        return Some(ErrorCode::HeaderTooLarge);
    }
    if limits.body_bytes_max.is_some_and(|most| length > most) {
        return Some(ErrorCode::BodyTooLarge);
    }
    // More than one is refused (RFC 9112 section 3.2).
    let is_nameless =
        head.version == Version::HTTP_2 && !fields.has(Field::HOST) && head.uri.authority().is_none();
    let is_bad = fields.has(Field::HOSTS) || is_nameless || !strict::is_plain_request(head, fields);
    is_bad.then_some(ErrorCode::BadRequest)
}

/// A request for a tunnel to a host and port; the other kind, with a protocol, is a request to a service
/// (RFC 8441).
pub(crate) fn is_tunnel(head: &Parts) -> bool {
    head.method == Method::CONNECT && head.extensions.get::<Protocol>().is_none()
}

/// Tells host and target as an origin server is told them in this version: once each.
pub(crate) fn settle_target(head: &mut Parts, fields: Fields) {
    if head.version == Version::HTTP_2 {
        // The authority is the host (RFC 9113 section 8.3.1); a client may give a Host header in its place.
        if !fields.has(Field::HOST) {
            return;
        }
        let host = head.headers.remove(header::HOST);
        if let (None, Some(host)) = (head.uri.authority(), host) {
            let mut parts = std::mem::take(&mut head.uri).into_parts();
            parts.scheme.get_or_insert(Scheme::HTTP);
            parts.authority = host.as_bytes().try_into().ok();
            head.uri = Uri::from_parts(parts).unwrap_or_default();
        }
        return;
    }
    if head.version == Version::HTTP_10 {
        // It may have come without a host, which its successor does not (RFC 9112 section 3.2).
        head.headers.entry(header::HOST).or_insert(HeaderValue::from_static(""));
        // It knows nothing of the answer that it would have to wait for (RFC 9110 section 10.1.1).
        head.headers.remove(header::EXPECT);
    }
    head.version = Version::HTTP_11;
    if let Some(authority) = head.uri.authority() {
        // An absolute target overrules the Host header (RFC 9112 section 3.2.2); user information is no part of
        // a host.
        let host = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host);
        if let Ok(host) = HeaderValue::from_str(host) {
            head.headers.insert(header::HOST, host);
        }
        head.uri = origin_form(&head.uri);
    }
}

/// Removes what is meant for this hop only. `te: trailers` stays: we forward trailers, and gRPC servers insist
/// on it.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap, fields: Fields) {
    const FOR_ONE_HOP: Field = Field::TRANSFER_ENCODING
        .and(Field::CONNECTION)
        .and(Field::UPGRADE)
        .and(Field::TE)
        .and(Field::HOP_BY_HOP);
    if !fields.has(FOR_ONE_HOP) {
        return;
    }
    // Where both are given the coding frames the message; the length that was overruled must not travel on and
    // frame it anew (RFC 9112 section 6.3).
    if fields.has(Field::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::TRANSFER_ENCODING);
    }
    if fields.has(Field::CONNECTION) {
        strip_named_by_connection(headers);
    }
    if fields.has(Field::UPGRADE.and(Field::HOP_BY_HOP)) {
        for name in [&KEEP_ALIVE, &PROXY_CONNECTION, &header::UPGRADE] {
            headers.remove(name);
        }
    }
    if fields.has(Field::TE) {
        settle_te(headers);
    }
}

/// What remains of it is that trailers are taken.
fn settle_te(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(header::TE).iter();
    let takes_trailers = match (lines.next(), lines.next()) {
        // What gRPC says with each request.
        (Some(te), None) if te.as_bytes() == b"trailers" => return,
        (Some(te), _) => contains_token(te, "trailers"),
        (None, _) => false,
    };
    match takes_trailers {
        true => drop(headers.insert(header::TE, HeaderValue::from_static("trailers"))),
        false => drop(headers.remove(header::TE)),
    }
}

/// Makes a response's head one of ours. The names of the mesh are not an application's to say; another
/// sidecar's failure passes where it is `named`.
pub(crate) fn clean_response(headers: &mut HeaderMap, fields: Fields, named: Option<ErrorCode>) {
    strip_hop_by_hop(headers, fields);
    if !fields.has(Field::MESH) {
        return;
    }
    if named.is_none() {
        headers.remove(&WEFT_ERROR);
    }
    for name in [&WEFT_RETRY, &WEFT_ATTEMPT, &WEFT_DEADLINE] {
        headers.remove(name);
    }
}

/// Whether the request was one that cannot be understood: nor can what follows it on an HTTP/1 connection.
pub(crate) fn is_bad_request(response: &Response<ResponseBody>) -> bool {
    response.status() == StatusCode::BAD_REQUEST && response.headers().contains_key(&WEFT_ERROR)
}

/// Whether a header says where a message goes, frames it, is for one hop, or is the mesh's own: no rule may
/// change it.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    const RESERVED: [HeaderName; 10] = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
        KEEP_ALIVE,
        PROXY_CONNECTION,
    ];
    name.as_str().starts_with("weft-") || RESERVED.contains(name)
}

/// Says that this HTTP/1 connection carries nothing after this answer.
pub(crate) fn say_close(response: &mut Response<ResponseBody>) {
    // One that has changed protocols carries no requests anyway.
    if response.version() < Version::HTTP_2 && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

fn strip_named_by_connection(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(header::CONNECTION).iter();
    let said = (lines.next().map(HeaderValue::as_bytes), lines.next());
    if let (Some(b"keep-alive" | b"close"), None) = said {
        // Names nothing that would not go anyway.
        headers.remove(header::CONNECTION);
        headers.remove(&KEEP_ALIVE);
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // A message cannot have its own frame removed by naming it here.
        .filter(|name| ![header::CONTENT_LENGTH, header::HOST, header::TE].contains(name))
        .collect();
    headers.remove(header::CONNECTION);
    for name in named {
        headers.remove(name);
    }
}

/// Whether a list of tokens names this one.
pub(crate) fn contains_token(value: &HeaderValue, token: &str) -> bool {
    value.to_str().is_ok_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

/// The target as an origin server is sent it (RFC 9112 section 3.2.1).
fn origin_form(uri: &Uri) -> Uri {
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    Uri::from(path)
}

/// Whether the message is gRPC's: its errors are told in another way.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// A header that is a number.
pub(crate) fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u32> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The failure that the sidecar before us has answered.
pub(crate) fn weft_error(headers: &HeaderMap) -> Option<ErrorCode> {
    let name = headers.get(&WEFT_ERROR)?.as_bytes();
    ErrorCode::ALL.into_iter().find(|code| code.as_str().as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn strip(map: &mut HeaderMap) {
        let fields = Fields::of(map);
        strip_hop_by_hop(map, fields);
    }

    fn settle(head: &mut Parts) {
        let fields = Fields::of(&head.headers);
        settle_target(head, fields);
    }

    #[test]
    fn headers_for_this_hop_are_removed_and_those_that_connection_names() {
        let mut map = headers(&[
            ("connection", "close, x-mine"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("te", "gzip"),
            ("x-other", "2"),
        ]);
        strip(&mut map);
        assert_eq!(map, headers(&[("x-other", "2")]));
    }

    #[test]
    fn te_trailers_stays_and_content_length_cannot_be_named_away() {
        let mut map =
            headers(&[("connection", "te, content-length"), ("te", "trailers"), ("content-length", "3")]);
        strip(&mut map);
        assert_eq!(map, headers(&[("te", "trailers"), ("content-length", "3")]));
    }

    fn head(version: Version, uri: &str, pairs: &[(&'static str, &'static str)]) -> Parts {
        let mut head = http::Request::get(uri).version(version).body(()).unwrap().into_parts().0;
        head.headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        head
    }

    #[test]
    fn a_length_beside_a_transfer_coding_does_not_travel() {
        for connection in ["x", "transfer-encoding"] {
            let mut map = headers(&[("content-length", "3"), ("transfer-encoding", "chunked")]);
            map.insert("connection", connection.parse().unwrap());
            strip(&mut map);
            assert_eq!(map, headers(&[]));
        }
    }

    #[test]
    fn a_host_is_told_once_in_the_way_of_the_version() {
        let mut h1 = head(Version::HTTP_11, "http://user:pw@orders:80/a", &[("host", "other")]);
        settle(&mut h1);
        assert_eq!((h1.uri.to_string(), h1.headers), ("/a".into(), headers(&[("host", "orders:80")])));
        let mut h2 = head(Version::HTTP_2, "http://orders/a", &[("host", "other")]);
        settle(&mut h2);
        assert_eq!((h2.uri.to_string(), h2.headers), ("http://orders/a".into(), headers(&[])));
        let mut h2 = head(Version::HTTP_2, "/a?b", &[("host", "orders")]);
        settle(&mut h2);
        assert_eq!((h2.uri.to_string(), h2.headers), ("http://orders/a?b".into(), headers(&[])));
    }

    #[test]
    fn a_head_with_two_hosts_or_none_in_http2_or_too_long_is_refused() {
        let limits = Limits { body_bytes_max: Some(9), ..Limits::default() };
        let refusal = |head: &Parts| refusal(head, Fields::of(&head.headers), 9, &limits);
        let mut two = head(Version::HTTP_11, "/", &[("host", "orders")]);
        assert_eq!(refusal(&two), None);
        two.headers.append("host", "other".parse().unwrap());
        assert_eq!(refusal(&two), Some(ErrorCode::BadRequest));
        assert_eq!(refusal(&head(Version::HTTP_2, "/", &[])), Some(ErrorCode::BadRequest));
        let mut long = head(Version::HTTP_11, "/", &[("host", "orders")]);
        long.headers.insert("x", "a".repeat(limits.header_bytes_max).parse().unwrap());
        assert_eq!(refusal(&long), Some(ErrorCode::HeaderTooLarge));
        let target = format!("/{}", "a".repeat(limits.request_line_bytes_max));
        assert_eq!(refusal(&head(Version::HTTP_11, &target, &[])), Some(ErrorCode::HeaderTooLarge));
        let mut many = head(Version::HTTP_11, "/", &[]);
        for number in 0..=limits.header_count_max {
            many.headers.insert(HeaderName::try_from(format!("x-{number}")).unwrap(), "1".parse().unwrap());
        }
        assert_eq!(refusal(&many), Some(ErrorCode::HeaderTooLarge));
        let body = head(Version::HTTP_11, "/", &[("host", "orders")]);
        assert_eq!(
            super::refusal(&body, Fields::of(&body.headers), 10, &limits),
            Some(ErrorCode::BodyTooLarge)
        );
        assert_eq!(super::refusal(&body, Fields::of(&body.headers), 10, &Limits::default()), None);
    }

    #[test]
    fn an_absolute_target_becomes_its_path() {
        assert_eq!(origin_form(&"http://orders/a?b".parse().unwrap()), "/a?b");
        assert_eq!(origin_form(&"http://orders".parse().unwrap()), "/");
    }
}
