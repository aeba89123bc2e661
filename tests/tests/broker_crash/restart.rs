//! Ends in order and starts again; a second process on the same data; what comes back marked.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use weft_broker::amqp::value::FieldValue;
use weft_tests::{
    Broker, Process,
    amqp::{Client, Delivery, PERSISTENT, TRANSIENT},
    mesh::ANY_PORT,
    process::binary,
};

/// For a process that has nothing to do but to end.
const END_TIMEOUT: Duration = Duration::from_secs(20);
/// Longer than anything that was delivered stays unwritten.
const WRITTEN: Duration = Duration::from_millis(500);

#[tokio::test]
async fn a_second_broker_on_the_same_data_says_who_has_it() -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let mut broker = Broker::start(dir.path()).await?;
    let mut command = Command::new(binary("weft-sidecar")?);
    command.args(["run", "--queue-host"]).arg("--data-dir").arg(broker.data_dir());
    for port in ["--outbound", "--inbound", "--admin", "--amqp", "--management"] {
        command.args([port, ANY_PORT]);
    }
    let mut second = Process::spawn("second", &mut command, dir.path())?;
    let status = second.wait(END_TIMEOUT)?;
    ensure!(!status.success(), "the second ends well");
    let (said, first) = (second.output(), broker.process().pid());
    ensure!(said.contains("is in use by another") && said.contains(&format!("(process {first})")), "{said}");

    let mut client = Client::with_channel(broker.amqp).await?;
    client.declare("first-goes-on", &[]).await?;
    publish(&mut client, &[("", "first-goes-on")]).await
}

#[tokio::test]
async fn a_stop_in_order_and_a_start_keep_everything() -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let mut broker = Broker::start(dir.path()).await?;
    let mut client = Client::with_channel(broker.amqp).await?;
    client.declare_exchange("kept", "topic").await?;
    for kind in ["classic", "quorum", "stream"] {
        client.declare(kind, &[("x-queue-type", FieldValue::text(kind))]).await?;
        client.bind(kind, "kept", "a.#");
    }
    publish(&mut client, &[("kept", "a.b"), ("kept", "a.c"), ("", "classic")]).await?;
    client.publish(1, "", "classic", &TRANSIENT, b"transient");
    client.barrier(1).await?;
    ensure!(client.ready("classic").await? == 4, "the transient one is there as well");

    let status = broker.process().stop()?;
    ensure!(status.success(), "{status}: {}", broker.output());
    let told = client.end().await;
    ensure!(told.to_string().contains("320 CONNECTION_FORCED"), "the client was told {told:#}");

    broker.restart().await?;
    let mut client = Client::with_channel(broker.amqp).await?;
    let mut counts = Vec::new();
    for queue in ["classic", "quorum", "stream"] {
        counts.push(client.ready(queue).await?);
    }
    ensure!(counts == [3, 2, 2], "classic, quorum and stream hold {counts:?}");
    publish(&mut client, &[("kept", "a.d")]).await?;
    ensure!(client.ready("quorum").await? == 3, "the binding is gone");
    Ok(())
}

#[tokio::test]
async fn what_was_delivered_before_a_kill_comes_back_marked() -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let mut broker = Broker::start(dir.path()).await?;
    let mut client = Client::with_channel(broker.amqp).await?;
    for queue in ["classic", "quorum"] {
        client.declare(queue, &[("x-queue-type", FieldValue::text(queue))]).await?;
        publish(&mut client, &[("", queue); 4]).await?;
        // The second of them is acknowledged: it stays away.
        let taken =
            [client.take(1, queue).await?, client.take(1, queue).await?, client.take(1, queue).await?];
        let second = taken.iter().flatten().nth(1).context("three of four are there")?;
        client.ack(1, second.tag, false);
        client.barrier(1).await?;
    }
    tokio::time::sleep(WRITTEN).await;
    broker.kill9()?;
    broker.restart().await?;

    let mut client = Client::with_channel(broker.amqp).await?;
    for queue in ["classic", "quorum"] {
        let mut found = Vec::new();
        while let Some(Delivery { redelivered, body, .. }) = client.take(1, queue).await? {
            found.push((body.to_vec(), redelivered));
        }
        let expected = [(b"0".to_vec(), true), (b"2".to_vec(), true), (b"3".to_vec(), false)];
        ensure!(found == expected, "{queue} has {found:?}");
    }
    Ok(())
}

/// Publishes to these exchanges with these keys, and waits for the confirms. A body is its place in the list.
async fn publish(client: &mut Client, targets: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut publisher = client.publisher(1).await?;
    for (number, (exchange, key)) in targets.iter().enumerate() {
        publisher.publish(exchange, key, &PERSISTENT, number.to_string().as_bytes()).await?;
    }
    publisher.finish().await
}
