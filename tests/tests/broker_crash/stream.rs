//! A stream over several lives: what a reader has once seen at an offset stays there, offsets are dense, and every confirmed
//! message has its place, in its publisher's order.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, ensure};
use weft_broker::amqp::value::FieldValue;
use weft_tests::amqp::{Client, Event};

use crate::{
    ledger::{Ledger, Message},
    work::{STREAM, locked},
};

const PREFETCH: u16 = 100;

/// What a reader that follows the stream has seen where.
pub(crate) type Tail = BTreeMap<i64, Message>;

/// Reads on from where it was, as a client does that keeps its offset by itself.
pub(crate) async fn follow(
    at: SocketAddr,
    tail: Arc<Mutex<Tail>>,
    ledger: Arc<Mutex<Ledger>>,
) -> anyhow::Result<()> {
    let next = locked(&tail).last_key_value().map_or(0, |(offset, _)| offset + 1);
    let mut client = attach(at, FieldValue::I64(next)).await?;
    loop {
        if let Event::Delivery(delivery) = client.next().await? {
            let (offset, message) = (delivery.stream_offset()?, Message::of(&delivery.body)?);
            if let Some(other) = locked(&tail).insert(offset, message) {
                locked(&ledger)
                    .fault(format!("offset {offset} was {other:?} and is read again: {message:?}"));
            }
            client.ack(1, delivery.tag, true);
            client.flush().await?;
        }
    }
}

/// Reads all of it, and compares.
pub(crate) async fn check_whole(
    at: SocketAddr,
    confirmed: &BTreeSet<Message>,
    tail: &Tail,
) -> anyhow::Result<()> {
    let mut missing = confirmed.clone();
    let mut highest: HashMap<u8, u64> = HashMap::new();
    let mut client = attach(at, FieldValue::text("first")).await?;
    let mut next = 0;
    while !missing.is_empty() {
        let delivery = client.delivery().await.with_context(|| {
            format!(
                "{} confirmed ones are missing behind offset {next}: {:?}",
                missing.len(),
                missing.first()
            )
        })?;
        let (offset, message) = (delivery.stream_offset()?, Message::of(&delivery.body)?);
        ensure!(offset == next, "offset {offset} in place of {next}");
        next += 1;
        let before = highest.insert(message.publisher, message.number).unwrap_or(0);
        ensure!(message.number > before, "at {offset}, {message:?} comes after {before}");
        if let Some(seen) = tail.get(&offset) {
            ensure!(*seen == message, "offset {offset} was {seen:?} for its reader, and is {message:?} now");
        }
        missing.remove(&message);
        client.ack(1, delivery.tag, true);
        client.flush().await?;
    }
    Ok(())
}

async fn attach(at: SocketAddr, from: FieldValue) -> anyhow::Result<Client> {
    let mut client = Client::with_channel(at).await?;
    client.prefetch(1, PREFETCH).await?;
    client.consume(1, STREAM, &[("x-stream-offset", from)]).await?;
    Ok(client)
}
