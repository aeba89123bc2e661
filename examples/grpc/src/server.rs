//! The service: four kinds of call, `grpc.health.v1` for the sidecar's check, reflection for tools. It keeps
//! nothing between calls.

use std::{
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_stream::{
    Stream, StreamExt,
    wrappers::{ReceiverStream, TcpListenerStream},
};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    forecast, proto,
    proto::weather_server::{Weather, WeatherServer},
};

/// Readings of one `Watch`, at most.
const WATCH_COUNT_MAX: u32 = 10_000;
/// The longest pause between two of them.
const WATCH_INTERVAL_MAX: Duration = Duration::from_mins(1);
/// Notes answered and not yet taken by the network, a stream.
const CHAT_QUEUE: usize = 16;

/// The role's arguments.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The port to listen on, on loopback: the sidecar beside it sets this
    #[arg(long, env = "PORT", default_value_t = 50051)]
    port: u16,
    /// Address and port to listen on, instead of loopback and --port
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// What this replica calls itself in its answers
    #[arg(long, env = "WEFT_INSTANCE", default_value_t = format!("pid-{}", std::process::id()))]
    instance: String,
}

/// Serves until SIGTERM or SIGINT; calls under way are answered.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let address = options.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, options.port).into());
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: stop what has it, or give another --port"))?;
    tracing::info!(address = %listener.local_addr()?, instance = options.instance, "listening");
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<WeatherServer<Station>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            // Either means the same; the order only keeps it the same each time.
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tonic::transport::Server::builder()
        .add_service(health_service)
        .add_service(reflection)
        .add_service(WeatherServer::new(Station { instance: options.instance.into() }))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop)
        .await?;
    Ok(())
}

#[derive(Debug)]
struct Station {
    instance: Arc<str>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Weather for Station {
    async fn current(
        &self,
        request: Request<proto::CurrentRequest>,
    ) -> Result<Response<proto::Reading>, Status> {
        let station = named(request.into_inner().station)?;
        Ok(Response::new(forecast::reading(&station, 0, &self.instance)))
    }

    type WatchStream = Answers<proto::Reading>;

    async fn watch(
        &self,
        request: Request<proto::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let proto::WatchRequest { station, count, interval_ms } = request.into_inner();
        let station = named(station)?;
        if !(1..=WATCH_COUNT_MAX).contains(&count) {
            return Err(Status::invalid_argument(format!("count must be 1 to {WATCH_COUNT_MAX}")));
        }
        let interval = Duration::from_millis(u64::from(interval_ms)).min(WATCH_INTERVAL_MAX);
        let instance = Arc::clone(&self.instance);
        let readings = tokio_stream::iter(0..u64::from(count)).then(move |sequence| {
            let reading = forecast::reading(&station, sequence, &instance);
            async move {
                if sequence > 0 && !interval.is_zero() {
                    tokio::time::sleep(interval).await;
                }
                Ok(reading)
            }
        });
        Ok(Response::new(Box::pin(readings)))
    }

    async fn report(
        &self,
        request: Request<Streaming<proto::Reading>>,
    ) -> Result<Response<proto::Summary>, Status> {
        let mut readings = request.into_inner();
        let mut summary = proto::Summary { served_by: self.instance.to_string(), ..Default::default() };
        while let Some(reading) = readings.message().await? {
            forecast::fold(&mut summary, &reading);
        }
        if summary.readings == 0 {
            return Err(Status::invalid_argument("a report holds at least one reading"));
        }
        Ok(Response::new(summary))
    }

    type ChatStream = Answers<proto::Note>;

    async fn chat(
        &self,
        request: Request<Streaming<proto::Note>>,
    ) -> Result<Response<Self::ChatStream>, Status> {
        let mut notes = request.into_inner();
        let instance = Arc::clone(&self.instance);
        let (answers, receiver) = mpsc::channel(CHAT_QUEUE);
        // Ends with the caller's stream: when that is reset, `message` fails and so does the next `send`.
        tokio::spawn(async move {
            while let Some(note) = notes.message().await.transpose() {
                let answer = note.map(|note| proto::Note {
                    text: format!("you said: {}", note.text),
                    served_by: instance.to_string(),
                });
                let failed = answer.is_err();
                if answers.send(answer).await.is_err() || failed {
                    break;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

fn named(station: String) -> Result<String, Status> {
    if station.is_empty() { Err(Status::invalid_argument("name a station")) } else { Ok(station) }
}
