//! A steady load through the edge: requests start when the schedule says, whatever became of those before, and
//! latency counts from then. Half of them submit jobs, half look at an account.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::tally::Tally;

/// Who is called.
const SERVICE: &str = "api-server";
/// Longer is a failure.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Requests under way; one more is a failure of its own.
const IN_FLIGHT_MAX: u32 = 2_000;
/// The largest answer that is read, in bytes.
const ANSWER_SIZE_MAX: usize = 64 * 1024;
/// Failures quote so much of an answer, in characters.
const QUOTE_CHARS_MAX: usize = 160;

type Http = Client<HttpConnector, Full<Bytes>>;

/// A load under way.
#[derive(Debug)]
pub(super) struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
    schedule: JoinHandle<()>,
}

impl Load {
    /// Calls by way of `outbound`, so many times a second.
    pub(super) fn start(outbound: &str, rate: u32) -> anyhow::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http: Http =
            Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build(connector);
        let tally = Arc::new(Mutex::new(Tally::new()?));
        let stop = CancellationToken::new();
        let schedule = Schedule {
            http,
            outbound: outbound.into(),
            run: format!("demo-{}", std::process::id()),
            interval: Duration::from_secs(1) / rate,
            tally: Arc::clone(&tally),
            places: Arc::new(Semaphore::new(usize::try_from(IN_FLIGHT_MAX)?)),
        };
        let schedule = tokio::spawn(schedule.run(stop.clone()));
        Ok(Self { tally, stop, schedule })
    }

    /// As of now.
    pub(super) fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Sends no more, waits for what is under way, and gives the whole count.
    pub(super) async fn finish(self) -> Tally {
        self.stop.cancel();
        let _panicked = self.schedule.await;
        lock(&self.tally).clone()
    }
}

struct Schedule {
    http: Http,
    outbound: String,
    run: String,
    interval: Duration,
    tally: Arc<Mutex<Tally>>,
    places: Arc<Semaphore>,
}

impl Schedule {
    async fn run(self, stop: CancellationToken) {
        let begun = Instant::now();
        for number in 0u32.. {
            let scheduled = begun + self.interval * number;
            tokio::select! {
                // Nothing is sent once the load is over.
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(scheduled.into()) => {}
            }
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                lock(&self.tally).count(Duration::ZERO, Err("too many requests under way".into()));
                continue;
            };
            let (http, tally) = (self.http.clone(), Arc::clone(&self.tally));
            let request = self.request(number);
            tokio::spawn(async move {
                let answer = match request {
                    Ok(request) => tokio::time::timeout(REQUEST_TIMEOUT, one(&http, request))
                        .await
                        .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {REQUEST_TIMEOUT:?}"))),
                    Err(error) => Err(error),
                };
                lock(&tally).count(scheduled.elapsed(), answer.map_err(|error| format!("{error:#}")));
                drop(place);
            });
        }
        // All places back: nothing is under way any more.
        let _never_closed = self.places.acquire_many(IN_FLIGHT_MAX).await;
    }

    fn request(&self, number: u32) -> anyhow::Result<Request<Full<Bytes>>> {
        let account = if number.is_multiple_of(3) { "astronomy" } else { "biology" };
        let request = if number.is_multiple_of(2) {
            let body = format!(r#"{{"account": "{account}", "jobtype": "fold"}}"#);
            Request::post(format!("{}/jobs", self.outbound))
                .header(header::CONTENT_TYPE, "application/json")
                .header("idempotency-key", format!("{}-{number}", self.run))
                .body(Full::from(body))
        } else {
            Request::get(format!("{}/accounts/{account}", self.outbound)).body(Full::default())
        };
        let mut request = request.context("the request cannot be written")?;
        request.headers_mut().insert(header::HOST, header::HeaderValue::from_static(SERVICE));
        Ok(request)
    }
}

/// The account manager that answered.
async fn one(http: &Http, request: Request<Full<Bytes>>) -> anyhow::Result<String> {
    let what = format!("{} {}", request.method(), request.uri().path());
    let (head, body) = http.request(request).await.with_context(|| what.clone())?.into_parts();
    let body = Limited::new(body, ANSWER_SIZE_MAX).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("{what}: {error}"))?.to_bytes();
    if !head.status.is_success() {
        let text: String = String::from_utf8_lossy(&body).chars().take(QUOTE_CHARS_MAX).collect();
        let code = head.headers.get("weft-error").and_then(|code| code.to_str().ok()).unwrap_or("-");
        anyhow::bail!("{what}: {} (weft-error {code}) {}", head.status, text.trim());
    }
    let answer: serde_json::Value = serde_json::from_slice(&body).with_context(|| what.clone())?;
    let replica = answer.get("account_manager").and_then(|replica| replica.as_str());
    Ok(replica.with_context(|| format!("{what}: the answer names no account manager"))?.to_owned())
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
