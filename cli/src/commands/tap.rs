//! `weft tap`: requests as they end, from all sidecars at once, also from those that attach meanwhile.
//!
//! ```text
//!  /v1/weft/sidecars ──each 2 s──▶ one stream a sidecar ─┐
//!                                  one stream a sidecar ─┴─▶ lines ─▶ output
//! ```

use std::{collections::HashSet, time::Duration};

use anyhow::Context;
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::{sync::mpsc, time::MissedTickBehavior};

use super::Answer;
use crate::{
    args::TapOptions,
    client::{Client, encode},
    output::{self, Format},
    sidecars::{self, Admins, Sidecar},
};

/// How often the control plane is asked for sidecars.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Lines that wait to be printed.
const LINES_MAX: usize = 1_024;
/// The longest line of a sidecar, in bytes: a path and two ids, escaped.
const LINE_LENGTH_MAX: usize = 1_024 * 1_024;

/// What streams tell.
enum Event {
    Line(Sidecar, Bytes),
    Ended(Sidecar, Option<anyhow::Error>),
}

/// Prints requests until there are enough, or Ctrl-C.
pub(super) async fn run(client: &Client, options: &TapOptions) -> anyhow::Result<Answer> {
    let path = format!("/tap?{}", query(options));
    let admins = Admins::new();
    let (events, mut told) = mpsc::channel(LINES_MAX);
    let mut listening = HashSet::new();
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut left, mut is_told) = (options.limit, true);
    while left != Some(0) {
        tokio::select! {
            // Sidecars first: lines may come without end.
            biased;
            _ = looks.tick() => {
                for sidecar in look(client, &mut listening).await? {
                    let body = admins.stream(&sidecar, &path).await;
                    tokio::spawn(listen(sidecar, body, events.clone()));
                    is_told = false;
                }
                if !std::mem::replace(&mut is_told, true) {
                    output::note(format!("listening at {} sidecars", listening.len()));
                }
            }
            Some(event) = told.recv() => match event {
                Event::Line(sidecar, line) => {
                    if print(&sidecar, &line, options.output.format)? {
                        left = left.map(|left| left - 1);
                    }
                }
                Event::Ended(sidecar, error) => {
                    if let Some(error) = error {
                        sidecars::tell_silent(&sidecar, &error);
                    }
                    listening.remove(&sidecar);
                }
            },
        }
    }
    Ok(Answer::Yes)
}

/// The sidecars that nobody listens at yet; from then on somebody does.
async fn look(client: &Client, listening: &mut HashSet<Sidecar>) -> anyhow::Result<Vec<Sidecar>> {
    let mut found = match sidecars::list(client).await {
        // The control plane may be away for a while; what was found streams on.
        Err(error) if !listening.is_empty() => {
            tracing::debug!(%error, "cannot look for sidecars");
            return Ok(Vec::new());
        }
        found => found?,
    };
    found.retain(|sidecar| listening.insert(sidecar.clone()));
    Ok(found)
}

fn query(options: &TapOptions) -> String {
    let service = match options.service.contains('.') {
        true => options.service.clone(),
        false => format!("{}.default", options.service),
    };
    let mut query = format!("service={}", encode(&service, false));
    let direction = options.direction.label().map(str::to_owned);
    for (name, value) in [
        ("method", &options.method),
        ("path", &options.path),
        ("status", &options.status),
        ("route", &options.route),
        ("to", &options.to),
        ("direction", &direction),
    ] {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", encode(value, false)));
        }
    }
    if options.errors {
        query.push_str("&errors");
    }
    query
}

/// Passes the lines of one stream on, until it or we end.
async fn listen(sidecar: Sidecar, body: anyhow::Result<Incoming>, events: mpsc::Sender<Event>) {
    let ended = match body {
        Ok(body) => lines(&sidecar, body, &events).await,
        Err(error) => Err(error),
    };
    // Nobody waits for it any more when the command has ended.
    let _gone = events.send(Event::Ended(sidecar, ended.err())).await;
}

async fn lines(sidecar: &Sidecar, mut body: Incoming, events: &mpsc::Sender<Event>) -> anyhow::Result<()> {
    let mut buffer = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // A sidecar that stops, or a stream that has had its time, is asked again when it is found again.
        let Ok(frame) = frame else { return Ok(()) };
        let Ok(data) = frame.into_data() else { continue };
        buffer.extend_from_slice(&data);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line = buffer.split_to(end).freeze();
            buffer.advance(1);
            events.send(Event::Line(sidecar.clone(), line)).await?;
        }
        anyhow::ensure!(buffer.len() <= LINE_LENGTH_MAX, "a line without an end");
    }
    Ok(())
}

/// `true` = it was a request.
fn print(sidecar: &Sidecar, line: &[u8], format: Format) -> anyhow::Result<bool> {
    let mut record: Value =
        serde_json::from_slice(line).context("a sidecar has sent a line that is no JSON")?;
    if let Some(count) = record.get("dropped").and_then(Value::as_u64) {
        output::note(format!("{} was faster than this: {count} requests are not shown", sidecar.name()));
        return Ok(false);
    }
    if format == Format::Json {
        if let Some(fields) = record.as_object_mut() {
            fields.insert("sidecar".into(), sidecar.name().into());
        }
        output::line(record.to_string())?;
    } else {
        output::line(words(&sidecar.name(), &record, format == Format::Wide))?;
    }
    Ok(true)
}

fn words(sidecar: &str, record: &Value, is_wide: bool) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    let mut words = vec![text("time").to_owned(), sidecar.to_owned(), text("direction").to_owned()];
    match text("method") {
        "" => words.push("connection".into()),
        method => words.extend([method.to_owned(), text("path").to_owned()]),
    }
    words.push(record["status"].to_string());
    words.push(format!("{:.3}ms", record["duration_ms"].as_f64().unwrap_or_default()));
    for (name, value) in [("to", text("endpoint")), ("route", text("route")), ("error", text("weft-error"))] {
        if !value.is_empty() {
            words.push(format!("{name}={value}"));
        }
    }
    if record["attempts"].as_u64().is_some_and(|attempts| attempts > 1) {
        words.push(format!("attempts={}", record["attempts"]));
    }
    if is_wide {
        words.push(format!("received={} sent={}", record["received_bytes"], record["sent_bytes"]));
    }
    if !text("request_id").is_empty() {
        words.push(format!("id={}", text("request_id")));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_one_line() {
        let record = json!({
            "time": "2026-11-22T18:00:00.000000Z", "direction": "outbound", "method": "GET", "path": "/a",
            "status": 503, "duration_ms": 1.5, "endpoint": "box/1", "weft-error": "overloaded",
            "attempts": 2, "request_id": "x",
        });
        assert_eq!(
            words("box/caller", &record, false),
            "2026-11-22T18:00:00.000000Z box/caller outbound GET /a 503 1.500ms to=box/1 error=overloaded \
             attempts=2 id=x"
        );
    }
}
