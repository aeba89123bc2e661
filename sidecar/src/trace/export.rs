//! Spans to a collector, by OTLP over gRPC: in batches, from a bounded queue, on the control runtime. A collector that
//! is away costs spans and nothing else: what finds the queue full is dropped and counted by who fills it, and what is
//! not taken after some tries is dropped and counted here.
//!
//! ```text
//!  weft-access-log ──try──▶ queue ─▶ batch ──full, or SEND_AFTER old──▶ collector
//!                   └─ full: dropped     ▲ not now: again, TRIES_MAX times │
//!                                        └─────────────────────────────────┘
//! ```

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout, timeout_at},
};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint as Target},
};
use weft_model::backoff::Backoff;
use weft_proto::otlp::{self as proto, trace_service_client::TraceServiceClient};
use weft_runtime::drain::Watch;

/// Spans that wait for the collector, at most: some 8 MiB.
pub(crate) const SPANS_MAX: usize = 8_192;
/// Spans sent at once.
const BATCH_LENGTH: usize = 512;
/// How long a span waits for its batch to fill.
const SEND_AFTER: Duration = Duration::from_secs(1);
/// For a connection to the collector.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For the collector's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// For the last of it, when the sidecar stops.
const LAST_TIMEOUT: Duration = Duration::from_secs(1);
/// Tries of one batch; the queue fills meanwhile.
const TRIES_MAX: u32 = 4;
/// Between them.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), max: Duration::from_secs(5) };

/// What became of spans.
#[derive(Debug, Default)]
pub struct SpanMetrics {
    /// Taken by the collector.
    pub exported: AtomicU64,
    /// Found the queue full.
    pub overflowed: AtomicU64,
    /// Not taken by the collector.
    pub refused: AtomicU64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Exporter {
    client: TraceServiceClient<Channel>,
    /// Who made the spans.
    resource: proto::Resource,
    spans: mpsc::Receiver<proto::Span>,
    metrics: Arc<SpanMetrics>,
    rng: fastrand::Rng,
    /// The last batch was not taken.
    is_broken: bool,
}

impl Exporter {
    /// # Errors
    /// When `endpoint` is no address.
    pub(crate) fn new(
        endpoint: &str,
        resource: proto::Resource,
        spans: mpsc::Receiver<proto::Span>,
        metrics: Arc<SpanMetrics>,
    ) -> Result<Self, tonic::transport::Error> {
        let channel = Target::from_shared(endpoint.to_owned())?.connect_timeout(CONNECT_TIMEOUT);
        let client = TraceServiceClient::new(channel.connect_lazy());
        Ok(Self { client, resource, spans, metrics, rng: fastrand::Rng::new(), is_broken: false })
    }

    /// Exports until nobody makes spans any more, and what is left then.
    pub(crate) async fn run(mut self, drain: Watch) {
        loop {
            let batch = self.collect().await;
            if batch.is_empty() {
                return;
            }
            self.export(batch, &drain).await;
        }
    }

    /// The next batch; empty = there will be no other.
    async fn collect(&mut self) -> Vec<proto::Span> {
        let mut batch = Vec::new();
        self.spans.recv_many(&mut batch, BATCH_LENGTH).await;
        let until = Instant::now() + SEND_AFTER;
        while !batch.is_empty() && batch.len() < BATCH_LENGTH {
            let room = BATCH_LENGTH - batch.len();
            match timeout_at(until, self.spans.recv_many(&mut batch, room)).await {
                Ok(1..) => {}
                // The time is over, or the queue is closed.
                Ok(0) | Err(_) => break,
            }
        }
        batch
    }

    async fn export(&mut self, batch: Vec<proto::Span>, drain: &Watch) {
        let count = batch.len() as u64;
        let scope = proto::InstrumentationScope {
            name: "weft-sidecar".into(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let spans = proto::ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![proto::ScopeSpans { scope: Some(scope), spans: batch }],
        };
        let request = proto::ExportTraceServiceRequest { resource_spans: vec![spans] };
        let refused = match self.try_all(request, drain).await {
            Ok(refused) => refused.min(count),
            Err(status) => {
                // Said once: a collector that is away for a night must not fill the log.
                if !self.is_broken {
                    tracing::warn!(code = ?status.code(), reason = status.message(), "spans are not taken");
                }
                count
            }
        };
        self.is_broken = refused == count;
        self.metrics.refused.fetch_add(refused, Relaxed);
        self.metrics.exported.fetch_add(count - refused, Relaxed);
    }

    /// How many the collector did not want.
    async fn try_all(
        &mut self,
        request: proto::ExportTraceServiceRequest,
        drain: &Watch,
    ) -> Result<u64, Status> {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = in_time(self.client.export(request.clone()), drain).await;
            let status = match answer {
                Ok(answer) => {
                    let partial = answer.into_inner().partial_success.unwrap_or_default();
                    return Ok(u64::try_from(partial.rejected_spans).unwrap_or(0));
                }
                Err(status) => status,
            };
            if tries >= TRIES_MAX || !may_try_again(status.code()) {
                return Err(status);
            }
            let wait = BACKOFF.delay(tries - 1, &mut self.rng);
            if drain.unless_draining(sleep(wait)).await.is_none() {
                return Err(status);
            }
        }
    }
}

/// A sidecar that stops waits less.
async fn in_time<T>(answer: impl Future<Output = Result<T, Status>>, drain: &Watch) -> Result<T, Status> {
    let last = async {
        drain.draining().await;
        sleep(LAST_TIMEOUT).await;
    };
    let late = || Status::deadline_exceeded("the collector did not answer in time");
    tokio::select! {
        // An answer that is there counts.
        biased;
        answer = timeout(ANSWER_TIMEOUT, answer) => answer.unwrap_or_else(|_| Err(late())),
        () = last => Err(late()),
    }
}

/// The codes of the OTLP specification, "Failures".
const fn may_try_again(code: Code) -> bool {
    matches!(
        code,
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
            | Code::ResourceExhausted
    )
}

#[cfg(test)]
mod tests {
    use weft_runtime::drain::Drain;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_full_or_a_second_old_and_what_is_left_goes_at_the_end() {
        let (queue, spans) = mpsc::channel(SPANS_MAX);
        let metrics = Arc::<SpanMetrics>::default();
        let endpoint = "http://127.0.0.1:1";
        let mut exporter = Exporter::new(endpoint, proto::Resource::default(), spans, metrics).unwrap();
        for _ in 0..BATCH_LENGTH + 2 {
            queue.try_send(proto::Span::default()).unwrap();
        }
        let began = Instant::now();
        assert_eq!((exporter.collect().await.len(), began.elapsed()), (BATCH_LENGTH, Duration::ZERO));
        assert_eq!(exporter.collect().await.len(), 2);
        assert!(began.elapsed() >= SEND_AFTER);
        queue.try_send(proto::Span::default()).unwrap();
        drop(queue);
        assert_eq!((exporter.collect().await.len(), exporter.collect().await.len()), (1, 0));
    }

    #[tokio::test]
    async fn a_collector_that_is_away_costs_spans_and_a_stop_does_not_wait_for_it() {
        let (queue, spans) = mpsc::channel(SPANS_MAX);
        let metrics = Arc::<SpanMetrics>::default();
        let endpoint = "http://127.0.0.1:1";
        let exporter =
            Exporter::new(endpoint, proto::Resource::default(), spans, Arc::clone(&metrics)).unwrap();
        queue.try_send(proto::Span::default()).unwrap();
        drop(queue);
        let drain = Drain::new();
        let watch = drain.watch();
        drain.begin();
        exporter.run(watch).await;
        assert_eq!((metrics.refused.load(Relaxed), metrics.exported.load(Relaxed)), (1, 0));
    }
}
