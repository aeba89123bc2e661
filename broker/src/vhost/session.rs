//! A connection, as the virtual host sees it: who it is, what it negotiated, its channels, and the bytes for it.

use std::{net::SocketAddr, rc::Rc};

use super::{
    channel::Channel,
    outbox::{DELIVERIES_PAUSE_BYTES, Outbox},
    user_channels::{OpenChannel, UserChannels},
};
use crate::{
    access::{UserRef, permission::DecisionCache},
    amqp::value::{FieldTable, FieldValue},
    exchange::QueueId,
};

/// A connection by its place; places are used again.
pub type SessionId = u32;

/// What is known of a connection when it enters the virtual host.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// Who has logged in.
    pub user: UserRef,
    /// What the user has open, here and elsewhere.
    pub user_channels: UserChannels,
    /// The client's end.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Bytes of a frame at most, both ways; 0 never happens, it was negotiated.
    pub frame_max: u32,
    /// Channels at most.
    pub channel_max: u16,
    /// Seconds between heartbeats; 0 is off.
    pub heartbeat: u16,
    /// `PLAIN` and the like.
    pub mechanism: String,
    /// What the client says of itself.
    pub client_properties: FieldTable,
    /// When it came, milliseconds since 1970.
    pub connected_at_ms: u64,
}

impl SessionInfo {
    /// RabbitMQ's name of a connection: `127.0.0.1:50000 -> 127.0.0.1:5672`.
    pub fn name(&self) -> String {
        format!("{} -> {}", self.peer, self.local)
    }

    /// Whether the client understands something: `capabilities` of its properties.
    pub fn can(&self, capability: &str) -> bool {
        match self.client_properties.find("capabilities") {
            Some(FieldValue::Table(capabilities)) => {
                matches!(capabilities.find(capability), Some(FieldValue::Bool(true)))
            }
            _ => false,
        }
    }
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionState {
    Open,
    /// We have closed it: everything is ignored until the client says close-ok.
    Closing,
    /// Both have said so: what is in the outbox is the last.
    Closed,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) info: SessionInfo,
    pub(super) name: Rc<str>,
    pub(super) state: SessionState,
    pub(super) outbox: Outbox,
    /// By number; those that are not open are empty.
    channels: Vec<Option<Box<Channel>>>,
    /// Listed among those whose outbox has something new.
    pub(super) dirty: bool,
    /// So much waits for the client that it gets no deliveries.
    pub(super) stalled: bool,
    /// It has been told that publishers are blocked.
    pub(super) told_blocked: bool,
    /// It has published since it came: publishers are told when memory or disk are short.
    pub(super) publishes: bool,
    /// It may everything, whoever its user is: an import of definitions.
    pub(super) is_trusted: bool,
    pub(super) can_cancel: bool,
    pub(super) can_block: bool,
    /// What the decisions about it were, for as long as rights stay as they are.
    pub(super) rights: DecisionCache,
    /// Its channel that has asked by `basic.get` for what is on the disk: nothing else is listened to until it has it.
    pub(super) getting: Option<(u16, QueueId)>,
    /// Bytes of contents that are on their way, and of publishes that wait for their commit.
    pub(super) held_bytes: usize,
    /// Exclusive queues of it.
    pub(super) owned: Vec<(QueueId, u32)>,
    /// Bytes that it has published and that are not durable yet.
    pub(super) unsynced_bytes: usize,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
}

impl Session {
    pub(super) fn new(info: SessionInfo) -> Self {
        Self {
            name: info.name().into(),
            state: SessionState::Open,
            outbox: Outbox::default(),
            channels: Vec::new(),
            dirty: false,
            stalled: false,
            told_blocked: false,
            publishes: false,
            is_trusted: false,
            can_cancel: info.can("consumer_cancel_notify"),
            can_block: info.can("connection.blocked"),
            rights: DecisionCache::default(),
            getting: None,
            held_bytes: 0,
            owned: Vec::new(),
            unsynced_bytes: 0,
            received_bytes: 0,
            sent_bytes: 0,
            info,
        }
    }

    /// Whether so much waits for the client that it gets no deliveries; it stays so until it has read much of it.
    pub(super) fn is_stalled(&mut self) -> bool {
        self.stalled |= self.outbox.len() > DELIVERIES_PAUSE_BYTES;
        self.stalled
    }

    /// Whether the next frame is taken in.
    pub(super) fn listens(&self) -> bool {
        self.state != SessionState::Open || (self.getting.is_none() && !self.outbox.is_flooded())
    }

    pub(super) fn channel(&self, number: u16) -> Option<&Channel> {
        self.channels.get(usize::from(number))?.as_deref()
    }

    pub(super) fn channel_mut(&mut self, number: u16) -> Option<&mut Channel> {
        self.channels.get_mut(usize::from(number))?.as_deref_mut()
    }

    /// Opens a channel that is not open.
    pub(super) fn open_channel(&mut self, number: u16, counted: OpenChannel) {
        let at = usize::from(number);
        if self.channels.len() <= at {
            self.channels.resize_with(at + 1, || None);
        }
        if let Some(slot) = self.channels.get_mut(at) {
            *slot = Some(Box::new(Channel::new(counted)));
        }
    }

    pub(super) fn take_channel(&mut self, number: u16) -> Option<Box<Channel>> {
        self.channels.get_mut(usize::from(number))?.take()
    }

    /// The numbers of those that are open.
    pub(super) fn channel_numbers(&self) -> impl Iterator<Item = u16> {
        self.channels.iter().zip(0_u16..).filter(|(slot, _)| slot.is_some()).map(|(_, number)| number)
    }

    pub(super) fn channel_count(&self) -> usize {
        self.channels.iter().filter(|slot| slot.is_some()).count()
    }
}
