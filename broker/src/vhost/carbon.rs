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
        properties.headers.iter_mut().for_each(blind);
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

/// Whether headers have keys that a delivered message does not show.
pub(super) fn is_blind(headers: RawTable<'_>) -> bool {
    headers.find(BCC).is_some()
}

/// The properties of a message that an exchange keeps until later: with `BCC`, as it came.
pub(super) fn unblinded(kept: &[u8], came: Option<RawTable<'_>>) -> Option<Vec<u8>> {
    let blind = came?.find(BCC)?.decode().ok()?;
    let with = properties::rewrite(kept, |properties| {
        properties.headers.get_or_insert_default().set(BCC, blind);
    });
    with.ok()
}

/// The keys that a message adds that was kept.
pub(super) fn kept(headers: Option<&FieldTable>) -> Vec<String> {
    let Some(headers) = headers else { return Vec::new() };
    let values = [CC, BCC].into_iter().filter_map(|name| match headers.find(name) {
        Some(FieldValue::Array(values)) => Some(values),
        _ => None,
    });
    values.flatten().filter_map(FieldValue::as_str).map(str::to_owned).collect()
}

/// Takes out what a delivered message does not show.
pub(super) fn blind(headers: &mut FieldTable) {
    headers.remove(BCC);
}
