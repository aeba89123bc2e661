//! `/v1/kv/…`: Consul's key-value store, straight on the store. `ModifyIndex` is the mod revision; a blocking
//! read waits on a watch of the key or prefix.
//!
//! A pair is stored under `/weft/1/kv/<namespace>/<key>` as a [`value::Pair`].

mod read;
mod value;
mod write;

pub(crate) use self::{
    read::read,
    value::PairView,
    write::{delete, put},
};

use axum::extract::Path;
use weft_model::name::Label;

use super::{ask::Ask, error::ApiError};
use crate::store::{KEY_LENGTH_MAX, KEY_PREFIX};

/// Parameters of sessions, which are not there yet: ignoring them would grant locks that nobody holds.
const SESSION_PARAMETERS: [&str; 2] = ["acquire", "release"];

/// A key as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StoreKey {
    /// `/weft/1/kv/<namespace>/`, in bytes.
    root: usize,
    text: String,
}

impl StoreKey {
    /// Of the path below `/v1/kv/`.
    ///
    /// # Errors
    /// 400 for one that begins with a slash or is too long, as in Consul.
    fn new(namespace: &Label, key: &str) -> Result<Self, ApiError> {
        if key.starts_with('/') {
            return Err(ApiError::bad(format!("Invalid key. Key must not begin with a '/': {key:?}")));
        }
        let root = format!("{KEY_PREFIX}kv/{namespace}/");
        let text = format!("{root}{key}");
        if text.len() > KEY_LENGTH_MAX {
            return Err(ApiError::bad(format!(
                "Invalid key: longer than {} bytes",
                KEY_LENGTH_MAX - root.len()
            )));
        }
        Ok(Self { root: root.len(), text })
    }

    /// The caller's key of a key of the store under the same root.
    fn caller<'a>(&self, stored: &'a str) -> &'a str {
        stored.get(self.root..).unwrap_or_default()
    }

    fn is_root(&self) -> bool {
        self.text.len() == self.root
    }
}

/// The key of a request; absent at `/v1/kv/` itself.
fn requested(ask: &Ask, path: Option<Path<String>>) -> Result<StoreKey, ApiError> {
    for field in SESSION_PARAMETERS {
        if ask.has(field) {
            return Err(ApiError::Unsupported {
                field,
                remedy: "sessions and locks are not there yet, use cas",
            });
        }
    }
    StoreKey::new(&ask.namespace, &path.map(|Path(key)| key).unwrap_or_default())
}

/// Consul's words for a request that needs a key.
fn missing_key() -> ApiError {
    ApiError::bad("Missing key name")
}
