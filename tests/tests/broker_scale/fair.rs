//! One client's weight is its own: a consumer that does not read, a publisher that is faster than the disk.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use weft_tests::{
    Broker, Scale,
    amqp::{Client, PERSISTENT},
};

use crate::probe::{NOISE, Probe, number_of, numbered, peak_mib, resident_mib};

/// Larger than what a socket and the broker's buffer for it hold.
const BODY_BYTES: usize = 8 << 10;
/// Messages of the queue that both consumers share.
const SHARED: u64 = 4_000;
/// What a client may cost: its buffers, what waits in memory by default, what the log has not written.
const COST_MIB_MAX: u64 = 100;

#[tokio::test]
async fn load_a_consumer_that_does_not_read_costs_only_its_own() -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let mut broker = Broker::start(dir.path()).await?;
    let mut probe = Probe::new(&broker).await?;
    let (before, empty_mib) = (probe.p99().await?, resident_mib(&mut broker)?);
    let mut client = Client::with_channel(broker.amqp).await?;
    client.declare("shared", &[]).await?;
    // It never reads again, and may have any number of messages: the second one gets what this one's buffers do not hold.
    let mut deaf = Client::with_channel(broker.amqp).await?;
    deaf.consume(1, "shared", &[]).await?;
    let messages = Scale::current().pick(SHARED, 25 * SHARED);
    let mut publisher = client.publisher(1).await?;
    for number in 0..messages {
        publisher.publish("", "shared", &PERSISTENT, &numbered(number, BODY_BYTES)).await?;
    }
    publisher.finish().await?;
    let meanwhile = probe.p99().await?;
    let cost_mib = resident_mib(&mut broker)?.saturating_sub(empty_mib);

    client.consume(1, "shared", &[]).await?;
    let mut received: u64 = 0;
    while received < messages / 2 {
        let delivery = client.delivery().await.with_context(|| format!("after {received} messages"))?;
        client.ack(1, delivery.tag, false);
        client.flush().await?;
        received += 1;
    }
    // And all of what it held is there for the others when it goes.
    drop(deaf);
    while received < messages {
        let delivery = client.delivery().await.with_context(|| format!("after {received} messages"))?;
        number_of(&delivery.body)?;
        client.ack(1, delivery.tag, false);
        client.flush().await?;
        received += 1;
    }
    println!("it costs {cost_mib} MiB; p99 of another queue {before:.1?} before, {meanwhile:.1?} meanwhile");
    ensure!(cost_mib < COST_MIB_MAX, "a consumer that does not read costs {cost_mib} MiB");
    ensure!(meanwhile < before * 2 + NOISE, "another queue waits {meanwhile:?}, before it was {before:?}");
    Ok(())
}

#[tokio::test]
async fn load_a_publisher_that_is_faster_than_the_disk_waits_for_it_alone() -> anyhow::Result<()> {
    let (mib, body_bytes) = (Scale::current().pick(400, 8_000), 64 << 10);
    let dir = TempDir::new()?;
    let mut broker = Broker::start(dir.path()).await?;
    let mut probe = Probe::new(&broker).await?;
    let (before, empty_mib) = (probe.p99().await?, resident_mib(&mut broker)?);
    let mut client = Client::with_channel(broker.amqp).await?;
    client.declare("fast", &[]).await?;
    let start = Instant::now();
    // Without confirms: nothing but the broker's own credit holds it back.
    let publishing = tokio::spawn(async move {
        for number in 0..(mib << 20) / body_bytes {
            let body = numbered(number, usize::try_from(body_bytes)?);
            client.publish(1, "", "fast", &PERSISTENT, &body);
            client.flush().await?;
        }
        client.barrier(1).await?;
        anyhow::Ok(client)
    });
    let mut meanwhile = Duration::ZERO;
    while !publishing.is_finished() {
        meanwhile = probe.p99().await?.max(meanwhile);
    }
    let mut client = publishing.await??;
    let (took, cost_mib) = (start.elapsed(), peak_mib(&mut broker)?.saturating_sub(empty_mib));
    let waiting = client.ready("fast").await?;
    println!(
        "{mib} MiB in {took:.1?}, {cost_mib} MiB resident for it at most; p99 of another queue {before:.1?} before, \
         {meanwhile:.1?} meanwhile"
    );
    ensure!(u64::from(waiting) == (mib << 20) / body_bytes, "{waiting} messages are there");
    ensure!(cost_mib < COST_MIB_MAX, "{cost_mib} MiB are resident for a publisher");
    ensure!(
        meanwhile < before * 2 + 4 * NOISE,
        "another queue waits {meanwhile:?}, before it was {before:?}"
    );
    Ok(())
}
