//! Keys that a publisher adds by headers: `CC`, and `BCC`, which nobody gets to see (RabbitMQ: "Sender-selected
//! Distribution"). Pure: properties in, keys and properties out.

use super::refuse::Refusal;
use crate::amqp::{
    properties,
    reply::ReplyCode,
    table::{RawTable, view::ValueView},
    value::{FieldTable, FieldValue},
};

/// The header that adds routing keys.
const CC: &str = "CC";
/// The same, and it is taken out before the message is delivered.
const BCC: &str = "BCC";

/// Keys that headers add; and the properties without `BCC`, where there is one.
pub(super) fn copies(
    raw: &[u8],
    headers: Option<RawTable<'_>>,
) -> Result<(Vec<String>, Option<Vec<u8>>), Refusal> {
    let Some(headers) = headers else { return Ok((Vec::new(), None)) };
    let mut keys = Vec::new();
    let mut has_bcc = false;
    for name in [CC, BCC] {
        if let Some(value) = headers.find(name) {
            has_bcc |= name == BCC;
            read_keys(name, value, &mut keys)?;
        }
    }
    if !has_bcc {
        return Ok((keys, None));
    }
    let without = properties::rewrite(raw, |properties| {
        if let Some(headers) = &mut properties.headers {
            headers.remove(BCC);
        }
    });
    Ok((keys, Some(without?)))
}

/// The keys of one header: an array, of which those that are long strings count.
fn read_keys(name: &str, value: ValueView<'_>, into: &mut Vec<String>) -> Result<(), Refusal> {
    let wrong = |kind: &str| {
        let text = format!("invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}");
        Refusal::new(ReplyCode::PreconditionFailed, text)
    };
    match value.decode() {
        Ok(FieldValue::Array(values)) => {
            into.extend(values.iter().filter_map(FieldValue::as_str).map(str::to_owned));
            Ok(())
        }
        Ok(other) => Err(wrong(other.type_name())),
        Err(_) => Err(wrong("array")),
    }
}

/// The keys that `CC` adds to a message that is kept.
pub(super) fn kept(headers: Option<&FieldTable>) -> Vec<String> {
    match headers.and_then(|headers| headers.find(CC)) {
        Some(FieldValue::Array(values)) => {
            values.iter().filter_map(FieldValue::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}
