//! Resources by way of the control plane's resource API: the paths, and what its answers mean. What is printed is
//! the commands' business.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use weft_model::resource::{Kind, Resource};

use crate::client::{Answer, Client, ClientError, REQUEST_TIMEOUT, encode};

/// Short names of kinds, beside kind and plural.
const SHORT_NAMES: [(&str, Kind); 4] = [
    ("hr", Kind::HttpRoute),
    ("gr", Kind::GrpcRoute),
    ("sp", Kind::ServicePolicy),
    ("rlp", Kind::RateLimitPolicy),
];

/// Which resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// `created`, `configured` or `unchanged`.
    pub what: &'static str,
    /// As it is now, or would be.
    pub object: Value,
    /// As it was.
    pub before: Option<Value>,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// No good answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The control plane refuses it.
    #[error("{name} is refused: {message}{}", lines(causes))]
    Refused {
        /// Which, as in `httproute/orders`.
        name: String,
        /// Its words.
        message: String,
        /// By field.
        causes: Vec<Cause>,
    },
    /// The control plane has no resources.
    #[error("{address} has no resources: its version is before 0.2; use a newer weft-control-plane")]
    NoResources {
        /// Who.
        address: String,
    },
}

/// What is wrong with one field.
#[derive(Debug, Clone, Deserialize)]
pub struct Cause {
    /// Where.
    #[serde(default)]
    pub field: String,
    /// What, and what to write instead.
    #[serde(default)]
    pub message: String,
}

/// A Kubernetes `Status`.
#[derive(Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Details,
}

#[derive(Debug, Default, Deserialize)]
struct Details {
    #[serde(default)]
    causes: Vec<Cause>,
}

impl Name {
    /// That of a resource.
    pub fn of(resource: &Resource) -> Self {
        let metadata = resource.metadata();
        let (namespace, name) = (metadata.namespace.to_string(), metadata.name.to_string());
        Self { kind: resource.kind(), namespace, name }
    }

    /// As it is printed: `httproute/orders`.
    pub fn short(&self) -> String {
        format!("{}/{}", self.kind.as_str().to_ascii_lowercase(), self.name)
    }

    fn path(&self) -> String {
        format!("{}/{}", list_path(self.kind, Some(&self.namespace)), encode(&self.name, false))
    }
}

/// A kind as people type it: `httproute`, `httproutes`, `HTTPRoute` or `hr`.
///
/// # Errors
/// Names those there are.
pub fn kind(text: &str) -> Result<Kind, String> {
    let short = SHORT_NAMES.iter().find(|(short, _)| text.eq_ignore_ascii_case(short));
    short.map_or_else(|| text.parse(), |(_, kind)| Ok(*kind))
}

/// One resource; `None` = there is none.
///
/// # Errors
/// See [`ObjectError`].
pub async fn read(client: &Client, name: &Name) -> Result<Option<Value>, ObjectError> {
    let answer = client.get(&name.path(), REQUEST_TIMEOUT).await?;
    if answer.status == StatusCode::NOT_FOUND {
        // A Status of ours names what is missing; anything else has never heard of resources.
        return match serde_json::from_slice::<Status>(&answer.body) {
            Ok(_) => Ok(None),
            Err(_) => Err(ObjectError::NoResources { address: client.address().to_string() }),
        };
    }
    Ok(client.json(&answer)?)
}

/// All of a kind, of one namespace or all.
///
/// # Errors
/// See [`ObjectError`].
pub async fn list(client: &Client, kind: Kind, namespace: Option<&str>) -> Result<Vec<Value>, ObjectError> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Value>,
    }
    let answer = client.get(&list_path(kind, namespace), REQUEST_TIMEOUT).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Err(ObjectError::NoResources { address: client.address().to_string() });
    }
    Ok(client.json::<List>(&answer)?.map(|list| list.items).unwrap_or_default())
}

/// Makes it, or puts it in the place of what is there.
///
/// # Errors
/// See [`ObjectError`].
pub async fn apply(client: &Client, name: &Name, object: &Value, dry_run: bool) -> Result<Done, ObjectError> {
    let before = read(client, name).await?;
    let body = Bytes::from(object.to_string());
    let (method, path) = match before {
        Some(_) => (Method::PUT, name.path()),
        None => (Method::POST, list_path(name.kind, Some(&name.namespace))),
    };
    let query = if dry_run { "?dryRun=All" } else { "" };
    let answer = client.ask(method, &format!("{path}{query}"), body, REQUEST_TIMEOUT).await?;
    let object: Value = good(client, name, &answer)?;
    let what = match &before {
        None => "created",
        Some(before) if plain(before) == plain(&object) => "unchanged",
        Some(_) => "configured",
    };
    Ok(Done { what, object, before })
}

/// Removes it; false = it is not there.
///
/// # Errors
/// See [`ObjectError`].
pub async fn delete(client: &Client, name: &Name) -> Result<bool, ObjectError> {
    let answer = client.ask(Method::DELETE, &name.path(), Bytes::new(), REQUEST_TIMEOUT).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(false);
    }
    good::<Value>(client, name, &answer).map(|_| true)
}

/// An object as its author gave it: without what the control plane adds.
pub fn plain(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for given in ["uid", "generation", "resourceVersion", "creationTimestamp"] {
            metadata.shift_remove(given);
        }
    }
    object
}

fn good<T: serde::de::DeserializeOwned + Default>(
    client: &Client,
    name: &Name,
    answer: &Answer,
) -> Result<T, ObjectError> {
    if answer.status.is_success() {
        return Ok(client.json(answer)?.unwrap_or_default());
    }
    let status: Status = serde_json::from_slice(&answer.body).unwrap_or_else(|_| Status {
        message: format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)),
        ..Status::default()
    });
    Err(ObjectError::Refused { name: name.short(), message: status.message, causes: status.details.causes })
}

fn list_path(kind: Kind, namespace: Option<&str>) -> String {
    let group = kind.api_version();
    let namespace = namespace.map(|namespace| format!("/namespaces/{}", encode(namespace, false)));
    format!("/apis/{group}{}/{}", namespace.unwrap_or_default(), kind.plural())
}

/// Each cause on a line of its own.
fn lines(causes: &[Cause]) -> String {
    causes.iter().map(|cause| format!("\n  {}: {}", cause.field, cause.message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_many_names() {
        for text in ["hr", "HR", "httproute", "httproutes", "HTTPRoute"] {
            assert_eq!(kind(text), Ok(Kind::HttpRoute), "{text}");
        }
        assert!(kind("pod").unwrap_err().contains("servicepolicies"));
    }
}
