//! Publishing with confirms: the book of a channel, pure, and a publisher that keeps a window of messages on their way.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use super::{ANSWER_TIMEOUT, Client, Event};

/// Messages of a publisher that wait for their confirms at most.
const WINDOW: usize = 1024;

/// Messages whose confirms are awaited, each with what the test knows it by.
#[derive(Debug)]
pub struct Outstanding<T> {
    last: u64,
    waiting: BTreeMap<u64, T>,
}

/// What a confirm has answered for.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled<T> {
    /// The messages, in their order.
    pub messages: Vec<T>,
    /// Whether the broker has taken them.
    pub taken: bool,
}

impl<T> Default for Outstanding<T> {
    fn default() -> Self {
        Self { last: 0, waiting: BTreeMap::new() }
    }
}

impl<T> Outstanding<T> {
    /// For a channel on which so many messages were published before.
    pub fn after(last: u64) -> Self {
        Self { last, ..Self::default() }
    }

    /// One more was published.
    pub fn published(&mut self, message: T) {
        self.last += 1;
        self.waiting.insert(self.last, message);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What this event answers for; nothing where it is no confirm.
    pub fn settle(&mut self, event: &Event) -> Settled<T> {
        let Event::Confirm { tag, multiple, taken, .. } = *event else {
            return Settled { messages: Vec::new(), taken: false };
        };
        let messages = if multiple {
            let rest = self.waiting.split_off(&(tag + 1));
            std::mem::replace(&mut self.waiting, rest).into_values().collect()
        } else {
            self.waiting.remove(&tag).into_iter().collect()
        };
        Settled { messages, taken }
    }
}

/// Publishes on one channel, confirmed. Messages that come for consumers meanwhile wait in the client.
#[derive(Debug)]
pub struct Publisher<'a> {
    client: &'a mut Client,
    channel: u16,
    outstanding: Outstanding<()>,
    /// Messages that the broker has taken, and not taken.
    pub counts: (u64, u64),
    others: Vec<Event>,
}

impl<'a> Publisher<'a> {
    pub(super) fn new(client: &'a mut Client, channel: u16, before: u64) -> Self {
        Self { client, channel, outstanding: Outstanding::after(before), counts: (0, 0), others: Vec::new() }
    }

    /// Publishes; waits while the window is full.
    ///
    /// # Errors
    /// When the connection is gone, or nothing is confirmed for [`ANSWER_TIMEOUT`].
    pub async fn publish(
        &mut self,
        exchange: &str,
        key: &str,
        properties: &[u8],
        body: &[u8],
    ) -> anyhow::Result<()> {
        self.client.publish(self.channel, exchange, key, properties, body);
        self.outstanding.published(());
        if self.outstanding.len() >= WINDOW {
            self.wait_until(WINDOW / 2).await?;
        }
        Ok(())
    }

    /// Waits for the last confirms.
    ///
    /// # Errors
    /// As [`Self::publish`], and when a message was not taken.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        self.wait_until(0).await?;
        self.client.keep(self.others);
        ensure!(self.counts.1 == 0, "{} messages are not taken", self.counts.1);
        Ok(())
    }

    async fn wait_until(&mut self, left: usize) -> anyhow::Result<()> {
        self.client.flush().await?;
        while self.outstanding.len() > left {
            let event = self.client.next_within(ANSWER_TIMEOUT).await?;
            let event = event.with_context(|| format!("{} confirms do not come", self.outstanding.len()))?;
            let settled = self.outstanding.settle(&event);
            let count = settled.messages.len() as u64;
            match event {
                Event::Confirm { taken: true, .. } => self.counts.0 += count,
                Event::Confirm { taken: false, .. } => self.counts.1 += count,
                other => self.others.push(other),
            }
        }
        Ok(())
    }
}
