//! The work that goes on while a broker ends: publishers with confirms, and a consumer for each queue that acknowledges in
//! its own time. All of it is written into the ledger; a connection that breaks ends its task.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use weft_broker::amqp::value::FieldValue;
use weft_tests::{
    amqp::{Client, Delivery, Event, Outstanding, PERSISTENT},
    wait::eventually,
};

use crate::{
    ledger::{Ledger, Message},
    stream::{self, Tail},
};

/// Publishers.
const PUBLISHERS: u8 = 4;
/// Messages of one publisher that wait for their confirms, at most.
const WINDOW: usize = 48;
/// The queues to which messages go by name, and their types.
const NAMED: [(&str, &str); 2] = [("named-classic", "classic"), ("named-quorum", "quorum")];
/// The queues behind the fan-out.
const FANNED: [(&str, &str); 3] = [("fan-1", "classic"), ("fan-2", "quorum"), ("fan-3", "classic")];
const EXCHANGE: &str = "everyone";
pub(crate) const STREAM: &str = "stream";
/// Deliveries that a consumer holds at most.
const PREFETCH: u16 = 64;
/// Deliveries that a consumer never acknowledges in one life, below this.
const KEPT_MAX: usize = 6;
/// For the last confirms, and for the queues to be empty.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// What outlives a broker's lives: the book, and how far each publisher is.
#[derive(Debug, Default)]
pub(crate) struct Work {
    ledger: Arc<Mutex<Ledger>>,
    tail: Arc<Mutex<Tail>>,
    published: Vec<Arc<Mutex<u64>>>,
}

/// The tasks of one life.
pub(crate) struct Life {
    tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Work {
    /// Declares what is needed on a new broker.
    pub(crate) async fn prepare(at: SocketAddr) -> anyhow::Result<Self> {
        let mut client = Client::with_channel(at).await?;
        client.declare_exchange(EXCHANGE, "fanout").await?;
        for (queue, kind) in NAMED.into_iter().chain(FANNED).chain([(STREAM, "stream")]) {
            client.declare(queue, &[("x-queue-type", FieldValue::text(kind))]).await?;
        }
        for (queue, _) in FANNED {
            client.bind(queue, EXCHANGE, "");
        }
        client.barrier(1).await?;
        let published = (0..PUBLISHERS).map(|_| Arc::default()).collect();
        Ok(Self { published, ..Self::default() })
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        locked(&self.ledger)
    }

    /// Sets everybody to work.
    pub(crate) fn begin(&self, at: SocketAddr) -> Life {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        for (publisher, last) in (0..PUBLISHERS).zip(&self.published) {
            let (ledger, last, stop) = (Arc::clone(&self.ledger), Arc::clone(last), stop.clone());
            tasks.spawn(publish(at, publisher, last, ledger, stop));
        }
        for (queue, _) in NAMED.into_iter().chain(FANNED) {
            tasks.spawn(consume(at, queue, Arc::clone(&self.ledger)));
        }
        tasks.spawn(stream::follow(at, Arc::clone(&self.tail), Arc::clone(&self.ledger)));
        Life { tasks, stop }
    }

    /// Lets the publishers come to an end and the consumers empty the queues; then all that was confirmed must be there.
    pub(crate) async fn finish(&self, at: SocketAddr) -> anyhow::Result<()> {
        let life = self.begin(at);
        tokio::time::sleep(Duration::from_millis(300)).await;
        life.stop.cancel();
        let drained = eventually("all that was confirmed is seen", DRAIN_TIMEOUT, async || {
            let ledger = self.ledger();
            ledger.verdict()?;
            let unseen = ledger.unseen();
            let unseen: Vec<_> = unseen.iter().filter(|(queue, _)| *queue != STREAM).collect();
            ensure!(unseen.is_empty(), "{} are not, the first {:?}", unseen.len(), unseen.first());
            Ok(())
        });
        drained.await?;
        let _ends_here = life.check_alive()?;
        let confirmed = self.ledger().confirmed_of(STREAM);
        let tail = locked(&self.tail).clone();
        stream::check_whole(at, &confirmed, &tail).await
    }
}

impl Life {
    /// Nobody's connection may break while the broker lives.
    pub(crate) fn check_alive(mut self) -> anyhow::Result<Self> {
        if let Some(ended) = self.tasks.try_join_next() {
            ended?.context("the broker lives, and a client's task ends")?;
        }
        Ok(self)
    }

    /// Waits until all have noticed that the broker has ended.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.tasks.join_next().await {
            let _broken_connection = ended?;
        }
        Ok(())
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Publishes to each target in turn, with a bounded window; a message is confirmed when the broker says so.
async fn publish(
    at: SocketAddr,
    publisher: u8,
    last: Arc<Mutex<u64>>,
    ledger: Arc<Mutex<Ledger>>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut client = Client::with_channel(at).await?;
    client.confirm(1).await?;
    let mut outstanding = Outstanding::default();
    loop {
        if !stop.is_cancelled() {
            let burst = fastrand::usize(1..=8).min(WINDOW.saturating_sub(outstanding.len()));
            for _ in 0..burst {
                let number = {
                    let mut last = locked(&last);
                    *last += 1;
                    *last
                };
                let message = Message { publisher, number };
                let (exchange, key, _) = target(message);
                client.publish(1, exchange, key, &PERSISTENT, &message.body(body_bytes()));
                outstanding.published(message);
            }
            client.flush().await?;
        }
        while let Some(event) = client.next_within(Duration::from_millis(2)).await? {
            let settled = outstanding.settle(&event);
            if settled.taken {
                let mut ledger = locked(&ledger);
                for message in settled.messages {
                    target(message).2.iter().for_each(|(queue, _)| ledger.confirmed(queue, message));
                }
            }
        }
    }
}

/// Exchange, key and the queues that a message goes to.
fn target(message: Message) -> (&'static str, &'static str, &'static [(&'static str, &'static str)]) {
    match message.number % 4 {
        0 => ("", "named-classic", &NAMED[..1]),
        1 => ("", "named-quorum", &NAMED[1..]),
        2 => ("", STREAM, &[(STREAM, "stream")]),
        _ => (EXCHANGE, "", &FANNED),
    }
}

/// Mostly small; some are larger than what the log copies, and some than a frame.
fn body_bytes() -> usize {
    match fastrand::u8(..100) {
        0 => fastrand::usize(100_000..300_000),
        1..4 => fastrand::usize(16_000..40_000),
        _ => fastrand::usize(9..600),
    }
}

/// Takes what comes and acknowledges it, some at once, some later and out of order.
async fn consume(at: SocketAddr, queue: &'static str, ledger: Arc<Mutex<Ledger>>) -> anyhow::Result<()> {
    let mut client = Client::with_channel(at).await?;
    client.prefetch(1, PREFETCH).await?;
    client.consume(1, queue, &[]).await?;
    let mut held: Vec<(u64, Message)> = Vec::new();
    // So many of the first it keeps for all its life: they are old when the broker ends.
    let kept = fastrand::usize(0..KEPT_MAX);
    loop {
        match client.next_within(Duration::from_millis(10)).await? {
            Some(Event::Delivery(Delivery { tag, redelivered, body, .. })) => {
                let message = Message::of(&body).with_context(|| format!("in {queue}"));
                let mut ledger = locked(&ledger);
                match message {
                    Ok(message) => {
                        ledger.delivered(queue, message, redelivered, Instant::now());
                        held.push((tag, message));
                    }
                    Err(error) => ledger.fault(format!("{error:#}")),
                }
            }
            Some(event) => locked(&ledger).fault(format!("a consumer of {queue} gets {event:?}")),
            None => {}
        }
        if held.len() >= usize::from(PREFETCH) / 2 || fastrand::u8(..40) == 0 {
            let done = acknowledge(&mut client, &mut held, kept);
            client.barrier(1).await?;
            locked(&ledger).acknowledged(queue, &done, Instant::now());
        }
    }
}

/// Acknowledges a part of what is held behind the first ones: up to one of them if nothing is kept, or single ones.
fn acknowledge(client: &mut Client, held: &mut Vec<(u64, Message)>, kept: usize) -> Vec<Message> {
    if held.len() <= kept {
        return Vec::new();
    }
    let done: Vec<(u64, Message)> = if kept == 0 && fastrand::bool() {
        let done: Vec<_> = held.drain(..=fastrand::usize(..held.len())).collect();
        done.last().iter().for_each(|(tag, _)| client.ack(1, *tag, true));
        done
    } else {
        let mut done = held.split_off(kept);
        fastrand::shuffle(&mut done);
        held.extend(done.drain(..done.len() / 3));
        held.sort_by_key(|(tag, _)| *tag);
        done.iter().for_each(|(tag, _)| client.ack(1, *tag, false));
        done
    };
    done.into_iter().map(|(_, message)| message).collect()
}
