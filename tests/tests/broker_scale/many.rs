//! Many channels on one connection; many connections, queues and bindings on one broker.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tempfile::TempDir;
use weft_tests::{
    Broker, Scale,
    amqp::{Client, Event, PERSISTENT},
    machine,
};

use crate::probe::{numbered, resident_mib};

const CHANNELS: u16 = 500;
/// What each consumer may hold.
const PREFETCH: u16 = 10;
/// Messages for each queue: more than a consumer may hold.
const EACH: u64 = 40;
/// How long somebody who must get nothing is listened to.
const SILENCE: Duration = Duration::from_millis(500);
/// For what is done in seconds on an idle machine.
const SECONDS: Duration = Duration::from_secs(60);
const EXCHANGE: &str = "many";

#[tokio::test]
async fn heavy_a_channel_that_holds_its_prefetch_stops_no_other_of_its_connection() -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let broker = Broker::start(dir.path()).await?;
    let mut consumer = Client::connect(broker.amqp).await?;
    let mut publisher = Client::with_channel(broker.amqp).await?;
    for channel in 1..=CHANNELS {
        let queue = format!("channel-{channel}");
        publisher.declare(&queue, &[]).await?;
        consumer.open(channel).await?;
        consumer.prefetch(channel, PREFETCH).await?;
        consumer.consume(channel, &queue, &[]).await?;
    }
    let start = Instant::now();
    let mut publishing = publisher.publisher(1).await?;
    for number in 0..EACH {
        for channel in 1..=CHANNELS {
            let body = numbered(number, 100);
            publishing.publish("", &format!("channel-{channel}"), &PERSISTENT, &body).await?;
        }
    }
    publishing.finish().await?;
    // The first channel never acknowledges.
    let expected = u64::from(CHANNELS - 1) * EACH + u64::from(PREFETCH);
    let mut held = 0;
    for received in 0..expected {
        let delivery = consumer.delivery().await?;
        ensure!(start.elapsed() < SECONDS, "only {received} of {expected} messages flow");
        if delivery.channel == 1 {
            held += 1;
            continue;
        }
        consumer.ack(delivery.channel, delivery.tag, false);
        consumer.flush().await?;
    }
    println!("{expected} messages over {CHANNELS} channels in {:.1?}", start.elapsed());
    let more = consumer.next_within(SILENCE).await?;
    ensure!(held == PREFETCH && more.is_none(), "it holds {held}, and then {more:?} comes");
    Ok(())
}

#[tokio::test]
async fn heavy_many_connections_queues_and_bindings_are_there_in_seconds() -> anyhow::Result<()> {
    let scale = Scale::current();
    let (connections, queues, keys) = scale.pick((500, 1_000, 10), (5_000, 10_000, 10));
    machine::open_many_files()?;
    let dir = TempDir::new()?;
    let mut broker = Broker::start(dir.path()).await?;
    let empty_mib = resident_mib(&mut broker)?;
    let mut client = Client::with_channel(broker.amqp).await?;

    let declaring = Instant::now();
    client.declare_exchange(EXCHANGE, "topic").await?;
    for queue in 0..queues {
        client.declare(&name(queue), &[]).await?;
    }
    let (declared, declared_mib) = (declaring.elapsed(), resident_mib(&mut broker)?);
    let binding = Instant::now();
    for queue in 0..queues {
        (0..keys).for_each(|key| client.bind(&name(queue), EXCHANGE, &format!("a.{queue}.*.{key}")));
        client.flush().await?;
    }
    client.barrier(1).await?;
    let (bound, bound_mib) = (binding.elapsed(), resident_mib(&mut broker)?);

    let connecting = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Client::with_channel(broker.amqp).await?);
    }
    let (connected, connected_mib) = (connecting.elapsed(), resident_mib(&mut broker)?);
    let routing = Instant::now();
    for (number, client) in (0_u64..).zip(&mut clients) {
        let key = format!("a.{}.x.{}", number % queues, number % keys);
        client.confirm(1).await?;
        client.publish(1, EXCHANGE, &key, &PERSISTENT, &numbered(number, 100));
        client.flush().await?;
    }
    for client in &mut clients {
        let event = client.next().await?;
        ensure!(matches!(event, Event::Confirm { taken: true, .. }), "{event:?}");
    }
    let routed = routing.elapsed();
    for queue in 0..connections.min(queues) {
        ensure!(client.ready(&name(queue)).await? == 1, "{} has not got its message", name(queue));
    }
    println!(
        "{queues} queues in {declared:.1?} ({} MiB), {} bindings in {bound:.1?} ({} MiB), {connections} connections in \
         {connected:.1?} ({} MiB), a message of each routed and confirmed in {routed:.1?}",
        declared_mib - empty_mib,
        queues * keys,
        bound_mib - declared_mib,
        connected_mib - bound_mib,
    );
    ensure!(declaring.elapsed() < SECONDS, "all of it takes {:?}", declaring.elapsed());
    Ok(())
}

fn name(queue: u64) -> String {
    format!("many-{queue}")
}
