//! A request as handlers see it: method, decoded path, query, body, and who asks.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{answer::Failure, text::Query};
use crate::access::UserRef;

/// How the reason begins where a flag is none.
pub(super) const NOT_BOOLEAN: &str = "not_boolean";
/// How the reason begins where a number is none.
pub(super) const NOT_INTEGER: &str = "not_integer";
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
        read_object(body)
    }
}

/// An object of JSON; what it lacks or has wrong is said as RabbitMQ says it.
fn read_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let map: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| Failure::Bad("not_json".to_owned()))?;
    T::deserialize(Value::Object(map)).map_err(|error| {
        let text = error.to_string();
        let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
        if let Some(field) = missing {
            return Failure::Bad(format!("[{{key_missing,{field}}}]"));
        }
        for word in [NOT_BOOLEAN, NOT_INTEGER] {
            if let Some(value) = text.strip_prefix(word).and_then(|rest| rest.strip_prefix(": ")) {
                return Failure::Because(word, value.to_owned());
            }
        }
        Failure::Bad(text)
    })
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

    #[derive(Debug, serde::Deserialize)]
    struct Wish {
        #[serde(default)]
        durable: crate::management::json::Flag,
        name: String,
    }

    #[test]
    fn a_body_is_an_object_and_says_what_is_wrong_with_it() {
        let reason = |body: &str| match read_object::<Wish>(body.as_bytes()) {
            Ok(wish) => format!("{} {}", wish.name, wish.durable.0),
            Err(failure) => failure.to_string(),
        };
        assert_eq!(reason("{\"name\":\"a\",\"durable\":\"true\"}"), "a true");
        assert_eq!(reason("{}"), "[{key_missing,name}]");
        assert_eq!(reason("{\"name\":\"a\",\"durable\":\"maybe\"}"), "not_boolean: maybe");
        assert_eq!(reason("[]"), "not_json");
        assert_eq!(reason("{"), "not_json");
    }

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
