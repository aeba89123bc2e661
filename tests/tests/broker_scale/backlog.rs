//! A backlog beyond memory: it waits on the disk, costs others nothing, and comes back in order.

use std::time::Instant;

use anyhow::ensure;
use tempfile::TempDir;
use weft_tests::{
    Broker, Scale,
    amqp::{Client, PERSISTENT},
};

use crate::probe::{NOISE, Probe, number_of, numbered, peak_mib, resident_mib};

const BODY_BYTES: usize = 256;
const QUEUE: &str = "backlog";
/// Deliveries on their way, and after how many they are acknowledged.
const PREFETCH: u16 = 2_000;
const ACK_EVERY: u64 = 500;
/// Messages published between two heartbeats of a client that has nothing to do meanwhile.
const BEAT_EVERY: u64 = 50_000;

#[tokio::test]
async fn heavy_a_backlog_beyond_memory_waits_on_the_disk_and_costs_others_nothing() -> anyhow::Result<()> {
    // Held in memory, the small one would weigh about 80 MiB, and the large one 2 GiB.
    let (messages, growth_mib_max) = Scale::current().pick((200_000, 25), (5_000_000, 200));
    let dir = TempDir::new()?;
    let mut broker = Broker::start(dir.path()).await?;
    let mut probe = Probe::new(&broker).await?;
    let (before, empty_mib) = (probe.p99().await?, resident_mib(&mut broker)?);

    let start = Instant::now();
    let mut client = Client::with_channel(broker.amqp).await?;
    client.declare(QUEUE, &[]).await?;
    let mut publisher = client.publisher(1).await?;
    for number in 0..messages {
        publisher.publish("", QUEUE, &PERSISTENT, &numbered(number, BODY_BYTES)).await?;
        if number % BEAT_EVERY == 0 {
            probe.beat().await?;
        }
    }
    publisher.finish().await?;
    let (published, full_mib) = (start.elapsed(), resident_mib(&mut broker)?);
    let meanwhile = probe.p99().await?;

    let start = Instant::now();
    drain(&mut client, messages).await?;
    let (drained, peak_mib) = (start.elapsed(), peak_mib(&mut broker)?);
    println!(
        "{messages} messages of {BODY_BYTES} B: published in {published:.1?}, read back in {drained:.1?}; resident \
         {empty_mib} MiB empty, {full_mib} MiB full, {peak_mib} MiB at most; p99 of another queue {before:.1?} before, \
         {meanwhile:.1?} meanwhile"
    );
    ensure!(full_mib < empty_mib + growth_mib_max, "the backlog weighs {} MiB", full_mib - empty_mib);
    ensure!(peak_mib < 256, "{peak_mib} MiB were resident at some time");
    ensure!(meanwhile < before * 2 + NOISE, "another queue waits {meanwhile:?}, before it was {before:?}");
    Ok(())
}

async fn drain(client: &mut Client, messages: u64) -> anyhow::Result<()> {
    client.prefetch(1, PREFETCH).await?;
    client.consume(1, QUEUE, &[]).await?;
    for number in 0..messages {
        let delivery = client.delivery().await?;
        let found = number_of(&delivery.body)?;
        ensure!(found == number && delivery.body.len() == BODY_BYTES, "{found} comes in place of {number}");
        if number % ACK_EVERY == 0 {
            client.ack(1, delivery.tag, true);
            client.flush().await?;
        }
    }
    Ok(())
}
