//! `weft explain`: what became of a request, told by the sidecars that it has crossed, in the order of time.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use crate::{
    client::{Client, encode},
    output::{self, Format},
    sidecars::{self, Admins},
};

/// What one sidecar answers.
#[derive(Debug, Deserialize)]
struct Told {
    requests: Vec<Value>,
}

/// Asks all sidecars, and tells what they know.
pub(super) async fn run(client: &Client, id: &str, format: Format) -> anyhow::Result<Answer> {
    let sidecars = sidecars::list(client).await?;
    let path = format!("/explain?id={}", encode(id, false));
    let mut found = Vec::new();
    for (sidecar, answer) in Admins::new().ask_all(&sidecars, &path).await {
        let told: Told = serde_json::from_slice(&answer)?;
        for mut request in told.requests {
            if let Some(fields) = request.as_object_mut() {
                fields.insert("sidecar".into(), sidecar.name().into());
            }
            found.push(request);
        }
    }
    // Times of one form are in the order of their letters.
    found.sort_by(|a, b| word(a, "began").cmp(word(b, "began")));
    if format == Format::Json {
        output::json(&json!({ "id": id, "requests": found }))?;
    } else if found.is_empty() {
        let asked = sidecars.len();
        output::note(format!(
            "none of {asked} sidecars knows {id}: each keeps its last 1,024 requests, and a while longer those \
             that failed (--explain-requests)"
        ));
    } else {
        let stories: Vec<_> = found.iter().map(story).collect();
        output::line(stories.join("\n"))?;
    }
    Ok((!found.is_empty()).into())
}

/// One request at one sidecar, for people.
fn story(request: &Value) -> String {
    let mut text = format!(
        "{} at {}: {} {} of {}\n",
        word(request, "direction"),
        word(request, "sidecar"),
        or(word(request, "method"), "connection"),
        word(request, "path"),
        or(word(request, "service"), "no service"),
    );
    row(&mut text, "began", word(request, "began"));
    row(&mut text, "trace", word(request, "trace_id"));
    row(&mut text, "route", word(request, "route"));
    row(&mut text, "backend", word(request, "backend"));
    row(&mut text, "choice", &choice(&request["endpoints"]));
    row(&mut text, "policy", &policy(&request["policy"]));
    row(&mut text, "limit", &limit(&request["limit"]));
    for tried in request["tries"].as_array().into_iter().flatten() {
        row(&mut text, "attempt", &attempt(tried));
    }
    if request["retry_budget_exhausted"] == true {
        row(&mut text, "budget", "exhausted: there would have been another attempt");
    }
    row(&mut text, "answer", &answer(request));
    text
}

fn choice(endpoints: &Value) -> String {
    if endpoints.is_null() {
        return String::new();
    }
    let number = |name: &str| endpoints[name].as_u64().unwrap_or_default();
    format!(
        "{} endpoints: {} open, {} ejected, {} critical (table {}, counted at {})",
        number("count"),
        number("open"),
        number("ejected"),
        number("critical"),
        number("table_version"),
        number("counted_at_version"),
    )
}

fn policy(policy: &Value) -> String {
    if policy.is_null() {
        return String::new();
    }
    let time = |name: &str| policy[name].as_u64().map_or("never".to_owned(), |millis| format!("{millis} ms"));
    let whose = if policy["is_deadline"] == true { "the caller's deadline" } else { "timeout" };
    let again = if policy["idempotent"] == true { "idempotent" } else { "not idempotent" };
    format!(
        "{whose} {}, per try {}, {} retries, {again}",
        time("timeout_ms"),
        time("per_try_timeout_ms"),
        policy["retries_max"],
    )
}

fn limit(limit: &Value) -> String {
    if limit.is_null() {
        return String::new();
    }
    format!("{} under way at once, met after {:.3} ms", limit["most"], millis(limit, "waited_ms"))
}

fn attempt(tried: &Value) -> String {
    let mut text = format!(
        "+{:.3} ms {}: {} after {:.3} ms",
        millis(tried, "after_ms"),
        word(tried, "endpoint"),
        result(tried),
        millis(tried, "duration_ms"),
    );
    match word(tried, "then") {
        "" => {}
        "hedged" => text.push_str("; slow, so another one raced with it"),
        reason => {
            let _infallible = write!(text, "; retried for {reason}");
        }
    }
    text
}

fn answer(request: &Value) -> String {
    let cancelled = if request["cancelled"] == true { ", given up by the caller" } else { "" };
    format!(
        "{} after {:.3} ms, {} bytes received, {} sent{cancelled}",
        result(request),
        millis(request, "duration_ms"),
        request["received_bytes"],
        request["sent_bytes"],
    )
}

/// A status, and the failure's name.
fn result(value: &Value) -> String {
    let status = value["status"].as_u64().unwrap_or_default();
    match (status, word(value, "weft-error")) {
        (0, "") => "no answer".to_owned(),
        (0, error) => error.to_owned(),
        (status, "") => status.to_string(),
        (status, error) => format!("{status} {error}"),
    }
}

fn row(text: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let _infallible = writeln!(text, "  {name:<8} {value}");
    }
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

fn millis(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retried_request_is_told_attempt_by_attempt() {
        let request = json!({
            "direction": "outbound", "sidecar": "box/caller", "method": "GET", "path": "/a",
            "service": "orders.default", "began": "2026-11-22T18:00:00.000000Z", "route": null,
            "status": 200, "duration_ms": 3.5, "received_bytes": 0, "sent_bytes": 12, "cancelled": false,
            "tries": [
                {"endpoint": "box/1", "after_ms": 0.0, "duration_ms": 1.0, "status": 0,
                 "weft-error": "connect-failed", "then": "connect-failure"},
                {"endpoint": "box/2", "after_ms": 1.25, "duration_ms": 2.25, "status": 200},
            ],
            "policy": {"timeout_ms": 30_000, "is_deadline": false, "per_try_timeout_ms": null,
                       "retries_max": 2, "idempotent": true},
            "limit": {"most": 8, "waited_ms": 0.125},
            "endpoints": {"table_version": 3, "counted_at_version": 3, "count": 2, "open": 1, "ejected": 1,
                          "critical": 0},
        });
        let expected = "\
outbound at box/caller: GET /a of orders.default
  began    2026-11-22T18:00:00.000000Z
  choice   2 endpoints: 1 open, 1 ejected, 0 critical (table 3, counted at 3)
  policy   timeout 30000 ms, per try never, 2 retries, idempotent
  limit    8 under way at once, met after 0.125 ms
  attempt  +0.000 ms box/1: connect-failed after 1.000 ms; retried for connect-failure
  attempt  +1.250 ms box/2: 200 after 2.250 ms
  answer   200 after 3.500 ms, 0 bytes received, 12 sent
";
        assert_eq!(story(&request), expected);
    }
}
