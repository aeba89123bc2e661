//! What is in a virtual host, as plain values for whoever shows it: no reference, no JSON. Long lists come in pieces,
//! so that the thread is never busy with one for long.

use std::net::SocketAddr;

use super::{Reasons, VhostStats, session::SessionInfo};
use crate::{
    amqp::value::FieldTable,
    exchange::topology::Attributes,
    policy::{Effective, kind::QueueKind},
    queue::QueueStats,
};

mod look;

/// A piece of a list, and where the next one begins; none after the last.
#[derive(Debug, Clone)]
pub struct Piece<T> {
    /// The values.
    pub items: Vec<T>,
    /// Where it goes on.
    pub next: Option<u64>,
}

/// A queue.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of a declaration")]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// `durable`
    pub durable: bool,
    /// `auto_delete`
    pub auto_delete: bool,
    /// `exclusive`
    pub exclusive: bool,
    /// Its arguments.
    pub arguments: FieldTable,
    /// Its type.
    pub kind: QueueKind,
    /// The policies that hold for it.
    pub effective: Effective,
    /// Whose it is, where it is exclusive.
    pub owner: Option<Peer>,
    /// Messages that wait.
    pub ready: u64,
    /// Bytes of their bodies.
    pub ready_bytes: u64,
    /// Messages that are out.
    pub unacked: u64,
    /// Bytes of their bodies.
    pub unacked_bytes: u64,
    /// Messages that the log holds, of those that wait and those that are out.
    pub stored: u64,
    /// Bytes of memory for messages that wait.
    pub memory_bytes: usize,
    /// How many consume.
    pub consumers: usize,
    /// How many of them could take a message now.
    pub consumers_ready: bool,
    /// The tag of who consumes alone.
    pub exclusive_consumer: Option<String>,
    /// The tag of the single active consumer.
    pub active_consumer: Option<String>,
    /// What happened to it.
    pub stats: QueueStats,
    /// When it was last used, milliseconds since 1970.
    pub used_at_ms: u64,
}

/// An exchange.
#[derive(Debug, Clone)]
pub struct ExchangeView {
    /// Its name; empty for the default one.
    pub name: String,
    /// What it was declared with.
    pub attributes: Attributes,
    /// The policies that hold for it.
    pub effective: Effective,
    /// Messages that it holds until they are due.
    pub delayed: u64,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The connection's name.
    pub connection: String,
    /// The client's end.
    pub address: SocketAddr,
    /// Who has logged in.
    pub user: String,
}

/// A consumer.
#[derive(Debug, Clone)]
pub struct ConsumerView {
    /// What it consumes from.
    pub queue: String,
    /// Its tag.
    pub tag: String,
    /// Whose it is.
    pub peer: Option<Peer>,
    /// On which channel.
    pub channel: u16,
    /// Whether it acknowledges.
    pub acknowledges: bool,
    /// Whether nobody else may consume.
    pub exclusive: bool,
    /// Whether it gets messages, or stands by.
    pub active: bool,
    /// Deliveries without an acknowledgement at most; 0 is no limit.
    pub prefetch: u16,
    /// Its arguments.
    pub arguments: FieldTable,
    /// Milliseconds that a delivery may wait for its acknowledgement; 0 is for ever.
    pub timeout_ms: u64,
}

/// A connection.
#[derive(Debug, Clone)]
pub struct ConnectionView {
    /// Its name.
    pub name: String,
    /// Who it is, and what it negotiated.
    pub info: SessionInfo,
    /// Whether it is being closed.
    pub closing: bool,
    /// Whether it publishes and must wait.
    pub blocked: bool,
    /// How many channels are open.
    pub channels: usize,
    /// Bytes that came.
    pub received_bytes: u64,
    /// Bytes that went.
    pub sent_bytes: u64,
    /// Bytes that wait for the client to read them.
    pub waiting_bytes: usize,
}

/// A channel.
#[derive(Debug, Clone)]
pub struct ChannelView {
    /// Whose it is.
    pub peer: Peer,
    /// Its number.
    pub number: u16,
    /// Whether publishes are confirmed.
    pub confirms: bool,
    /// Whether it is transactional.
    pub transactional: bool,
    /// How many consume on it.
    pub consumers: usize,
    /// Deliveries that wait for their acknowledgement.
    pub unacked: usize,
    /// Publishes that wait for their confirm.
    pub unconfirmed: usize,
    /// Publishes and acknowledgements that wait for the commit.
    pub uncommitted: (usize, usize),
    /// `basic.qos` for consumers that follow.
    pub prefetch: u16,
    /// `basic.qos` with `global`.
    pub prefetch_global: u16,
    /// Published, confirmed, returned, delivered, acknowledged.
    pub counts: [u64; 5],
}

/// Sums over a virtual host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Messages that wait.
    pub ready: u64,
    /// Messages that are out.
    pub unacked: u64,
    /// Queues.
    pub queues: usize,
    /// Exchanges.
    pub exchanges: usize,
    /// Connections.
    pub connections: usize,
    /// Channels.
    pub channels: usize,
    /// Those of them that have published.
    pub publishers: usize,
    /// Consumers.
    pub consumers: usize,
    /// What happened to all queues there were.
    pub queue_stats: QueueStats,
    /// What happened here.
    pub stats: VhostStats,
    /// Bytes that came over connections that are there.
    pub received_bytes: u64,
    /// Bytes that went.
    pub sent_bytes: u64,
    /// Why publishers wait.
    pub blocked: Reasons,
}
