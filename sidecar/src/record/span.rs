//! The span of a record, as OTLP has it: a server span where the call came in to the application, a client span where
//! it went out, with its attempts as events. Names of attributes are those of OpenTelemetry's conventions for HTTP
//! where these have one, and `weft.*` for the rest.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use weft_proto::otlp::{
    self as proto,
    any_value::Value,
    span::{Event, SpanKind},
    status::StatusCode,
};

use super::AccessRecord;
use crate::{config::SidecarConfig, metrics::Direction, trace::Span};

/// W3C's bit for a trace that is recorded, OTLP's for a parent that is known to be remote or not.
const FLAGS: u32 = 0x01 | 0x100;
/// OTLP's bit for a parent in another process: always, for ours.
const REMOTE: u32 = 0x200;

/// As it is sent.
pub(crate) type Wire = proto::Span;

/// Who makes the spans of a sidecar.
pub(crate) fn resource(config: &SidecarConfig) -> proto::Resource {
    let (service, id) = match (&config.instance, &config.name) {
        (Some(instance), _) => (instance.service.name.to_string(), instance.id.to_string()),
        (None, Some(name)) => (name.to_string(), name.to_string()),
        (None, None) => ("weft-sidecar".to_owned(), format!("weft-sidecar-{}", std::process::id())),
    };
    let namespace = match &config.instance {
        Some(instance) => instance.service.namespace.to_string(),
        None => config.namespace.to_string(),
    };
    let attributes = [
        ("service.name", service),
        ("service.namespace", namespace),
        ("service.instance.id", id),
        ("host.name", config.node.to_string()),
    ];
    proto::Resource { attributes: attributes.map(|(key, text)| word(key, text)).into() }
}

/// `ended` is when the call did.
pub(super) fn proto(record: &AccessRecord, span: &Span, ended: SystemTime) -> proto::Span {
    let end = nanos(ended);
    let start = end.saturating_sub(record.nanos);
    let is_server = record.direction == Direction::Inbound;
    let kind = if is_server { SpanKind::Server } else { SpanKind::Client };
    let has_failed = record.has_failed() || (!is_server && record.status >= 400);
    let status = has_failed.then(|| proto::Status {
        message: record.error.map(|code| code.as_str().to_owned()).unwrap_or_default(),
        code: StatusCode::Error.into(),
    });
    proto::Span {
        trace_id: Bytes::copy_from_slice(&span.trace.to_be_bytes()),
        span_id: Bytes::copy_from_slice(&span.id.to_be_bytes()),
        trace_state: span.state.as_ref().map(|state| text(state.as_bytes())).unwrap_or_default(),
        parent_span_id: span.parent.map(|id| Bytes::copy_from_slice(&id.to_be_bytes())).unwrap_or_default(),
        name: name(record),
        kind: kind.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes: attributes(record),
        events: events(record, start),
        status,
        flags: if span.parent.is_some() { FLAGS | REMOTE } else { FLAGS },
    }
}

/// Few enough to be grouped by: the method, and the rule or else the service.
fn name(record: &AccessRecord) -> String {
    let what = record.route.as_deref().unwrap_or(&record.service);
    match &record.line {
        Some(line) => format!("{} {what}", line.method),
        None => what.to_owned(),
    }
}

fn attributes(record: &AccessRecord) -> Vec<proto::KeyValue> {
    let mut all = vec![
        word("weft.service", &*record.service),
        number("weft.attempts", record.attempts.into()),
        number("http.request.body.size", record.received_bytes),
        number("http.response.body.size", record.sent_bytes),
    ];
    if let Some(line) = &record.line {
        all.push(word("http.request.method", line.method.as_str()));
        all.push(word("url.path", text(&line.path)));
    }
    if record.status > 0 {
        all.push(number("http.response.status_code", record.status.into()));
    }
    let texts = [
        ("weft.route", record.route.as_deref()),
        ("weft.backend", record.story.backend.as_deref()),
        ("weft.endpoint", record.endpoint.as_deref()),
        ("error.type", record.error.map(|code| code.as_str())),
    ];
    all.extend(texts.into_iter().filter_map(|(key, text)| Some(word(key, text?))));
    if let Some(id) = record.request_id() {
        all.push(word("weft.request_id", text(id)));
    }
    if record.error.is_none() && record.status >= 500 {
        all.push(word("error.type", record.status.to_string()));
    }
    if record.cancelled {
        all.push(attribute("weft.cancelled", Value::BoolValue(true)));
    }
    all
}

/// One for each attempt that was not the last: the span itself tells of that one.
fn events(record: &AccessRecord, start: u64) -> Vec<Event> {
    let began = record.ended.saturating_sub(record.nanos);
    let event = |tried: &super::Try| {
        let mut attributes = vec![word("weft.then", tried.why.as_str())];
        let texts = [
            ("weft.endpoint", tried.endpoint.as_deref()),
            ("error.type", tried.error.map(|code| code.as_str())),
        ];
        attributes.extend(texts.into_iter().filter_map(|(key, text)| Some(word(key, text?))));
        if tried.status > 0 {
            attributes.push(number("http.response.status_code", tried.status.into()));
        }
        let after = tried.ended.saturating_sub(began);
        Event { time_unix_nano: start.saturating_add(after), name: "weft.attempt".into(), attributes }
    };
    record.story.tries.iter().map(event).collect()
}

fn word(key: &str, text: impl Into<String>) -> proto::KeyValue {
    attribute(key, Value::StringValue(text.into()))
}

fn number(key: &str, value: u64) -> proto::KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: Value) -> proto::KeyValue {
    proto::KeyValue { key: key.into(), value: Some(proto::AnyValue { value: Some(value) }) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn nanos(time: SystemTime) -> u64 {
    let since: Duration = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use weft_model::{error_code::ErrorCode, retry::Reason};

    use super::*;
    use crate::record::{Try, Why, format::tests::record};

    fn said<'a>(attributes: &'a [proto::KeyValue], key: &str) -> Option<&'a Value> {
        let found = attributes.iter().find(|attribute| attribute.key == key)?;
        found.value.as_ref()?.value.as_ref()
    }

    #[test]
    fn a_failed_call_is_told_with_its_attempts() {
        let mut record = record();
        (record.ended, record.nanos, record.status) = (9_000, 5_000, 503);
        record.error = Some(ErrorCode::UpstreamReset);
        record.story.tries.push(Try {
            endpoint: Some("node/0".into()),
            began: 4_000,
            ended: 6_000,
            status: 0,
            error: Some(ErrorCode::ConnectFailed),
            why: Why::Retried(Reason::ConnectFailure),
        });
        let span = Span { trace: 0xab, id: 2, parent: Some(3), state: None };
        let told = proto(&record, &span, UNIX_EPOCH + Duration::from_nanos(100_000));
        assert_eq!((told.start_time_unix_nano, told.end_time_unix_nano), (95_000, 100_000));
        assert_eq!((told.trace_id.len(), told.trace_id[15], told.span_id[7]), (16, 0xab, 2));
        assert_eq!((&told.parent_span_id[..], told.kind), (&[0, 0, 0, 0, 0, 0, 0, 3][..], 3));
        assert_eq!(told.name, "GET orders.default");
        assert_eq!(told.status.unwrap().message, "upstream-reset");
        let error = |attributes| said(attributes, "error.type").cloned();
        assert_eq!(error(&told.attributes), Some(Value::StringValue("upstream-reset".into())));
        assert_eq!(said(&told.attributes, "http.response.status_code"), Some(&Value::IntValue(503)));
        let [event] = &told.events[..] else { unreachable!("one attempt, one event") };
        assert_eq!(event.time_unix_nano, 97_000);
        assert_eq!(error(&event.attributes), Some(Value::StringValue("connect-failed".into())));
    }

    #[test]
    fn a_callers_404_is_an_error_of_the_client_and_not_of_the_server() {
        let span = Span { trace: 1, id: 2, parent: None, state: None };
        let mut record = AccessRecord { status: 404, ..record() };
        assert!(proto(&record, &span, UNIX_EPOCH).status.is_some());
        record.direction = Direction::Inbound;
        let told = proto(&record, &span, UNIX_EPOCH);
        assert!(told.status.is_none() && told.parent_span_id.is_empty());
    }
}
