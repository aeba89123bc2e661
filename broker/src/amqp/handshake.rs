//! How a connection begins, from both sides: what client and server have to agree on before the first channel. Owns the
//! protocol header, the limits and the capabilities; the order of methods is with [`server`] and [`client`], the
//! mechanisms with [`sasl`]. Knows no user and no virtual host: it asks.
//!
//! ```text
//!  client                                                   server
//!     │ ── AMQP 0 0 9 1 ───────────────────────────────────▶ │
//!     │ ◀──────────────────────────────────────────── start  │
//!     │ ── start-ok ───────────────────────────────────────▶ │
//!     │ ◀──────────────── secure, as often as it needs ────  │
//!     │ ── secure-ok ──────────────────────────────────────▶ │
//!     │ ◀───────────────────────────────────────────── tune  │
//!     │ ── tune-ok, open ──────────────────────────────────▶ │
//!     │ ◀────────────────────────────────────────── open-ok  │
//! ```

use crate::amqp::{
    frame::{FRAME_MAX_DEFAULT, FRAME_MAX_LEAST},
    reply::{Refusal, ReplyCode},
    table::RawTable,
    value::{FieldTable, FieldValue},
};

pub mod client;
pub mod sasl;
pub mod server;

#[cfg(test)]
mod tests;

/// What a client sends first.
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";
/// The header of AMQP 0-9 as some old clients send it: RabbitMQ goes on as with 0-9-1.
const PROTOCOL_HEADER_0_9: [u8; 8] = *b"AMQP\x01\x01\x00\x09";
/// The highest channel number offered: RabbitMQ's default.
pub const CHANNEL_MAX_DEFAULT: u16 = 2_047;
/// The lowest that may be agreed on.
const CHANNEL_MAX_LEAST: u16 = 1;
/// Seconds between heartbeats offered: RabbitMQ's default.
pub const HEARTBEAT_SECONDS_DEFAULT: u16 = 60;

/// What counts on a connection; 0 is no limit, or no heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// The highest channel number.
    pub channel_max: u16,
    /// Octets of a frame.
    pub frame_max: u32,
    /// Seconds between heartbeats.
    pub heartbeat_seconds: u16,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            channel_max: CHANNEL_MAX_DEFAULT,
            frame_max: FRAME_MAX_DEFAULT,
            heartbeat_seconds: HEARTBEAT_SECONDS_DEFAULT,
        }
    }
}

impl Tuning {
    /// Judges the client's `answer` to this offer: limits may be lowered, the heartbeat is the client's to choose.
    fn judge(self, answer: Self) -> Result<Self, Refusal> {
        let frame_max = (answer.frame_max, FRAME_MAX_LEAST, self.frame_max);
        negotiated("frame_max", frame_max, "")?;
        let channel_max = (answer.channel_max.into(), CHANNEL_MAX_LEAST.into(), self.channel_max.into());
        negotiated("channel_max", channel_max, " (no limit)")?;
        Ok(answer)
    }

    /// A client's answer to `offer`: the lower of both, where 0 is no limit.
    fn answer(self, offer: Self) -> Self {
        let lower = |ours: u32, theirs: u32| {
            if ours == 0 || theirs == 0 { ours.max(theirs) } else { ours.min(theirs) }
        };
        let short = |ours: u16, theirs: u16| u16::try_from(lower(ours.into(), theirs.into())).unwrap_or(ours);
        Self {
            channel_max: short(self.channel_max, offer.channel_max),
            frame_max: lower(self.frame_max, offer.frame_max),
            heartbeat_seconds: short(self.heartbeat_seconds, offer.heartbeat_seconds),
        }
    }
}

/// 530 with RabbitMQ's words where a client's value is outside of what is allowed.
fn negotiated(name: &str, (value, least, most): (u32, u32, u32), zero: &str) -> Result<(), Refusal> {
    let detail = if value == 0 { zero } else { "" };
    let wrong = if value != 0 && value < least {
        format!("negotiated {name} = {value}{detail} is lower than the minimum allowed value ({least})")
    } else if most != 0 && (value == 0 || value > most) {
        format!("negotiated {name} = {value}{detail} is higher than the maximum allowed value ({most})")
    } else {
        return Ok(());
    };
    Err(Refusal::new(ReplyCode::NotAllowed, wrong).by(crate::amqp::method::connection::Tune::IDS))
}

/// What a peer can do beyond the specification, of the table `capabilities` in its properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// It wants `connection.close` when its login is refused.
    pub authentication_failure_close: bool,
    /// It wants `basic.cancel` when a consumer's queue is gone.
    pub consumer_cancel_notify: bool,
    /// It wants `connection.blocked`.
    pub connection_blocked: bool,
    /// It understands `basic.nack`.
    pub basic_nack: bool,
    /// It knows confirms.
    pub publisher_confirms: bool,
}

impl Capabilities {
    /// Of a peer's properties.
    pub fn of(properties: RawTable<'_>) -> Self {
        let table = properties.find("capabilities").and_then(|value| value.as_table()).unwrap_or_default();
        let can = |name: &str| table.find(name).and_then(|value| value.as_bool()).unwrap_or_default();
        Self {
            authentication_failure_close: can("authentication_failure_close"),
            consumer_cancel_notify: can("consumer_cancel_notify"),
            connection_blocked: can("connection.blocked"),
            basic_nack: can("basic.nack"),
            publisher_confirms: can("publisher_confirms"),
        }
    }
}

/// What a server says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Product<'a> {
    /// Its name.
    pub product: &'a str,
    /// Its version; clients decide by it what they may ask.
    pub version: &'a str,
    /// What it runs on.
    pub platform: &'a str,
    /// Whose it is.
    pub copyright: &'a str,
    /// Where more is said.
    pub information: &'a str,
    /// The cluster's name.
    pub cluster_name: &'a str,
}

/// The server properties as RabbitMQ gives them, in its order.
pub fn server_properties(product: &Product<'_>) -> FieldTable {
    let capabilities = [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ];
    let capabilities = capabilities.map(|name| (name.to_owned(), FieldValue::Bool(true)));
    let mut table = FieldTable::new();
    table.push("capabilities".to_owned(), FieldValue::Table(capabilities.into_iter().collect()));
    let texts = [
        ("cluster_name", product.cluster_name),
        ("copyright", product.copyright),
        ("information", product.information),
        ("platform", product.platform),
        ("product", product.product),
        ("version", product.version),
    ];
    for (name, text) in texts {
        table.push(name.to_owned(), FieldValue::text(text));
    }
    table
}

/// A peer once the connection is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peer {
    /// Its properties as it sent them: a table's bytes, checked.
    pub properties: Vec<u8>,
    /// What it can do.
    pub capabilities: Capabilities,
}

impl Peer {
    fn of(properties: RawTable<'_>) -> Self {
        Self { properties: properties.bytes().to_vec(), capabilities: Capabilities::of(properties) }
    }

    /// Its properties.
    pub fn properties(&self) -> RawTable<'_> {
        RawTable::new(&self.properties)
    }
}
