//! The discovery stream, and how it comes back.
//!
//! ```text
//!          wait is over            opened
//!   Down ─────────────▶ Opening ─────────▶ Up
//!    ▲                     │ refused        │ ended
//!    └─────────────────────┴────────────────┘ (a longer wait each time, up to 5 s, for ever)
//! ```

use std::{future::Future, pin::Pin, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};
use weft_model::backoff::Backoff;
use weft_proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse,
    aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
};

/// Between tries. The first wait is short: a restarted control plane is back within a second.
pub(super) const BACKOFF: Backoff = Backoff { base: Duration::from_millis(200), max: Duration::from_secs(5) };
/// A stream that lived for so long was a good one: the next wait is the first again.
pub(super) const GOOD_AFTER: Duration = Duration::from_secs(5);
/// How long the control plane may take to take a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests waiting to be written, at most.
const REQUESTS_WAITING_MAX: usize = 16;
/// Bytes of a response that is read, at most; the control plane keeps to a quarter of it.
const RESPONSE_BYTES_MAX: usize = 4 << 20;

/// Where requests go in.
pub(super) type Requests = mpsc::Sender<DeltaDiscoveryRequest>;

/// What happens on the link.
pub(super) enum Event {
    /// A new stream is there.
    Opened(Requests),
    /// Something came.
    Response(DeltaDiscoveryResponse),
    /// The stream has ended, or did not come about.
    Lost(Status),
}

/// One stream after another.
pub(super) struct Link {
    channel: Channel,
    state: State,
    step: u32,
    rng: fastrand::Rng,
}

enum State {
    Down { until: Instant },
    Opening(Pin<Box<dyn Future<Output = Result<Opened, Status>> + Send>>),
    Up { responses: Box<Streaming<DeltaDiscoveryResponse>>, since: Instant },
}

struct Opened {
    requests: Requests,
    responses: Box<Streaming<DeltaDiscoveryResponse>>,
}

impl Link {
    /// Opens the first stream when it is polled.
    pub(super) fn new(channel: Channel) -> Self {
        let state = State::Opening(Box::pin(open(channel.clone())));
        Self { channel, state, step: 0, rng: fastrand::Rng::new() }
    }

    /// The next event. Dropped before it is ready, nothing is lost.
    pub(super) async fn next(&mut self) -> Event {
        loop {
            match &mut self.state {
                State::Down { until } => {
                    sleep_until(*until).await;
                    self.state = State::Opening(Box::pin(open(self.channel.clone())));
                }
                State::Opening(opening) => match opening.await {
                    Ok(Opened { requests, responses }) => {
                        self.state = State::Up { responses, since: Instant::now() };
                        return Event::Opened(requests);
                    }
                    Err(status) => return self.lose(status),
                },
                State::Up { responses, .. } => match responses.message().await {
                    Ok(Some(response)) => return Event::Response(response),
                    Ok(None) => return self.lose(Status::unavailable("the control plane ended the stream")),
                    Err(status) => return self.lose(status),
                },
            }
        }
    }

    /// Ends the stream, if there is one; the next comes after a wait.
    pub(super) fn lose(&mut self, status: Status) -> Event {
        if matches!(&self.state, State::Up { since, .. } if since.elapsed() >= GOOD_AFTER) {
            self.step = 0;
        }
        let wait = BACKOFF.delay(self.step, &mut self.rng);
        self.step = self.step.saturating_add(1);
        self.state = State::Down { until: Instant::now() + wait };
        Event::Lost(status)
    }
}

async fn open(channel: Channel) -> Result<Opened, Status> {
    let (requests, outgoing) = mpsc::channel(REQUESTS_WAITING_MAX);
    let mut client =
        AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(RESPONSE_BYTES_MAX);
    let opening = client.delta_aggregated_resources(ReceiverStream::new(outgoing));
    let answer = tokio::time::timeout(OPEN_TIMEOUT, opening)
        .await
        .map_err(|_| Status::deadline_exceeded("the control plane did not take the stream in time"))??;
    Ok(Opened { requests, responses: Box::new(answer.into_inner()) })
}
