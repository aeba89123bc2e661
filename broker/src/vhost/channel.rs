//! A channel: what one client does in one line. Its state only; `methods` says what each method does to it.
//!
//! ```text
//!   open ──(soft error: channel.close sent)──▶ closing ──(close-ok)──▶ gone
//!    │ channel.close                                                    ▲
//!    └──────────────────────────────────────────────────────────────────┘
//! ```

use std::{collections::HashMap, rc::Rc};

use super::{confirms::Confirms, tx::Transaction, unacked::Unacked, user_channels::OpenChannel};
use crate::{
    amqp::{content::Assembler, method::basic},
    exchange::QueueId,
    queue::ConsumerId,
};

/// Bytes of messages that a channel's unacknowledged deliveries hold in memory; those that the log has are let go of
/// beyond it, and read again if they come back.
pub(super) const UNACKED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Whether methods are listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelState {
    Open,
    /// We have closed it: everything is ignored until the client says so, too.
    Closing,
}

/// What the channel promises of publishes.
#[derive(Debug)]
pub(super) enum Mode {
    /// Nothing.
    Plain,
    /// `confirm.select`.
    Confirm(Confirms),
    /// `tx.select`.
    Transaction(Transaction),
}

/// A method whose content is still on its way: a publish, or one that is no client's.
#[derive(Debug)]
pub(super) struct Publishing {
    /// Class and method.
    pub(super) ids: (u16, u16),
    pub(super) exchange: Rc<str>,
    pub(super) routing_key: Box<str>,
    pub(super) mandatory: bool,
    pub(super) immediate: bool,
    pub(super) assembler: Assembler<()>,
    /// Bytes of its body so far.
    pub(super) gathered: usize,
}

impl Publishing {
    /// A publish whose content has not come yet.
    pub(super) fn begun(publish: &basic::Publish<'_>, assembler: Assembler<()>) -> Self {
        Self {
            ids: basic::Publish::IDS,
            exchange: publish.exchange.into(),
            routing_key: publish.routing_key.into(),
            mandatory: publish.mandatory,
            immediate: publish.immediate,
            assembler,
            gathered: 0,
        }
    }
}

/// One channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) state: ChannelState,
    pub(super) mode: Mode,
    /// Content that is on its way.
    pub(super) publishing: Option<Box<Publishing>>,
    pub(super) consumers: HashMap<Rc<str>, (QueueId, ConsumerId)>,
    pub(super) unacked: Unacked,
    pub(super) delivery_tag: u64,
    /// `basic.qos` for consumers that follow.
    pub(super) prefetch: u16,
    /// `basic.qos` with `global`: for all consumers together; 0 is no limit.
    pub(super) prefetch_global: u16,
    /// Consumers that found no room in the channel; they are woken when there is some.
    pub(super) starved: Vec<(QueueId, ConsumerId)>,
    /// The queue that an empty name means: the one declared last.
    pub(super) last_queue: Option<Rc<str>>,
    /// The consumer of `amq.rabbitmq.reply-to`: its tag and the key of its replies.
    pub(super) reply_to: Option<(Rc<str>, Rc<str>)>,
    pub(super) counts: ChannelCounts,
    /// Counts it among its user's until it is gone.
    _counted: OpenChannel,
}

/// What happened on a channel.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ChannelCounts {
    pub(super) published: u64,
    pub(super) confirmed: u64,
    pub(super) returned: u64,
    pub(super) delivered: u64,
    pub(super) acked: u64,
}

impl Channel {
    pub(super) fn new(counted: OpenChannel) -> Self {
        Self {
            state: ChannelState::Open,
            mode: Mode::Plain,
            publishing: None,
            consumers: HashMap::new(),
            unacked: Unacked::default(),
            delivery_tag: 0,
            prefetch: 0,
            prefetch_global: 0,
            starved: Vec::new(),
            last_queue: None,
            reply_to: None,
            counts: ChannelCounts::default(),
            _counted: counted,
        }
    }

    /// The tag of the next delivery.
    pub(super) fn next_tag(&mut self) -> u64 {
        self.delivery_tag += 1;
        self.delivery_tag
    }

    /// Whether a consumer may get something, as far as the channel goes.
    pub(super) fn has_room(&self, no_ack: bool) -> bool {
        let full = self.prefetch_global != 0 && self.unacked.len() >= usize::from(self.prefetch_global);
        self.state == ChannelState::Open && (no_ack || !full)
    }
}
