//! What a broker says to the command line's AMQP client, owned; and how frames of content become such events. Pure.

use weft_broker::amqp::{
    content::{Assembler, ContentError},
    frame::FrameKind,
};

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The exchange that it was published to last.
    pub exchange: String,
    /// The key that it was published with.
    pub routing_key: String,
    /// Flags and property list.
    pub properties: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

/// What the broker said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message from `basic.get`.
    Got {
        /// The delivery's number on its channel.
        tag: u64,
        /// The message.
        message: Message,
    },
    /// `basic.get` found nothing.
    Empty,
    /// A mandatory message that no queue takes; its confirm follows.
    Returned(Message),
    /// Publishes are confirmed, or not taken.
    Settled {
        /// The publish's number on its channel.
        tag: u64,
        /// All up to that one as well.
        multiple: bool,
        /// Whether they were taken.
        taken: bool,
    },
    /// A queue is there.
    Queue {
        /// Messages that wait in it.
        messages: u64,
    },
    /// What was asked for is done; of this channel.
    Done(u16),
    /// A channel is closed by the broker.
    ChannelClosed {
        /// Which.
        channel: u16,
        /// The reply code.
        code: u16,
        /// Its words.
        text: String,
    },
    /// Publishers wait, and why.
    Blocked(String),
    /// Publishers go on.
    Unblocked,
    /// The connection is closed, as was asked for.
    Closed,
}

/// What content belongs to.
#[derive(Debug)]
pub(super) enum Carrier {
    Got { tag: u64, exchange: String, routing_key: String },
    Returned { exchange: String, routing_key: String },
}

/// A header or a piece of a body; the event when it is the last.
pub(super) fn content(
    assembler: &mut Assembler<Carrier>,
    kind: FrameKind,
    payload: &[u8],
) -> Result<Option<Event>, ContentError> {
    let whole = match kind {
        FrameKind::Header => assembler.header(payload)?,
        _ => assembler.body(payload)?,
    };
    Ok(whole.map(|whole| {
        let (properties, body) = (whole.properties.to_vec(), whole.body.as_slice().to_vec());
        match whole.method {
            Carrier::Got { tag, exchange, routing_key } => {
                Event::Got { tag, message: Message { exchange, routing_key, properties, body } }
            }
            Carrier::Returned { exchange, routing_key } => {
                Event::Returned(Message { exchange, routing_key, properties, body })
            }
        }
    }))
}
