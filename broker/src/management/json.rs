//! Small pieces of JSON that several answers and requests are made of. Pure.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::request::NOT_BOOLEAN;

/// A flag; the older `rabbitmqadmin` sends text.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Flag(pub(super) bool);

impl TryFrom<Value> for Flag {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match &value {
            Value::Bool(flag) => Ok(Self(*flag)),
            Value::String(text) if text == "true" => Ok(Self(true)),
            Value::String(text) if text == "false" => Ok(Self(false)),
            Value::Null => Ok(Self(false)),
            Value::String(text) => Err(format!("{NOT_BOOLEAN}: {text}")),
            other => Err(format!("{NOT_BOOLEAN}: {other}")),
        }
    }
}

/// The map of an object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// `{"rate": …}`
pub(super) fn rate(rate: f64) -> Value {
    json!({ "rate": rate })
}
