//! The rules for headers that no server may read differently: a request head that the sidecar takes is one that the
//! strictest reader takes too, once it is written down again as the sidecar writes it.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header};
use libfuzzer_sys::fuzz_target;
use weft_sidecar::{fields::Fields, strict};

/// More than the sidecar takes is refused elsewhere.
const FIELDS_MAX: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut fields);
    if !matches!(parsed.parse(bytes), Ok(httparse::Status::Complete(_))) {
        return;
    }
    let Some(head) = head(&parsed) else { return };
    if head.method == Method::CONNECT || !strict::is_plain_request(&head, Fields::of(&head.headers)) {
        return;
    }
    let hosts = head.headers.get_all(header::HOST).iter().count();
    assert!(hosts == 1 || (hosts == 0 && head.version == Version::HTTP_10), "{hosts} hosts");
    let codings: Vec<_> = head.headers.get_all(header::TRANSFER_ENCODING).iter().collect();
    assert!(codings.len() <= 1, "several codings");
    assert!(codings.iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")), "{codings:?}");
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    assert!(path.bytes().all(|byte| byte.is_ascii() && byte > b' ' && byte != b'#'), "{path:?}");
    for name in head.headers.keys() {
        assert!(!matches!(name.as_str(), "content_length" | "transfer_encoding"), "{name}");
    }
    lengths(head.headers);
});

/// Lengths that are settled are one number, or none.
fn lengths(mut headers: HeaderMap) {
    let fields = Fields::of(&headers);
    if strict::settle_response(&mut headers, fields) {
        let lengths: Vec<_> = headers.get_all(header::CONTENT_LENGTH).iter().collect();
        assert!(lengths.len() <= 1, "several lengths");
        assert!(lengths.iter().all(|length| length.as_bytes().iter().all(u8::is_ascii_digit)), "{lengths:?}");
    }
}

fn head(parsed: &httparse::Request<'_, '_>) -> Option<http::request::Parts> {
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = parsed.method?.parse().ok()?;
    head.uri = Uri::try_from(parsed.path?).ok()?;
    head.version = if parsed.version? == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        head.headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(head)
}
