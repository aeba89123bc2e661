//! `weft top`: who is called how often, how well and how fast, from two looks at the metrics of all sidecars.

use std::{collections::BTreeMap, io::IsTerminal, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use super::Answer;
use crate::{
    args::{Rows, TopOptions},
    client::Client,
    output::{self, Format},
    samples::{self, Buckets, Sample},
    sidecars::{self, Admins},
};

/// Clears a terminal and goes to its upper left corner.
const CLEAR: &str = "\x1b[2J\x1b[H";
const HEADINGS: [&str; 7] = ["name", "requests/s", "success", "p50", "p95", "p99", "failed/s"];

/// What is counted of one row.
#[derive(Debug, Clone, Default, PartialEq)]
struct Count {
    requests: f64,
    failed: f64,
    buckets: Buckets,
}

type Counts = BTreeMap<String, Count>;

/// Prints a table, again and again or once.
pub(super) async fn run(client: &Client, options: &TopOptions) -> anyhow::Result<Answer> {
    let admins = Admins::new();
    let is_screen = !options.once && options.output.format != Format::Json && std::io::stdout().is_terminal();
    let (mut before, mut then) = (look(client, &admins, options).await?, Instant::now());
    loop {
        tokio::time::sleep(options.interval).await;
        let (counts, now) = (look(client, &admins, options).await?, Instant::now());
        let table = since(&before, &counts);
        if is_screen {
            output::bytes(CLEAR.as_bytes())?;
        }
        print(&table, now - then, options.output.format)?;
        if options.once {
            return Ok((!table.is_empty()).into());
        }
        (before, then) = (counts, now);
    }
}

async fn look(client: &Client, admins: &Admins, options: &TopOptions) -> anyhow::Result<Counts> {
    let sidecars = sidecars::list(client).await?;
    let mut counts = Counts::new();
    for (_, answer) in admins.ask_all(&sidecars, "/metrics").await {
        for sample in samples::samples(&String::from_utf8_lossy(&answer)) {
            count(&mut counts, &sample, options);
        }
    }
    Ok(counts)
}

fn count(counts: &mut Counts, sample: &Sample<'_>, options: &TopOptions) {
    let service = sample.label("service");
    let is_meant = options.service.as_deref().is_none_or(|wanted| {
        service == wanted || service.strip_suffix(".default").is_some_and(|name| name == wanted)
    });
    let direction = sample.label("direction");
    let is_seen = direction.is_empty() || options.direction.label().is_none_or(|label| label == direction);
    if !is_meant || !is_seen || service.is_empty() {
        return;
    }
    let (of, requests, buckets) = match options.by {
        Rows::Service => ("", "weft_requests_total", "weft_request_duration_seconds_bucket"),
        Rows::Route => ("route", "weft_route_requests_total", "weft_route_duration_seconds_bucket"),
        Rows::Endpoint => {
            ("endpoint", "weft_endpoint_requests_total", "weft_endpoint_duration_seconds_bucket")
        }
    };
    let name = format!("{service} {}", sample.label(of));
    let name = name.trim_end();
    if sample.name == requests {
        let has_failed = !sample.label("error").is_empty() || sample.label("code_class") == "5xx";
        let count = at(counts, name);
        count.requests += sample.value;
        count.failed += if has_failed { sample.value } else { 0.0 };
    } else if sample.name == buckets {
        at(counts, name).buckets.add(sample.label("le"), sample.value);
    } else if options.by == Rows::Endpoint && sample.name == "weft_endpoint_failures_total" {
        at(counts, name).failed += sample.value;
    }
}

fn at<'a>(counts: &'a mut Counts, name: &str) -> &'a mut Count {
    counts.entry(name.to_owned()).or_default()
}

/// Rows of which something has come. A sidecar that was started anew counts from zero: that is no loss of calls.
fn since(before: &Counts, now: &Counts) -> Counts {
    let rows = now.iter().map(|(name, count)| {
        let earlier = before.get(name).cloned().unwrap_or_default();
        let count = Count {
            requests: (count.requests - earlier.requests).max(0.0),
            failed: (count.failed - earlier.failed).max(0.0),
            buckets: count.buckets.since(&earlier.buckets),
        };
        (name.clone(), count)
    });
    rows.filter(|(_, count)| count.requests > 0.0).collect()
}

fn print(table: &Counts, time: Duration, format: Format) -> anyhow::Result<()> {
    let seconds = time.as_secs_f64().max(f64::EPSILON);
    if format == Format::Json {
        let rows: Vec<_> = table
            .iter()
            .map(|(name, count)| {
                let millis = |share| count.buckets.quantile(share).map(|time| time * 1e3);
                json!({
                    "name": name,
                    "requests_per_second": count.requests / seconds,
                    "failed_per_second": count.failed / seconds,
                    "success": count.success(),
                    "p50_ms": millis(0.5),
                    "p95_ms": millis(0.95),
                    "p99_ms": millis(0.99),
                })
            })
            .collect();
        return output::line(json!({ "rows": rows }).to_string());
    }
    if table.is_empty() {
        return output::line("no requests");
    }
    let rows: Vec<_> = table.iter().map(|(name, count)| count.row(name, seconds)).collect();
    output::table(&HEADINGS, &rows)
}

impl Count {
    /// The share that did not fail.
    fn success(&self) -> f64 {
        1.0 - (self.failed / self.requests.max(1.0)).min(1.0)
    }

    fn row(&self, name: &str, seconds: f64) -> Vec<String> {
        let time = |share| {
            self.buckets.quantile(share).map_or(String::new(), |time| format!("{:.1} ms", time * 1e3))
        };
        vec![
            name.to_owned(),
            format!("{:.1}", self.requests / seconds),
            format!("{:.2} %", self.success() * 100.0),
            time(0.5),
            time(0.95),
            time(0.99),
            format!("{:.1}", self.failed / seconds),
        ]
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: TopOptions,
    }

    fn counts(text: &str, arguments: &[&str]) -> Counts {
        let options = Line::parse_from(["x"].iter().chain(arguments)).options;
        let mut counts = Counts::new();
        samples::samples(text).for_each(|sample| count(&mut counts, &sample, &options));
        counts
    }

    const TEXT: &str = "\
weft_requests_total{direction=\"outbound\",service=\"orders.default\",code_class=\"2xx\",error=\"\"} 8
weft_requests_total{direction=\"outbound\",service=\"orders.default\",code_class=\"5xx\",error=\"\"} 2
weft_requests_total{direction=\"inbound\",service=\"orders.default\",code_class=\"2xx\",error=\"\"} 5
weft_request_duration_seconds_bucket{direction=\"outbound\",service=\"orders.default\",le=\"0.1\"} 10
weft_endpoint_requests_total{service=\"orders.default\",endpoint=\"box/1\"} 4
weft_endpoint_failures_total{service=\"orders.default\",endpoint=\"box/1\"} 1
";

    #[test]
    fn a_service_is_counted_by_its_callers_and_an_endpoint_by_its_label() {
        let found = counts(TEXT, &["orders"]);
        let orders = &found["orders.default"];
        assert_eq!((orders.requests, orders.failed, orders.success()), (10.0, 2.0, 0.8));
        assert_eq!(orders.row("o", 2.0), ["o", "5.0", "80.00 %", "50.0 ms", "95.0 ms", "99.0 ms", "1.0"]);
        assert_eq!(counts(TEXT, &["--direction", "inbound"])["orders.default"].requests, 5.0);
        let endpoint = &counts(TEXT, &["--by", "endpoint"])["orders.default box/1"];
        assert_eq!((endpoint.requests, endpoint.failed), (4.0, 1.0));
        assert!(counts(TEXT, &["users"]).is_empty());
    }

    #[test]
    fn only_what_is_new_is_shown() {
        let found = counts(TEXT, &[]);
        assert!(since(&found, &found).is_empty());
        assert_eq!(since(&Counts::new(), &found), found);
    }
}
