//! Arguments of `basic.consume`: checked in RabbitMQ's order and words, and as one typed value. RabbitMQ: "Consumer
//! Priorities", "Streams: consuming".

use super::{
    arguments::{ArgumentError, Fault, QueueName, flag, integer},
    erlang::Binary,
    kind::QueueKind,
    queue_settings::max_age_ms,
};
use crate::amqp::value::{FieldTable, FieldValue};

const PRIORITY: &str = "x-priority";
const CANCEL_ON_FAILOVER: &str = "x-cancel-on-ha-failover";
const STREAM_OFFSET: &str = "x-stream-offset";

/// Arguments that consumers of a type of queue may give; others of these are refused, and what is in no list is taken.
fn arguments_of(kind: QueueKind) -> &'static [&'static str] {
    match kind {
        QueueKind::Classic => &[CANCEL_ON_FAILOVER, PRIORITY, "x-credit"],
        QueueKind::Quorum => &[PRIORITY, "x-credit"],
        QueueKind::Stream => &[STREAM_OFFSET, "x-stream-filter", "x-stream-match-unfiltered", "x-credit"],
    }
}

/// Where a consumer of a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamOffset {
    /// `first`: with the oldest message that is kept.
    First,
    /// `last`: with the last chunk of messages.
    Last,
    /// `next`: with what comes from now on.
    #[default]
    Next,
    /// With the message of this offset, or the next that is kept.
    Offset(u64),
    /// With what was published from then on: seconds since 1970.
    TimestampSeconds(u64),
    /// With what was published in this time before now.
    AgoMs(u64),
}

/// What a consumer asks for besides what the method says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConsumeSettings {
    /// Higher is served first; 0 when nobody says.
    pub priority: i64,
    /// Where to begin; for streams.
    pub offset: StreamOffset,
}

/// Looks at the arguments of a consumer of `queue`.
///
/// # Errors
/// The first that RabbitMQ would tell of; 406 all of them.
pub fn check(
    vhost: &str,
    queue: &str,
    kind: QueueKind,
    arguments: &FieldTable,
) -> Result<ConsumeSettings, ArgumentError> {
    let name = || QueueName { queue: queue.into(), vhost: vhost.into() };
    let known = |argument| arguments.find(argument).filter(|_| arguments_of(kind).contains(&argument));
    let fault = |argument| move |fault| ArgumentError::Argument { argument, queue: name(), fault };
    let mut settings = ConsumeSettings::default();
    if let Some(value) = known(PRIORITY) {
        settings.priority = integer(value).map_err(fault(PRIORITY))?;
    }
    if let Some(value) = known(CANCEL_ON_FAILOVER) {
        flag(value).map_err(fault(CANCEL_ON_FAILOVER))?;
    }
    if let Some(value) = known(STREAM_OFFSET) {
        settings.offset = stream_offset(value).map_err(fault(STREAM_OFFSET))?;
    }
    match arguments.iter().find(|(argument, _)| is_of_others(kind, argument)) {
        Some((argument, _)) => {
            Err(ArgumentError::NotOfKind { argument: argument.into(), queue: name(), kind })
        }
        None => Ok(settings),
    }
}

fn is_of_others(kind: QueueKind, argument: &str) -> bool {
    !arguments_of(kind).contains(&argument)
        && QueueKind::ALL.into_iter().any(|other| arguments_of(other).contains(&argument))
}

/// RabbitMQ fails with 541 on some values that are none; here all of them are told as it tells the others.
fn stream_offset(value: &FieldValue) -> Result<StreamOffset, Fault> {
    let found = match value {
        FieldValue::Timestamp(seconds) => Some(StreamOffset::TimestampSeconds(*seconds)),
        FieldValue::LongString(_) => match value.as_str() {
            Some("first") => Some(StreamOffset::First),
            Some("last") => Some(StreamOffset::Last),
            Some("next") => Some(StreamOffset::Next),
            Some(interval) => max_age_ms(interval).map(StreamOffset::AgoMs),
            None => None,
        },
        number => number
            .as_integer()
            .map(|offset| u64::try_from(offset).map_or(StreamOffset::First, StreamOffset::Offset)),
    };
    found.ok_or_else(|| Fault::StreamOffset(term(value).into()))
}

/// The value as RabbitMQ's term of type and value.
fn term(value: &FieldValue) -> String {
    let shown = match value {
        FieldValue::Bool(flag) => flag.to_string(),
        _ => value.as_str().map_or_else(|| "...".to_owned(), |text| Binary(text).to_string()),
    };
    format!("{{{},{shown}}}", value.type_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consume(kind: QueueKind, argument: &str, value: FieldValue) -> Result<ConsumeSettings, ArgumentError> {
        let arguments = [(argument.to_owned(), value)].into_iter().collect();
        check("/", "q", kind, &arguments)
    }

    fn offset(value: FieldValue) -> StreamOffset {
        consume(QueueKind::Stream, STREAM_OFFSET, value).unwrap().offset
    }

    #[test]
    fn a_priority_is_a_whole_number() {
        let high = consume(QueueKind::Quorum, PRIORITY, FieldValue::I8(-3)).unwrap();
        assert_eq!(high.priority, -3);
        let error = consume(QueueKind::Classic, PRIORITY, FieldValue::text("5")).unwrap_err();
        let text = "invalid arg 'x-priority' for queue 'q' in vhost '/': \"expected integer, got longstr\"";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn arguments_of_other_types_are_refused_and_unknown_ones_taken() {
        for (kind, argument) in [
            (QueueKind::Classic, STREAM_OFFSET),
            (QueueKind::Quorum, STREAM_OFFSET),
            (QueueKind::Stream, PRIORITY),
            (QueueKind::Quorum, CANCEL_ON_FAILOVER),
        ] {
            let error = consume(kind, argument, FieldValue::Bool(true)).unwrap_err();
            let text = format!(
                "invalid arg '{argument}' for queue 'q' in vhost '/' of queue type {}",
                kind.module()
            );
            assert_eq!(error.to_string(), text);
        }
        assert_eq!(consume(QueueKind::Stream, "x-own", FieldValue::Void), Ok(ConsumeSettings::default()));
    }

    #[test]
    fn a_stream_begins_where_it_is_told() {
        assert_eq!(offset(FieldValue::text("first")), StreamOffset::First);
        assert_eq!(offset(FieldValue::text("last")), StreamOffset::Last);
        assert_eq!(offset(FieldValue::text("next")), StreamOffset::Next);
        assert_eq!(offset(FieldValue::text("2h")), StreamOffset::AgoMs(7_200_000));
        assert_eq!(offset(FieldValue::I32(7)), StreamOffset::Offset(7));
        assert_eq!(offset(FieldValue::I64(-7)), StreamOffset::First);
        assert_eq!(offset(FieldValue::Timestamp(9)), StreamOffset::TimestampSeconds(9));
        assert_eq!(check("/", "q", QueueKind::Stream, &FieldTable::new()), Ok(ConsumeSettings::default()));
    }

    #[test]
    fn what_is_no_offset_is_shown_as_a_term() {
        for (value, term) in [
            (FieldValue::text("never"), "{longstr,<<\"never\">>}"),
            (FieldValue::text(""), "{longstr,<<>>}"),
            (FieldValue::Bool(true), "{bool,true}"),
            (FieldValue::Array(Vec::new()), "{array,...}"),
        ] {
            let error = consume(QueueKind::Stream, STREAM_OFFSET, value).unwrap_err().to_string();
            let text =
                "invalid arg 'x-stream-offset' for queue 'q' in vhost '/': {invalid_stream_offset_arg,";
            assert_eq!(error, format!("{text}{term}}}"));
        }
    }
}
