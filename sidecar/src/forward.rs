//! What changes in a message head that is forwarded (RFC 9110 section 7.6), and the headers of the mesh.

use http::{
    HeaderMap, HeaderName, HeaderValue, header,
    uri::{PathAndQuery, Uri},
};
use weft_model::error_code::ErrorCode;

/// The code of a failure that Weft answered; never an application's.
pub(crate) const WEFT_ERROR: HeaderName = HeaderName::from_static("weft-error");
/// `budget-exhausted`: this answer would have been retried.
pub(crate) const WEFT_RETRY: HeaderName = HeaderName::from_static("weft-retry");
/// Which try of the same request this is; absent = the first.
pub(crate) const WEFT_ATTEMPT: HeaderName = HeaderName::from_static("weft-attempt");
/// Milliseconds that are left to answer.
pub(crate) const WEFT_DEADLINE: HeaderName = HeaderName::from_static("weft-deadline");
/// Ties the records of one request together.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A client's word that a repetition does no harm.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// gRPC's own deadline.
pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Removes what is meant for this hop only. `te: trailers` stays: we forward trailers, and gRPC servers insist
/// on it.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        strip_named_by_connection(headers);
    }
    let te_trailers = headers.get(header::TE).is_some_and(|te| contains_token(te, "trailers"));
    for name in [&KEEP_ALIVE, &PROXY_CONNECTION, &header::TRANSFER_ENCODING, &header::UPGRADE] {
        headers.remove(name);
    }
    match te_trailers {
        true => drop(headers.insert(header::TE, HeaderValue::from_static("trailers"))),
        false => drop(headers.remove(header::TE)),
    }
}

fn strip_named_by_connection(headers: &mut HeaderMap) {
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

fn contains_token(value: &HeaderValue, token: &str) -> bool {
    value.to_str().is_ok_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

/// The target as an origin server is sent it (RFC 9112 section 3.2.1).
pub(crate) fn origin_form(uri: &Uri) -> Uri {
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    Uri::from(path)
}

/// Whether the message is gRPC's: its errors are told in another way.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
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
        strip_hop_by_hop(&mut map);
        assert_eq!(map, headers(&[("x-other", "2")]));
    }

    #[test]
    fn te_trailers_stays_and_content_length_cannot_be_named_away() {
        let mut map =
            headers(&[("connection", "te, content-length"), ("te", "trailers"), ("content-length", "3")]);
        strip_hop_by_hop(&mut map);
        assert_eq!(map, headers(&[("te", "trailers"), ("content-length", "3")]));
    }

    #[test]
    fn an_absolute_target_becomes_its_path() {
        assert_eq!(origin_form(&"http://orders/a?b".parse().unwrap()), "/a?b");
        assert_eq!(origin_form(&"http://orders".parse().unwrap()), "/");
    }
}
