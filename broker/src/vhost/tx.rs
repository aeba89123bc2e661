//! A transaction of a channel: what was published and acknowledged since the last commit. Nothing of it is done yet.

use super::{publish::Outgoing, refuse::Refusal, unacked::Delivery};
use crate::amqp::reply::ReplyCode;

/// Bytes of messages that a transaction holds at most.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Deliveries that are settled by the commit.
#[derive(Debug)]
pub(super) enum Settlement {
    /// Acknowledged.
    Ack(Vec<(u64, Delivery)>),
    /// Rejected; back to their queues if true.
    Return(Vec<(u64, Delivery)>, bool),
}

/// What waits for the commit.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) publishes: Vec<Outgoing>,
    pub(super) settlements: Vec<Settlement>,
    bytes: usize,
}

impl Transaction {
    /// Bytes of messages that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn publish(&mut self, outgoing: Outgoing) -> Result<(), Refusal> {
        self.bytes += outgoing.message.footprint();
        if self.bytes > BYTES_MAX {
            let text = format!("transaction holds more than {BYTES_MAX} bytes: commit in smaller steps");
            return Err(Refusal::new(ReplyCode::ResourceError, text));
        }
        self.publishes.push(outgoing);
        Ok(())
    }
}
