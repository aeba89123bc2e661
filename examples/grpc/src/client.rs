//! The client: one call of each kind through the sidecar's outbound port, with the service's name as
//! authority. What comes back is printed, one line a message, for a person or a test to read.

use std::io::Write;

use anyhow::Context;
use tokio_stream::StreamExt;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::{forecast, proto, proto::weather_client::WeatherClient};

/// Readings sent by `report`.
const REPORT_READINGS: u64 = 5;
/// Notes sent by `chat`.
const CHAT_NOTES: [&str; 3] = ["hello", "is it raining?", "goodbye"];

/// The role's arguments.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The sidecar's outbound port
    #[arg(long, env = "WEFT_OUTBOUND", value_name = "URL", default_value = "http://127.0.0.1:4140")]
    outbound: String,
    /// The service to call
    #[arg(long, default_value = "weather")]
    service: String,
    /// The station to ask about
    #[arg(long, default_value = "oslo")]
    station: String,
    /// Readings to watch
    #[arg(long, default_value_t = 3)]
    count: u32,
    /// Milliseconds between two of them
    #[arg(long, default_value_t = 100)]
    interval_ms: u32,
    /// Unary calls to make, to see the replicas take turns
    #[arg(long, default_value_t = 6)]
    unary: u32,
}

/// Makes the calls.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let mut client = WeatherClient::new(channel(&options).await?);
    for _ in 0..options.unary {
        let request = proto::CurrentRequest { station: options.station.clone() };
        show("current", &client.current(request).await?.into_inner())?;
    }
    watch(&mut client, &options).await?;
    report(&mut client, &options).await?;
    chat(&mut client).await
}

async fn channel(options: &Options) -> anyhow::Result<Channel> {
    let outbound = options.outbound.trim_start_matches("http://").trim_end_matches('/');
    let authority: Uri =
        format!("http://{}", options.service).parse().context("--service is no host name")?;
    Endpoint::from_shared(format!("http://{outbound}"))?
        .origin(authority)
        .connect()
        .await
        .with_context(|| format!("the sidecar does not answer at {outbound}"))
}

async fn watch(client: &mut WeatherClient<Channel>, options: &Options) -> anyhow::Result<()> {
    let request = proto::WatchRequest {
        station: options.station.clone(),
        count: options.count,
        interval_ms: options.interval_ms,
    };
    let mut readings = client.watch(request).await?.into_inner();
    while let Some(reading) = readings.message().await? {
        show("watch", &reading)?;
    }
    Ok(())
}

async fn report(client: &mut WeatherClient<Channel>, options: &Options) -> anyhow::Result<()> {
    let station = options.station.clone();
    let readings =
        tokio_stream::iter(0..REPORT_READINGS).map(move |n| forecast::reading(&station, n, "client"));
    let summary = client.report(readings).await?.into_inner();
    print(&format!(
        "report readings={} min={} max={} served_by={}",
        summary.readings, summary.decidegrees_min, summary.decidegrees_max, summary.served_by
    ))
}

/// Sends each note only when the one before was answered: both directions are open at once.
async fn chat(client: &mut WeatherClient<Channel>) -> anyhow::Result<()> {
    let (notes, receiver) = tokio::sync::mpsc::channel(1);
    let outgoing = tokio_stream::wrappers::ReceiverStream::new(receiver);
    notes.send(note(CHAT_NOTES[0])).await?;
    let mut answers = client.chat(outgoing).await?.into_inner();
    let mut rest = CHAT_NOTES.iter().skip(1);
    let mut notes = Some(notes);
    while let Some(answer) = answers.message().await? {
        print(&format!("chat text={:?} served_by={}", answer.text, answer.served_by))?;
        match (rest.next(), &notes) {
            (Some(text), Some(sender)) => sender.send(note(text)).await?,
            _ => notes = None,
        }
    }
    Ok(())
}

fn note(text: &str) -> proto::Note {
    proto::Note { text: text.into(), served_by: String::new() }
}

fn show(call: &str, reading: &proto::Reading) -> anyhow::Result<()> {
    print(&format!(
        "{call} station={} sequence={} decidegrees={} served_by={}",
        reading.station, reading.sequence, reading.decidegrees, reading.served_by
    ))
}

fn print(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("standard output is closed")
}
