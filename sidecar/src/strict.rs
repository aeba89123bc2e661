//! What the HTTP library takes and we do not, because two servers could read it differently: told from a parsed
//! head, in both directions. It knows neither target nor policy; what the library itself refuses never gets here.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version, header,
    request::Parts,
    uri::{Scheme, Uri},
};

use crate::fields::{Field, Fields};

/// Whether all servers read this request alike; `fields` are its head's. White space at an end is what the text of
/// HTTP/1 cannot say and HTTP/2 must not (RFC 9113 section 8.2.1).
pub fn is_plain_request(head: &Parts, fields: Fields) -> bool {
    !fields.has(Field::DISGUISED.and(Field::PADDED))
        && is_plain_target(head)
        && is_plain_coding(&head.headers, fields)
        && is_plain_host(head, fields)
}

/// Whether all readers find the same end of this response; `fields` are its head's. Lengths that agree become one (RFC 9112 section 6.3).
pub fn settle_response(headers: &mut HeaderMap, fields: Fields) -> bool {
    if fields.has(Field::CONTENT_LENGTH) {
        let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
        let (first, second) = (lengths.next(), lengths.next());
        if second.is_some() || !first.is_some_and(|length| is_number(length.as_bytes())) {
            let Some(length) = agreed_length(headers) else { return false };
            headers.insert(header::CONTENT_LENGTH, length);
        }
    }
    is_plain_coding(headers, fields)
}

/// The one number that all lengths say, in lists or in lines.
fn agreed_length(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut agreed: Option<&str> = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for number in value.to_str().ok()?.split(',').map(str::trim) {
            if !is_number(number.as_bytes()) || agreed.is_some_and(|agreed| agreed != number) {
                return None;
            }
            agreed = Some(number);
        }
    }
    agreed.and_then(|number| number.parse().ok())
}

fn is_number(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

/// Takes out of trailers what frames or routes a message, or is for one hop: too late to be acted on by those who
/// have read the head, and read as if it stood there by others (RFC 9110 section 6.5.1).
pub fn settle_trailers(trailers: &mut HeaderMap) {
    const NEVER: [HeaderName; 8] = [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::HOST,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
    ];
    for name in &NEVER {
        trailers.remove(name);
    }
}

/// No coding, or `chunked` alone, once. Another one below it would be lost with the field (RFC 9112 section 6.1).
fn is_plain_coding(headers: &HeaderMap, fields: Fields) -> bool {
    if !fields.has(Field::TRANSFER_ENCODING) {
        return true;
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// A target in one of the forms that it may have, without bytes that need escaping (RFC 9112 section 3.2, RFC 9113
/// section 8.3.1). CONNECT has host and port alone; with a protocol, in
/// HTTP/2, all of a request (RFC 8441).
fn is_plain_target(head: &Parts) -> bool {
    let has_authority = head.uri.authority().is_some();
    if head.method == Method::CONNECT {
        let is_bare = head.uri.scheme().is_none() && head.uri.path_and_query().is_none();
        return has_authority && (is_bare || head.version == Version::HTTP_2);
    }
    let is_known = match head.uri.scheme() {
        Some(scheme) => has_authority && (*scheme == Scheme::HTTP || *scheme == Scheme::HTTPS),
        None => !has_authority,
    };
    let path = head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let is_path = path.starts_with('/') || (path == "*" && head.method == Method::OPTIONS);
    // An absolute target may leave the path out, and begin with its query.
    is_known
        && (is_path || (has_authority && matches!(path.bytes().next(), None | Some(b'?'))))
        && path.is_ascii()
}

/// One host where the version demands one, and no more than a host (RFC 9112 section 3.2).
fn is_plain_host(head: &Parts, fields: Fields) -> bool {
    let host = if fields.has(Field::HOST) { head.headers.get(header::HOST) } else { None };
    if fields.has(Field::HOSTS) || (host.is_none() && head.version == Version::HTTP_11) {
        return false;
    }
    host.is_none_or(|host| is_host(host.as_bytes()))
        && is_plain_authority(&head.uri, head.version)
        && (head.version < Version::HTTP_2 || head.uri.authority().is_some() || host.is_none_or(is_authority))
}

fn is_plain_authority(uri: &Uri, version: Version) -> bool {
    let Some(authority) = uri.authority() else { return true };
    match authority.as_str().rsplit_once('@') {
        // User information is deprecated, and has no place at all in an `:authority` (RFC 9113 section 8.3.1).
        Some((_, host)) => version < Version::HTTP_2 && !host.is_empty() && is_host(host.as_bytes()),
        None => is_host(authority.as_str().as_bytes()),
    }
}

/// `uri-host [ ":" port ]` (RFC 9110 section 7.2), without the comma that would make it a list. Empty is a host.
fn is_host(host: &[u8]) -> bool {
    let (name, rest) = if host.first() == Some(&b'[') {
        let end = host.iter().position(|byte| *byte == b']');
        let Some((address, rest)) = end.and_then(|end| host.split_at_checked(end + 1)) else { return false };
        let inside = address.iter().filter(|byte| !matches!(byte, b'[' | b']'));
        if !inside.clone().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')) {
            return false;
        }
        (address, rest)
    } else {
        let end = host.iter().position(|byte| *byte == b':').unwrap_or(host.len());
        host.split_at_checked(end).unwrap_or((host, &[]))
    };
    let is_name = name.first() == Some(&b'[') || name.iter().all(|byte| is_name_byte(*byte));
    is_name && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port))
}

/// What stands in the place of an `:authority` that is not there is written as one (RFC 9113 section 8.3.1).
fn is_authority(host: &HeaderValue) -> bool {
    http::uri::Authority::try_from(host.as_bytes()).is_ok()
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)
}

fn is_port(port: &[u8]) -> bool {
    port.is_empty()
        || std::str::from_utf8(port)
            .is_ok_and(|port| is_number(port.as_bytes()) && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(method: &str, uri: &str, fields: &[(&'static str, &'static str)]) -> Parts {
        let mut head = Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0;
        for (name, value) in fields {
            head.headers.append(*name, HeaderValue::from_static(value));
        }
        head
    }

    fn is_plain(method: &str, uri: &str, fields: &[(&'static str, &'static str)]) -> bool {
        let head = head(method, uri, fields);
        is_plain_request(&head, Fields::of(&head.headers))
    }

    #[test]
    fn usual_requests_are_plain() {
        for uri in [
            "/",
            "/a?b=c",
            "//x",
            "http://orders/x",
            "http://orders",
            "http://orders?a",
            "http://u:p@orders/",
        ] {
            assert!(is_plain("GET", uri, &[("host", "orders:80")]), "{uri}");
        }
        assert!(is_plain("OPTIONS", "*", &[("host", "")]));
        assert!(is_plain("POST", "/", &[("host", "[::1]:80"), ("transfer-encoding", "Chunked")]));
    }

    #[test]
    fn targets_of_no_form_are_not() {
        for uri in ["*", "orders:80", "orders", "gopher://orders/"] {
            assert!(!is_plain("GET", uri, &[("host", "orders")]), "{uri}");
        }
        let mut utf8 = head("GET", "/", &[("host", "orders")]);
        utf8.uri = Uri::from_maybe_shared(bytes::Bytes::from_static(b"/caf\xc3\xa9")).unwrap();
        assert!(!is_plain_request(&utf8, Fields::of(&utf8.headers)));
    }

    #[test]
    fn connect_has_an_authority_and_nothing_else() {
        assert!(is_plain("CONNECT", "orders:80", &[("host", "orders")]));
        for uri in ["/", "http://orders:80/", "*"] {
            assert!(!is_plain("CONNECT", uri, &[("host", "orders")]), "{uri}");
        }
    }

    #[test]
    fn one_host_that_is_a_host_is_demanded() {
        assert!(!is_plain("GET", "/", &[]));
        assert!(!is_plain("GET", "/", &[("host", "a"), ("host", "a")]));
        for host in ["", "a%b"] {
            let mut plain = head("GET", "/", &[("host", host)]);
            assert!(is_plain_request(&plain, Fields::of(&plain.headers)), "{host}");
            plain.version = Version::HTTP_2;
            assert!(!is_plain_request(&plain, Fields::of(&plain.headers)), "no `:authority`: {host}");
        }
        for host in
            ["a b", "a,b", "a/b", "a@b", "a:b", "a:1:2", "a:99999", "[::1", "[::1]x", "a\tb", "http://a"]
        {
            assert!(!is_plain("GET", "/", &[("host", host)]), "{host}");
        }
    }

    #[test]
    fn codings_other_than_chunked_once_are_not_plain() {
        for coding in ["chunked, chunked", "gzip, chunked", ",chunked", "identity", ""] {
            assert!(!is_plain("POST", "/", &[("host", "a"), ("transfer-encoding", coding)]), "{coding}");
        }
        assert!(!is_plain("POST", "/", &[("host", "a"), ("transfer_encoding", "chunked")]));
        assert!(!is_plain("POST", "/", &[("host", "a"), ("content_length", "1")]));
    }

    #[test]
    fn values_with_space_at_an_end_are_not_plain() {
        for value in [" a", "a ", "\ta"] {
            assert!(!is_plain("GET", "/", &[("host", "a"), ("x", value)]), "{value:?}");
        }
    }

    #[test]
    fn trailers_hold_nothing_that_frames_or_routes() {
        let mut trailers =
            head("GET", "/", &[("host", "a"), ("content-length", "1"), ("x-sum", "2")]).headers;
        settle_trailers(&mut trailers);
        assert_eq!(trailers.keys().collect::<Vec<_>>(), ["x-sum"]);
    }

    #[test]
    fn lengths_of_a_response_become_one_or_none() {
        for (given, settled) in [
            (&["5"][..], Some("5")),
            (&["5", "5"], Some("5")),
            (&["5, 5"], Some("5")),
            (&["5, 6"], None),
            (&["5", "6"], None),
            (&["+5"], None),
            (&[""], None),
        ] {
            let mut headers: HeaderMap = HeaderMap::new();
            for value in given {
                headers.append(header::CONTENT_LENGTH, HeaderValue::from_static(value));
            }
            let fields = Fields::of(&headers);
            assert_eq!(settle_response(&mut headers, fields), settled.is_some(), "{given:?}");
            if let Some(settled) = settled {
                assert_eq!(headers.get_all(header::CONTENT_LENGTH).iter().collect::<Vec<_>>(), [settled]);
            }
        }
    }
}
