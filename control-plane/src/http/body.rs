//! Reads a request's body within its limit, and Consul's JSON with its lax field names: `CamelCase`,
//! `snake_case` and any other case name the same field, null is absence.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{error::ApiError, limits::JSON_BODY_BYTES_MAX};

/// Objects whose keys are the user's own, by folded name: they stay as they are.
const FREE: [&str; 4] = ["meta", "nodemeta", "header", "taggedaddresses"];

/// The whole body.
///
/// # Errors
/// 413 over `limit` bytes, 400 when the connection breaks.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge { limit }),
        Err(error) => Err(ApiError::bad(format!("Request body cannot be read: {error}"))),
    }
}

/// Consul's JSON. The fields of `T` are lower-case without separators (`deregistercriticalserviceafter`).
///
/// # Errors
/// Consul's `Request decode failed`.
pub(crate) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    let bytes = read(body, JSON_BODY_BYTES_MAX).await?;
    decode(&bytes)
}

/// As [`json`], from bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let failed = |error: &dyn std::fmt::Display| ApiError::bad(format!("Request decode failed: {error}"));
    if bytes.is_empty() {
        return Err(failed(&"EOF"));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| failed(&error))?;
    serde_json::from_value(fold(value)).map_err(|error| failed(&error))
}

/// Folds the names of all fields that are Consul's and drops null.
fn fold(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| {
                    let name = fold_name(&name);
                    let value =
                        if FREE.contains(&name.as_str()) { fold_tagged(&name, value) } else { fold(value) };
                    (name, value)
                })
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(fold).collect()),
        other => other,
    }
}

/// Of tagged addresses the tags are the user's, the fields below them Consul's.
fn fold_tagged(name: &str, value: Value) -> Value {
    match value {
        Value::Object(tags) if name == "taggedaddresses" => {
            Value::Object(tags.into_iter().map(|(tag, address)| (tag, fold(address))).collect())
        }
        other => other,
    }
}

fn fold_name(name: &str) -> String {
    name.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_folded_but_for_the_users_own() {
        let folded = fold(json!({
            "Name": "a", "deregister_critical_service_after": "1m", "Port": null,
            "Meta": {"My_Key": "V"},
            "TaggedAddresses": {"Lan_1": {"Address": "x"}},
            "Checks": [{"TTL": "1s", "Header": {"X-A_b": ["1"]}}],
        }));
        assert_eq!(
            folded,
            json!({
                "name": "a", "deregistercriticalserviceafter": "1m",
                "meta": {"My_Key": "V"},
                "taggedaddresses": {"Lan_1": {"address": "x"}},
                "checks": [{"ttl": "1s", "header": {"X-A_b": ["1"]}}],
            })
        );
    }

    #[test]
    fn a_deep_body_is_refused_and_not_a_crash() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(decode::<Value>(deep.as_bytes()).is_err());
    }
}
