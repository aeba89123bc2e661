//! Consul's JSON: what comes in (`service`, `check`, `node`) becomes domain types here, and what goes out
//! (`view`) is made from the catalog. Nothing behind this folder knows Consul's field names.

pub(crate) mod check;
pub(crate) mod node;
pub(crate) mod service;
pub(crate) mod view;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};

use super::{duration, error::ApiError};
use crate::registry::registration::{META_KEY_LENGTH_MAX, META_PAIRS_MAX, META_VALUE_LENGTH_MAX};

/// A duration as Consul's clients write it: Go's text, or nanoseconds as a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct GoDuration(pub(crate) Duration);

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Nanos(u64),
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) if text.is_empty() => Ok(Self::default()),
            Form::Text(text) => duration::parse(&text)
                .map(Self)
                .ok_or_else(|| D::Error::custom(format!("time: invalid duration {text:?}"))),
            Form::Nanos(nanos) => Ok(Self(Duration::from_nanos(nanos))),
        }
    }
}

impl GoDuration {
    /// `None` for the absent and for zero, which mean the same to Consul.
    pub(crate) fn given(self) -> Option<Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }
}

/// Consul's limits on `Meta` and `NodeMeta`.
fn check_meta(what: &str, meta: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let refuse = |why: String| Err(ApiError::bad(format!("Invalid {what} Meta: {why}")));
    if meta.len() > META_PAIRS_MAX {
        return refuse(format!("cannot contain more than {META_PAIRS_MAX} key/value pairs"));
    }
    for (key, value) in meta {
        let shape =
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !shape {
            return refuse(format!("key {key:?} is invalid: only A-Z, a-z, 0-9, _ and - are allowed"));
        }
        if key.len() > META_KEY_LENGTH_MAX {
            return refuse(format!("key is longer than {META_KEY_LENGTH_MAX} characters"));
        }
        if value.len() > META_VALUE_LENGTH_MAX {
            return refuse(format!("value of {key:?} is longer than {META_VALUE_LENGTH_MAX} characters"));
        }
    }
    Ok(())
}

/// Consul's word for a status.
fn parse_health(text: &str) -> Option<weft_model::endpoint::Health> {
    use weft_model::endpoint::Health;
    [Health::Passing, Health::Warning, Health::Critical].into_iter().find(|health| health.as_str() == text)
}
