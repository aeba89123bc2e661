//! A full disk: publishers are blocked, and what they sent is confirmed only when it is safe; consumers go on, nothing is
//! damaged, and everything flows again once there is room.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;
use weft_tests::{
    Broker,
    amqp::{Client, Event, Outstanding, PERSISTENT},
};

use crate::{disk::LoopDisk, ledger::Message};

const DISK_BYTES: u64 = 640 << 20;
/// What is freed afterwards.
const BALLAST_BYTES: usize = 160 << 20;
const BODY_BYTES: usize = 32 << 10;
/// Messages on their way.
const WINDOW: usize = 64;
/// For the disk to be full, and for the broker to notice that it is not any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long somebody who must get nothing is listened to.
const SILENCE: Duration = Duration::from_secs(1);
const QUEUE: &str = "on-a-small-disk";

#[tokio::test]
async fn heavy_a_full_disk_blocks_publishers_and_nothing_else() -> anyhow::Result<()> {
    let Some(mut disk) = LoopDisk::new_or_skip(DISK_BYTES)? else { return Ok(()) };
    let dir = TempDir::new()?;
    fs::create_dir(disk.root().join("broker"))?;
    symlink(disk.root().join("broker"), dir.path().join("broker"))?;
    let mut broker = Broker::start(dir.path()).await?;
    let ballast = disk.root().join("ballast");
    fs::write(&ballast, vec![1; BALLAST_BYTES])?;

    let mut publisher = Client::with_channel(broker.amqp).await?;
    publisher.declare(QUEUE, &[]).await?;
    let mut confirmed = publish_until_blocked(&mut publisher).await?;
    println!("blocked after {} confirmed messages", confirmed.len());
    fill(&disk.root().join("rest"))?;
    refused(&broker).await?;

    // Consumers go on: half of it is taken, the rest stays.
    let mut consumer = Client::with_channel(broker.amqp).await?;
    let rest = confirmed.split_off(confirmed.len() / 2);
    consumer.prefetch(1, 16).await?;
    consumer.consume(1, QUEUE, &[]).await?;
    for message in &confirmed {
        let delivery = consumer.delivery().await?;
        ensure!(Message::of(&delivery.body)? == *message, "{message:?} is not next");
        consumer.ack(1, delivery.tag, false);
        consumer.flush().await?;
    }
    // It holds more than it has acknowledged: without an answer the end of its connection might overtake the last words.
    consumer.barrier(1).await?;
    drop(consumer);

    fs::remove_file(disk.root().join("rest"))?;
    fs::remove_file(&ballast)?;
    unblocked(&mut publisher).await?;
    let mut again = Client::with_channel(broker.amqp).await?;
    again.declare("after", &[]).await?;
    let mut flowing = again.publisher(1).await?;
    flowing.publish("", "after", &PERSISTENT, b"flows again").await?;
    flowing.finish().await?;

    broker.kill9()?;
    broker.restart().await?;
    ensure!(!broker.output().contains("damaged"), "{}", broker.output());
    let mut consumer = Client::with_channel(broker.amqp).await?;
    for message in &rest {
        let delivery = consumer.take(1, QUEUE).await?.with_context(|| format!("{message:?} is lost"))?;
        ensure!(Message::of(&delivery.body)? == *message, "{message:?} is not next");
    }
    broker.kill9()?;
    disk.unmount()
}

/// Publishes until the broker says that publishers are to wait; what was confirmed until then, and what has no confirm for
/// a while after is left alone.
async fn publish_until_blocked(client: &mut Client) -> anyhow::Result<Vec<Message>> {
    client.confirm(1).await?;
    let (mut outstanding, mut confirmed, mut number) = (Outstanding::default(), Vec::new(), 0);
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        while outstanding.len() < WINDOW {
            number += 1;
            let message = Message { publisher: 0, number };
            client.publish(1, "", QUEUE, &PERSISTENT, &message.body(BODY_BYTES));
            outstanding.published(message);
        }
        client.flush().await?;
        match client.next_within(PATIENCE).await?.context("neither a confirm nor a word")? {
            Event::Blocked(reason) => {
                ensure!(reason == "low on disk", "{reason}");
                while let Some(event) = client.next_within(SILENCE).await? {
                    take(&mut outstanding, &event, &mut confirmed);
                }
                return Ok(confirmed);
            }
            event => take(&mut outstanding, &event, &mut confirmed),
        }
    }
    bail!("the disk is not full after {number} messages")
}

fn take(outstanding: &mut Outstanding<Message>, event: &Event, confirmed: &mut Vec<Message>) {
    let settled = outstanding.settle(event);
    if settled.taken {
        confirmed.extend(settled.messages);
    }
}

/// Takes all the room that is left.
fn fill(path: &Path) -> anyhow::Result<()> {
    let mut file = fs::File::create(path)?;
    for bytes in [1 << 20, 4096] {
        while file.write_all(&vec![1; bytes]).is_ok() {}
    }
    Ok(())
}

/// A publisher who comes now is told, and gets no confirm.
async fn refused(broker: &Broker) -> anyhow::Result<()> {
    let mut late = Client::with_channel(broker.amqp).await?;
    late.declare("late", &[]).await.context("a declaration waits for the disk")?;
    late.confirm(1).await?;
    late.publish(1, "", "late", &PERSISTENT, b"late");
    late.flush().await?;
    let mut told = false;
    while let Some(event) = late.next_within(SILENCE).await? {
        ensure!(!matches!(event, Event::Confirm { taken: true, .. }), "what cannot be written is confirmed");
        told |= matches!(event, Event::Blocked(_));
    }
    ensure!(told, "it is not told that publishers are blocked");
    Ok(())
}

async fn unblocked(client: &mut Client) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(Event::Unblocked) = client.next_within(SILENCE).await? {
            return Ok(());
        }
    }
    bail!("publishers are not unblocked though there has been room for {PATIENCE:?}")
}
