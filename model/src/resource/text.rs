//! Texts into JSON values: one JSON document of a request's body, or a YAML file of several documents and lists. It
//! must not know what the values say. A key that stands twice in one object is an error in both: a parser that keeps
//! the last would lose the first without a word.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::error::clip;

#[cfg(test)]
mod tests;

/// Objects in one file, at most.
pub const OBJECTS_MAX: usize = 1_000;

/// Why a text is no JSON or YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line and column, from 1, where the parser knows them.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
}

/// One object of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// As in the file.
    pub value: Value,
    /// Which of the file's objects, from 1; those of a list count one by one.
    pub number: usize,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for SyntaxError {}

/// One JSON document.
///
/// # Errors
/// When it is none, has more after it, or a key twice.
pub fn json(text: &[u8]) -> Result<Value, SyntaxError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict.deserialize(&mut deserializer);
    value.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let place = (error.line() > 0).then(|| (error.line(), error.column()));
        SyntaxError { place, message: bare(&error.to_string()) }
    })
}

/// The objects of a YAML file (which JSON is too): its documents in order, those of a `List` one by one. Empty
/// documents are passed over.
///
/// # Errors
/// When it is no YAML, has a key twice, has more than [`OBJECTS_MAX`] objects, or a list without items.
pub fn yaml(text: &str) -> Result<Vec<Object>, SyntaxError> {
    let mut values = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = Strict.deserialize(document).map_err(|error| SyntaxError {
            place: error.location().map(|at| (at.line(), at.column())),
            message: bare(&error.to_string()),
        })?;
        add(&mut values, value)?;
        if values.len() > OBJECTS_MAX {
            let message = format!("the file holds more than {OBJECTS_MAX} objects: split it");
            return Err(SyntaxError { place: None, message });
        }
    }
    Ok((1..).zip(values).map(|(number, value)| Object { value, number }).collect())
}

/// A document: an object, or a list of them (`kind: List`, or a kind's own as `kubectl get` writes it).
fn add(values: &mut Vec<Value>, document: Value) -> Result<(), SyntaxError> {
    let is_list = |object: &Map<String, Value>| {
        object.contains_key("items") && kind_of(object).is_some_and(|kind| kind.ends_with("List"))
    };
    match document {
        Value::Null => {}
        Value::Object(mut object) if is_list(&object) => match object.swap_remove("items") {
            Some(Value::Array(items)) => values.extend(items),
            _ => {
                let message = "`items` of a List has to be a list".into();
                return Err(SyntaxError { place: None, message });
            }
        },
        other => values.push(other),
    }
    Ok(())
}

fn kind_of(object: &Map<String, Value>) -> Option<&str> {
    object.get("kind").and_then(Value::as_str)
}

/// Without the place, which is told in front.
fn bare(message: &str) -> String {
    let end = message.rfind(" at line ").unwrap_or(message.len());
    message.get(..end).unwrap_or(message).to_owned()
}

/// Reads a value and refuses a key that stands twice.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, a list, text, a number, a boolean or null")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).map(Value::Number);
        number.ok_or_else(|| E::custom(format!("`{value}` is no number in JSON")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(Key(key)) = entries.next_key()? {
            let value = entries.next_value_seed(Self)?;
            if map.contains_key(&key) {
                let message = format!("`{}` stands twice in one object: write it once", clip(&key));
                return Err(de::Error::custom(message));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// A key of an object.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}
