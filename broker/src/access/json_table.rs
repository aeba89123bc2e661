//! Arguments between JSON (definitions, management API) and field tables (AMQP), the way RabbitMQ's management plugin
//! does: a whole number becomes `l`, another number `d`, text `S`, and back each type becomes its nearest in JSON.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::amqp::value::{FieldTable, FieldValue};

/// Tables and arrays inside one another at most.
pub const DEPTH_MAX: usize = 32;

/// Nested deeper than [`DEPTH_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("arguments are nested deeper than {DEPTH_MAX}")]
pub struct TooDeep;

/// A table of JSON arguments.
///
/// # Errors
/// When they are nested too deep.
pub fn to_table(arguments: &Map<String, Value>) -> Result<FieldTable, TooDeep> {
    table(arguments, DEPTH_MAX)
}

/// JSON arguments of a table. Deeper than [`DEPTH_MAX`] there is null.
pub fn to_json(table: &FieldTable) -> Map<String, Value> {
    map(table, DEPTH_MAX)
}

fn table(arguments: &Map<String, Value>, depth: usize) -> Result<FieldTable, TooDeep> {
    arguments.iter().map(|(name, value)| Ok((name.clone(), field(value, depth)?))).collect()
}

fn field(value: &Value, depth: usize) -> Result<FieldValue, TooDeep> {
    let deeper = || depth.checked_sub(1).ok_or(TooDeep);
    Ok(match value {
        Value::Null => FieldValue::Void,
        Value::Bool(flag) => FieldValue::Bool(*flag),
        Value::String(text) => FieldValue::text(text),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => FieldValue::I64(whole),
            None => FieldValue::F64(number.as_f64().unwrap_or(f64::MAX)),
        },
        Value::Array(values) => {
            let depth = deeper()?;
            FieldValue::Array(values.iter().map(|value| field(value, depth)).collect::<Result<_, _>>()?)
        }
        Value::Object(inner) => FieldValue::Table(table(inner, deeper()?)?),
    })
}

fn map(table: &FieldTable, depth: usize) -> Map<String, Value> {
    table.iter().map(|(name, value)| (name.to_owned(), json(value, depth))).collect()
}

fn json(value: &FieldValue, depth: usize) -> Value {
    match value {
        FieldValue::Void => Value::Null,
        FieldValue::Bool(flag) => (*flag).into(),
        FieldValue::F32(number) => f64::from(*number).into(),
        FieldValue::F64(number) => (*number).into(),
        FieldValue::Decimal { scale, value } => (f64::from(*value) / 10_f64.powi(i32::from(*scale))).into(),
        FieldValue::Timestamp(seconds) => (*seconds).into(),
        FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => text(bytes).into(),
        FieldValue::Array(values) => match depth.checked_sub(1) {
            Some(depth) => values.iter().map(|value| json(value, depth)).collect(),
            None => Value::Null,
        },
        FieldValue::Table(inner) => match depth.checked_sub(1) {
            Some(depth) => map(inner, depth).into(),
            None => Value::Null,
        },
        whole => whole.as_integer().map_or(Value::Null, Into::into),
    }
}

/// Bytes that are no text are shown as RabbitMQ shows them.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("Not UTF-8, base64 is: {}", STANDARD.encode(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn json_becomes_what_the_management_plugin_makes_of_it() {
        let arguments =
            json!({"n": 60000, "f": 1.5, "b": true, "s": "x", "z": null, "a": [1], "o": {"k": "v"}});
        let made = to_table(&object(&arguments)).unwrap();
        assert_eq!(made.find("n"), Some(&FieldValue::I64(60000)));
        assert_eq!(made.find("f"), Some(&FieldValue::F64(1.5)));
        assert_eq!(made.find("b"), Some(&FieldValue::Bool(true)));
        assert_eq!(made.find("s"), Some(&FieldValue::text("x")));
        assert_eq!(made.find("z"), Some(&FieldValue::Void));
        assert_eq!(made.find("a"), Some(&FieldValue::Array(vec![FieldValue::I64(1)])));
        assert_eq!(Value::Object(to_json(&made)), arguments);
    }

    #[test]
    fn types_that_json_lacks_come_out_near() {
        let table: FieldTable = [
            ("byte", FieldValue::I8(-1)),
            ("decimal", FieldValue::Decimal { scale: 2, value: 275 }),
            ("time", FieldValue::Timestamp(7)),
            ("raw", FieldValue::Bytes(Bytes::from_static(b"\xff\x00"))),
            ("nan", FieldValue::F64(f64::NAN)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let shown =
            json!({"byte": -1, "decimal": 2.75, "time": 7, "raw": "Not UTF-8, base64 is: /wA=", "nan": null});
        assert_eq!(Value::Object(to_json(&table)), shown);
    }

    #[test]
    fn depth_is_limited_both_ways() {
        let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        let arguments = |depth| object(&json!({ "a": nested(depth) }));
        assert!(to_table(&arguments(DEPTH_MAX)).is_ok());
        assert_eq!(to_table(&arguments(DEPTH_MAX + 1)), Err(TooDeep));

        let deep = (0..=DEPTH_MAX).fold(FieldValue::Bool(true), |inner, _| FieldValue::Array(vec![inner]));
        let shown = to_json(&[("a".to_owned(), deep)].into_iter().collect());
        assert_eq!(shown["a"], (0..DEPTH_MAX).fold(Value::Null, |inner, _| json!([inner])));
    }

    fn arbitrary_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_survives_the_way_through_a_table(value in arbitrary_json()) {
            let arguments = object(&json!({ "k": value }));
            prop_assert_eq!(to_json(&to_table(&arguments).unwrap()), arguments);
        }
    }
}
