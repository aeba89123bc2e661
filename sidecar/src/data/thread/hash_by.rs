//! What a service's requests are balanced by under consistent hashing, ready to be looked up. It must not know what
//! becomes of the hash.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, header::COOKIE, request::Parts};
use weft_model::{balance::hash, policy::HashKey};

/// See the module.
#[derive(Debug)]
pub(crate) enum HashBy {
    /// Not at all.
    Nothing,
    Header(HeaderName),
    Cookie(Box<str>),
    Query(Box<str>),
    SourceAddress,
}

impl HashBy {
    pub(super) fn new(key: Option<&HashKey>) -> Self {
        match key {
            None => Self::Nothing,
            // A name that is none matches no request, as one that no request has.
            Some(HashKey::Header(name)) => name.parse().map_or(Self::Nothing, Self::Header),
            Some(HashKey::Cookie(name)) => Self::Cookie(name.clone()),
            Some(HashKey::Query(name)) => Self::Query(name.clone()),
            Some(HashKey::SourceAddress) => Self::SourceAddress,
        }
    }

    /// The key of a request; `None` when it has none.
    pub(crate) fn of_request(&self, head: &Parts, peer: Option<IpAddr>) -> Option<u64> {
        match self {
            Self::Nothing => None,
            Self::Header(name) => head.headers.get(name).map(|value| hash::stable(value.as_bytes())),
            Self::Cookie(name) => cookie(&head.headers, name).map(hash::stable),
            Self::Query(name) => query(head.uri.query()?, name).map(|value| hash::stable(value.as_bytes())),
            Self::SourceAddress => self.of_connection(peer),
        }
    }

    /// The key of a connection for bytes, of which nothing but the caller's address is known.
    pub(crate) fn of_connection(&self, peer: Option<IpAddr>) -> Option<u64> {
        match (self, peer?) {
            (Self::SourceAddress, IpAddr::V4(address)) => Some(hash::stable(&address.octets())),
            (Self::SourceAddress, IpAddr::V6(address)) => Some(hash::stable(&address.octets())),
            _ => None,
        }
    }
}

/// The value of the first cookie of that name (RFC 6265 section 4.2; HTTP/2 may split the header).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// The value of the first parameter of that name, as it is written.
fn query<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| match pair.split_once('=') {
        Some((known, value)) => (known == name).then_some(value),
        None => (pair == name).then_some(""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(by: &HashKey, uri: &str, headers: &[(&'static str, &'static str)]) -> Option<u64> {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        HashBy::new(Some(by)).of_request(&head, Some([10, 0, 0, 1].into()))
    }

    #[test]
    fn a_request_is_hashed_by_the_value_and_nothing_else() {
        let value = Some(hash::stable(b"ada"));
        let header = HashKey::Header("x-user".into());
        assert_eq!(key(&header, "/", &[("X-User", "ada"), ("x-other", "1")]), value);
        let cookie = HashKey::Cookie("sid".into());
        assert_eq!(key(&cookie, "/", &[("cookie", "asid=1; sid=ada; sid=2")]), value);
        assert_eq!(key(&cookie, "/", &[("cookie", "a=1"), ("cookie", "sid=ada")]), value);
        let query = HashKey::Query("user".into());
        assert_eq!(key(&query, "/p?users=1&user=ada&user=2", &[]), value);
        assert_eq!(key(&HashKey::SourceAddress, "/", &[]), Some(hash::stable(&[10, 0, 0, 1])));
    }

    #[test]
    fn a_request_without_the_value_has_no_key() {
        for by in [HashKey::Header("x".into()), HashKey::Cookie("x".into()), HashKey::Query("x".into())] {
            assert_eq!(key(&by, "/?y=1", &[("cookie", "y=x"), ("y", "x")]), None);
        }
        assert_eq!(key(&HashKey::Header("not a name".into()), "/", &[]), None);
        assert_eq!(HashBy::new(None).of_connection(Some([10, 0, 0, 1].into())), None);
    }
}
