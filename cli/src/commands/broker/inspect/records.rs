//! The records of a log, one a line: for people as `position  size  kind  what`, for programs as JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use weft_broker::log::{
    inspect::Inspection,
    position::Position,
    record::{Message, Record},
};

use super::Found;
use crate::{
    args::{InspectOptions, ResourceFormat},
    commands::broker::columns::arguments,
    output,
};

/// Prints all records, or those of the queues that are wanted.
pub(super) fn print(
    log: &mut Inspection,
    queues: &BTreeMap<u32, Found>,
    options: &InspectOptions,
) -> anyhow::Result<()> {
    let is_json = matches!(options.format, ResourceFormat::Json | ResourceFormat::Yaml);
    for segment in log.segments.clone() {
        let mut printed = Ok(());
        log.records(&segment, |position, bytes, record| {
            let is_wanted = options.queue.is_none() || concerns(record, queues);
            if is_wanted && printed.is_ok() {
                let line =
                    if is_json { line_json(position, bytes, record) } else { line(position, bytes, record) };
                printed = output::line(line);
            }
        })?;
        printed?;
    }
    Ok(())
}

/// Whether a record is about one of the queues.
fn concerns(record: &Record<'_>, queues: &BTreeMap<u32, Found>) -> bool {
    match record {
        Record::Message(message) | Record::Moved(message) => {
            message.targets.iter().any(|target| queues.contains_key(&target.queue))
        }
        Record::Settle { queue, .. }
        | Record::Delivered { queue, .. }
        | Record::Returned { queue, .. }
        | Record::Purge { queue, .. }
        | Record::Forget { queue } => queues.contains_key(queue),
        Record::Topology { key, .. } => {
            let number = key.strip_prefix("queue/").and_then(|number| number.parse().ok());
            number.is_some_and(|number: u32| queues.contains_key(&number))
        }
        Record::ChainEnd | Record::Mark { .. } | Record::Seal => false,
    }
}

fn line(position: Position, bytes: usize, record: &Record<'_>) -> String {
    let (kind, fields) = describe(record);
    let fields = arguments(&json!({ "of": fields }), "/of").replace(',', " ");
    let place = format!("{}:{}", position.segment(), position.offset());
    format!("{place:<14} {bytes:>9}  {kind:<10} {fields}").trim_end().to_owned()
}

fn line_json(position: Position, bytes: usize, record: &Record<'_>) -> String {
    let (kind, fields) = describe(record);
    let mut value = Map::new();
    value.insert("segment".to_owned(), position.segment().into());
    value.insert("offset".to_owned(), position.offset().into());
    value.insert("bytes".to_owned(), bytes.into());
    value.insert("kind".to_owned(), kind.into());
    value.extend(fields);
    Value::Object(value).to_string()
}

/// A record's kind and fields.
fn describe(record: &Record<'_>) -> (&'static str, Map<String, Value>) {
    let (kind, fields) = match record {
        Record::Message(message) => ("message", describe_message(message)),
        Record::Moved(message) => ("moved", describe_message(message)),
        Record::Settle { queue, ranges } => {
            let ranges: Vec<_> = ranges
                .iter()
                .map(|range| match range.first == range.last {
                    true => range.first.to_string(),
                    false => format!("{}-{}", range.first, range.last),
                })
                .collect();
            ("settle", json!({ "queue": queue, "seqs": ranges.join("+") }))
        }
        Record::Delivered { queue, up_to } => ("delivered", json!({ "queue": queue, "up_to": up_to })),
        Record::Returned { queue, seq, count, .. } => {
            ("returned", json!({ "queue": queue, "seq": seq, "count": count }))
        }
        Record::Purge { queue, up_to } => ("purge", json!({ "queue": queue, "up_to": up_to })),
        Record::Forget { queue } => ("forget", json!({ "queue": queue })),
        Record::Topology { key, value } => ("topology", json!({ "key": key, "deleted": value.is_none() })),
        Record::ChainEnd => ("chain-end", json!({})),
        Record::Mark { group, durable } => {
            let durable = format!("{}:{}", durable.segment(), durable.offset());
            ("mark", json!({ "group": group, "durable": durable }))
        }
        Record::Seal => ("seal", json!({})),
    };
    (kind, fields.as_object().cloned().unwrap_or_default())
}

fn describe_message(message: &Message<'_>) -> Value {
    let targets: Vec<_> =
        message.targets.iter().map(|target| format!("{}/{}", target.queue, target.seq)).collect();
    json!({
        "to": targets.join("+"),
        "exchange": String::from_utf8_lossy(message.exchange),
        "routing_key": String::from_utf8_lossy(message.routing_key),
        "body": message.body.len(),
        "published_at_ms": message.published_at_ms,
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use weft_broker::log::record::SeqRange;

    use super::*;

    #[test]
    fn a_record_is_a_line_for_people_and_for_programs() {
        let ranges = Cow::Owned(vec![SeqRange { first: 1, last: 3 }, SeqRange { first: 5, last: 5 }]);
        let record = Record::Settle { queue: 7, ranges };
        let position = Position::new(2, 640);
        assert_eq!(line(position, 24, &record), "2:640                 24  settle     queue=7 seqs=1-3+5");
        assert_eq!(
            line_json(position, 24, &record),
            r#"{"segment":2,"offset":640,"bytes":24,"kind":"settle","queue":7,"seqs":"1-3+5"}"#
        );
    }
}
