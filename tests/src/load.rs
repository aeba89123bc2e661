//! An open-loop load generator: requests start when the schedule says, whatever became of those before, and
//! latency counts from the scheduled time (so a stall cannot hide).

pub mod flood;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// Longer is a failure.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest latency that the histogram tells apart, in microseconds.
const LATENCY_US_MAX: u64 = 60_000_000;
/// Failures described in a report, at most.
const FAILURES_SHOWN_MAX: usize = 10;

/// What to send.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The sidecar's outbound listener.
    pub target: SocketAddr,
    /// The service, as Host.
    pub host: String,
    /// GET or POST.
    pub method: Method,
    /// Requests a second.
    pub rate: u32,
    /// For so long.
    pub duration: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// Requests sent.
    pub sent: u64,
    /// Those without a 2xx.
    pub failed: u64,
    /// The first failures, described.
    pub failures: Vec<String>,
    /// Microseconds from the scheduled time.
    pub latency: Histogram<u64>,
    /// Answers by instance, as its header says.
    pub by_instance: BTreeMap<String, u64>,
    /// Keys of the requests that were answered 2xx.
    pub answered: Vec<String>,
}

impl Report {
    /// A quantile of the latency.
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.latency.value_at_quantile(quantile))
    }

    /// The longest latency.
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.latency.max())
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let (p50, p99, p999) = (self.quantile(0.5), self.quantile(0.99), self.quantile(0.999));
        format!(
            "sent {} failed {} p50 {p50:?} p99 {p99:?} p99.9 {p999:?} max {:?} by instance {:?}{}",
            self.sent,
            self.failed,
            self.max(),
            self.by_instance,
            self.failures.iter().map(|failure| format!("\n  {failure}")).collect::<String>(),
        )
    }
}

/// A load under way; ends by itself after the plan's duration, or when told.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<anyhow::Result<Report>>,
}

impl Load {
    /// Starts it on a thread and a runtime of its own, so that a test's own work does not disturb it.
    pub fn start(plan: Plan) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(&plan, &stopped))
        });
        Self { stop, thread }
    }

    /// Sends no more, and waits for the answers.
    ///
    /// # Errors
    /// When the generator itself failed.
    pub async fn stop(self) -> anyhow::Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        self.report().await
    }

    /// Waits for the plan's end.
    ///
    /// # Errors
    /// When the generator itself failed.
    pub async fn report(self) -> anyhow::Result<Report> {
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await?;
        joined.ok().context("the load generator panicked")?
    }
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

struct Outcome {
    key: String,
    at: Duration,
    latency: Duration,
    answer: anyhow::Result<String>,
}

async fn run(plan: &Plan, stop: &AtomicBool) -> anyhow::Result<Report> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: HttpClient =
        Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build(connector);
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let mut requests = tokio::task::JoinSet::new();
    let start = Instant::now();
    let interval = Duration::from_secs(1) / plan.rate;
    let mut number: u32 = 0;
    while interval * number < plan.duration && !stop.load(Ordering::Relaxed) {
        let scheduled = start + interval * number;
        tokio::time::sleep_until(scheduled.into()).await;
        let (client, plan, outcomes) = (client.clone(), plan.clone(), Arc::clone(&outcomes));
        let key = format!("{}-{number}", plan.target.port());
        requests.spawn(async move {
            let answer = tokio::time::timeout(REQUEST_TIMEOUT, one(&client, &plan, &key)).await;
            let answer =
                answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {REQUEST_TIMEOUT:?}")));
            let outcome = Outcome { key, at: scheduled - start, latency: scheduled.elapsed(), answer };
            outcomes.lock().expect("no holder panics").push(outcome);
        });
        while requests.try_join_next().is_some() {}
        number += 1;
    }
    while requests.join_next().await.is_some() {}
    let outcomes = std::mem::take(&mut *outcomes.lock().expect("no holder panics"));
    summarise(outcomes)
}

/// The answering instance's name, or why there is no good answer.
async fn one(client: &HttpClient, plan: &Plan, key: &str) -> anyhow::Result<String> {
    let request = Request::builder()
        .method(plan.method.clone())
        .uri(format!("http://{}/work", plan.target))
        .header("host", &plan.host)
        .header("x-key", key)
        .body(if plan.method == Method::POST { Full::from("payload") } else { Full::default() })?;
    let response = client.request(request).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    anyhow::ensure!(
        head.status.is_success(),
        "{} {:?} {}",
        head.status,
        head.headers,
        String::from_utf8_lossy(&body)
    );
    let instance = head.headers.get("x-instance").and_then(|value| value.to_str().ok()).unwrap_or("?");
    Ok(instance.to_owned())
}

fn summarise(outcomes: Vec<Outcome>) -> anyhow::Result<Report> {
    let mut report = Report {
        sent: outcomes.len() as u64,
        failed: 0,
        failures: Vec::new(),
        latency: Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?,
        by_instance: BTreeMap::new(),
        answered: Vec::new(),
    };
    for outcome in outcomes {
        let micros = u64::try_from(outcome.latency.as_micros()).unwrap_or(LATENCY_US_MAX);
        report.latency.saturating_record(micros);
        match outcome.answer {
            Ok(instance) => {
                *report.by_instance.entry(instance).or_default() += 1;
                report.answered.push(outcome.key);
            }
            Err(reason) => {
                report.failed += 1;
                if report.failures.len() < FAILURES_SHOWN_MAX {
                    let (at, latency) = (outcome.at, outcome.latency);
                    report.failures.push(format!("{} at {at:?} after {latency:?}: {reason:#}", outcome.key));
                }
            }
        }
    }
    Ok(report)
}
