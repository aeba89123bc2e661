//! What another client notices: the time from publish to delivery on a queue of its own, and the broker's memory.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use weft_tests::{
    Broker,
    amqp::{Client, TRANSIENT},
    machine,
};

/// Messages of one measurement.
const ROUNDS: usize = 400;
/// What a delivery may take on a machine that compiles something meanwhile.
pub(crate) const NOISE: Duration = Duration::from_millis(60);

/// A client with a queue of its own.
pub(crate) struct Probe {
    client: Client,
}

impl Probe {
    pub(crate) async fn new(broker: &Broker) -> anyhow::Result<Self> {
        let mut client = Client::with_channel(broker.amqp).await?;
        client.declare("probe", &[]).await?;
        client.consume(1, "probe", &[]).await?;
        Ok(Self { client })
    }

    /// Says that it lives, between measurements.
    pub(crate) async fn beat(&mut self) -> anyhow::Result<()> {
        self.client.beat().await
    }

    /// The 99th percentile of the time from publish to delivery.
    pub(crate) async fn p99(&mut self) -> anyhow::Result<Duration> {
        let mut times = Histogram::<u64>::new(3)?;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            self.client.publish(1, "", "probe", &TRANSIENT, &[7; 256]);
            self.client.flush().await?;
            let delivery = self.client.delivery().await?;
            times.record(u64::try_from(start.elapsed().as_micros())?)?;
            self.client.ack(1, delivery.tag, false);
        }
        Ok(Duration::from_micros(times.value_at_quantile(0.99)))
    }
}

/// Resident memory of the broker, in MiB.
pub(crate) fn resident_mib(broker: &mut Broker) -> anyhow::Result<u64> {
    Ok(machine::resident_kib(broker.process().pid())? / 1024)
}

/// The most that was ever resident, in MiB.
pub(crate) fn peak_mib(broker: &mut Broker) -> anyhow::Result<u64> {
    Ok(machine::peak_kib(broker.process().pid())? / 1024)
}

/// A body of so many octets that begins with its number.
pub(crate) fn numbered(number: u64, bytes: usize) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(bytes, 0x5A);
    body
}

/// The number at the start of a body.
pub(crate) fn number_of(body: &[u8]) -> anyhow::Result<u64> {
    Ok(u64::from_be_bytes(*body.first_chunk().context("a short body")?))
}
