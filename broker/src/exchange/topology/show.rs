//! Values of arguments as RabbitMQ's texts show them: Erlang's names of types, Erlang's notation.

use crate::amqp::value::FieldValue;

/// A binary as Erlang writes it.
pub fn binary(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok("") => "<<>>".to_owned(),
        Ok(text) => format!("<<\"{text}\">>"),
        Err(_) => format!("<<{}>>", bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(",")),
    }
}

/// The value as a term: text as a binary, the rest as [`plain`] has it.
pub fn term(value: &FieldValue) -> String {
    match value {
        FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => binary(bytes),
        other => plain(other),
    }
}

/// The value itself: text as it is, numbers and truth as Erlang writes them, what is nested by its number of entries.
pub fn plain(value: &FieldValue) -> String {
    match value {
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::F32(value) => format!("{value:?}"),
        FieldValue::F64(value) => format!("{value:?}"),
        FieldValue::Decimal { scale, value } => format!("{{{scale},{value}}}"),
        FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        FieldValue::Timestamp(value) => value.to_string(),
        FieldValue::Array(values) => format!("[{} values]", values.len()),
        FieldValue::Table(table) => format!("[{} entries]", table.len()),
        FieldValue::Void => "undefined".to_owned(),
        number => number.as_integer().unwrap_or_default().to_string(),
    }
}
