//! A message as it lies in memory: what the publisher sent, byte for byte, and the few things that routing and queues
//! ask of it. Shared by all the queues that hold it.

use std::sync::Arc;

use bytes::Bytes;

/// Bodies up to this many bytes lie beside the head in one allocation; larger ones stay where they were read to.
pub const INLINE_BODY_BYTES_MAX: usize = 4096;

/// What a message is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The exchange that it was published to.
    pub exchange: &'a str,
    /// The key that it was published with.
    pub routing_key: &'a str,
    /// The property flags and list of its content header (AMQP 0-9-1, section 4.2.6.1), as sent.
    pub properties: &'a [u8],
}

/// What the broker itself reads of the properties.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traits {
    /// `delivery-mode` 2.
    pub persistent: bool,
    /// `priority`, 0 where there is none.
    pub priority: u8,
    /// `expiration` in milliseconds.
    pub expiration_ms: Option<u64>,
    /// The broker itself has sent it on: its `x-death` is the broker's, not a client's.
    pub has_died: bool,
}

/// One message.
#[derive(Debug)]
pub struct Message {
    /// Exchange, routing key, properties, and the body if it is small.
    head: Box<[u8]>,
    exchange_end: usize,
    routing_key_end: usize,
    properties_end: usize,
    body: Option<Bytes>,
    traits: Traits,
    /// When it came, milliseconds since 1970.
    published_at_ms: u64,
}

impl Message {
    /// A message whose body is copied if it is small.
    pub fn new(parts: Parts<'_>, body: Bytes, traits: Traits, published_at_ms: u64) -> Arc<Self> {
        if body.len() <= INLINE_BODY_BYTES_MAX {
            return Self::inline(parts, &body, traits, published_at_ms);
        }
        Arc::new(Self::build(parts, &[], Some(body), traits, published_at_ms))
    }

    /// A message whose body is copied.
    pub fn inline(parts: Parts<'_>, body: &[u8], traits: Traits, published_at_ms: u64) -> Arc<Self> {
        Arc::new(Self::build(parts, body, None, traits, published_at_ms))
    }

    fn build(parts: Parts<'_>, inline: &[u8], body: Option<Bytes>, traits: Traits, at: u64) -> Self {
        let Parts { exchange, routing_key, properties } = parts;
        let exchange_end = exchange.len();
        let routing_key_end = exchange_end + routing_key.len();
        let properties_end = routing_key_end + properties.len();
        let mut head = Vec::with_capacity(properties_end + inline.len());
        head.extend_from_slice(exchange.as_bytes());
        head.extend_from_slice(routing_key.as_bytes());
        head.extend_from_slice(properties);
        head.extend_from_slice(inline);
        let head = head.into_boxed_slice();
        Self { head, exchange_end, routing_key_end, properties_end, body, traits, published_at_ms: at }
    }

    /// The exchange that it was published to.
    pub fn exchange(&self) -> &str {
        self.text(0, self.exchange_end)
    }

    /// The key that it was published with.
    pub fn routing_key(&self) -> &str {
        self.text(self.exchange_end, self.routing_key_end)
    }

    /// Property flags and list, as sent.
    pub fn properties(&self) -> &[u8] {
        self.head.get(self.routing_key_end..self.properties_end).unwrap_or_default()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        match &self.body {
            Some(body) => body,
            None => self.head.get(self.properties_end..).unwrap_or_default(),
        }
    }

    /// The body of a large message, which can be sent without a copy.
    pub fn shared_body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    /// Bytes of the body: none is larger than 4 GiB.
    pub fn body_size(&self) -> u32 {
        u32::try_from(self.body().len()).unwrap_or(u32::MAX)
    }

    /// The body, shared where it is large and copied where it is small.
    pub fn body_bytes(&self) -> Bytes {
        self.body.clone().unwrap_or_else(|| Bytes::copy_from_slice(self.body()))
    }

    /// What the broker reads of the properties.
    pub fn traits(&self) -> Traits {
        self.traits
    }

    /// When it came, milliseconds since 1970.
    pub fn published_at_ms(&self) -> u64 {
        self.published_at_ms
    }

    /// The parts that [`Message::new`] takes.
    pub fn parts(&self) -> Parts<'_> {
        let (exchange, routing_key) = (self.exchange(), self.routing_key());
        Parts { exchange, routing_key, properties: self.properties() }
    }

    /// What it holds of the memory, about: bytes.
    pub fn footprint(&self) -> usize {
        size_of::<Self>() + self.head.len() + self.body.as_ref().map_or(0, Bytes::len)
    }

    fn text(&self, from: usize, to: usize) -> &str {
        self.head.get(from..to).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: Parts<'_> = Parts { exchange: "logs", routing_key: "a.b", properties: &[0x10, 0, 2] };

    #[test]
    fn what_was_put_in_comes_out() {
        for length in [0, 10, INLINE_BODY_BYTES_MAX, INLINE_BODY_BYTES_MAX + 1] {
            let body = Bytes::from(vec![7; length]);
            let message = Message::new(PARTS, body.clone(), Traits::default(), 5);
            assert_eq!(message.exchange(), "logs");
            assert_eq!(message.routing_key(), "a.b");
            assert_eq!(message.properties(), PARTS.properties);
            assert_eq!(message.body(), &body[..]);
            assert_eq!(message.body_bytes(), body);
            assert_eq!(message.shared_body().is_some(), length > INLINE_BODY_BYTES_MAX);
        }
    }
}
