//! A request as handlers see it: method, decoded path, query, body, and who asks.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Method;
use serde::de::DeserializeOwned;

use super::{answer::Failure, text::Query};
use crate::access::UserRef;

/// Components of a path at most.
const COMPONENTS_MAX: usize = 16;

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// After `/api`, decoded.
    pub(super) path: Vec<String>,
    pub(super) query: Query,
    pub(super) body: Bytes,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) user: UserRef,
    /// `X-Reason`: why a connection is closed.
    pub(super) reason: Option<String>,
}

impl Request {
    /// The path, to match on.
    pub(super) fn components(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// The body as JSON; an empty one is an empty object.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Failure::Bad(error.to_string()),
            _ => Failure::Bad("not_json".to_owned()),
        })
    }
}

/// The components of a path after its `/api`; none for another path, or one that cannot be decoded.
pub(super) fn components(path: &str) -> Option<Vec<String>> {
    let rest = path.strip_prefix("/api")?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let trimmed = rest.trim_matches('/');
    if trimmed.is_empty() {
        return Some(Vec::new());
    }
    let decoded: Option<Vec<String>> =
        trimmed.split('/').take(COMPONENTS_MAX + 1).map(super::text::decode).collect();
    decoded.filter(|components| components.len() <= COMPONENTS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_before_it_is_decoded() {
        let path = |text| components(text).map(|parts| parts.join("|"));
        assert_eq!(path("/api/queues/%2F/a%2Fb"), Some("queues|/|a/b".to_owned()));
        assert_eq!(path("/api/"), Some(String::new()));
        assert_eq!(path("/apiary"), None);
        assert_eq!(path("/metrics"), None);
        assert_eq!(components(&format!("/api{}", "/a".repeat(17))), None);
    }
}
