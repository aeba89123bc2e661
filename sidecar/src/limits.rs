//! What clients of the data path may do, by name: plain values that listeners and calls decide with. Every
//! default is a commented constant; `limits:` and `headers:` of the file change them.

use std::time::Duration;

/// Header fields of one request, at most (Envoy's and hyper's default).
pub const HEADER_COUNT_MAX: usize = 100;
/// The largest request head that is carried: target, names and values, in bytes. What reads the wire allows
/// twice as much, so that a head over this limit is answered by its name.
pub const HEADER_BYTES_MAX: usize = 64 * 1_024;
/// The longest request target, in bytes: HAProxy's line fits its 16 KiB buffer, nginx's 8 KiB; twice as much
/// is still no page of anyone's.
pub const REQUEST_LINE_BYTES_MAX: usize = 32 * 1_024;
/// Connections on one port of one thread, at most; more wait to be let in.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Streams that a client may have open on one HTTP/2 connection.
pub const STREAMS_MAX: u32 = 1_024;
/// Streams that a client may have opened and reset before they were answered: a burst of cancellations is well
/// below it, a flood of them (CVE-2023-44487) ends the connection.
pub const STREAM_RESETS_MAX: usize = 128;
/// From the first byte of a request head to its last: nobody types it.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// An HTTP/1 body that stands still for so long, while it is waited for, is given up (nginx's time between two
/// reads).
pub const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// A client that takes nothing of its answer for so long is given up (nginx's time between two writes).
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// An HTTP/1 connection without a request. Longer than pools keep an idle connection, so that it is the sending
/// side that closes.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// All of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Header fields of one request.
    pub header_count_max: usize,
    /// Target, names and values of one request, in bytes.
    pub header_bytes_max: usize,
    /// The target of one request, in bytes.
    pub request_line_bytes_max: usize,
    /// The body of one request, in bytes; `None` = whatever is sent: bodies stream, they are not kept.
    pub body_bytes_max: Option<u64>,
    /// Connections on one port of one thread.
    pub connections_max: usize,
    /// Open streams on one HTTP/2 connection.
    pub streams_max: u32,
    /// Streams that may be waiting although their client has reset them.
    pub stream_resets_max: usize,
    /// To the end of a request head that has begun.
    pub header_timeout: Duration,
    /// For an HTTP/1 body to make progress.
    pub body_timeout: Duration,
    /// For a client to take more of its answer.
    pub write_timeout: Duration,
    /// For an HTTP/1 connection without a request.
    pub idle_timeout: Duration,
    /// For bytes that are relayed, both ways silent; `None` = as long as both sides stay.
    pub relay_idle_timeout: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_count_max: HEADER_COUNT_MAX,
            header_bytes_max: HEADER_BYTES_MAX,
            request_line_bytes_max: REQUEST_LINE_BYTES_MAX,
            body_bytes_max: None,
            connections_max: CONNECTIONS_MAX,
            streams_max: STREAMS_MAX,
            stream_resets_max: STREAM_RESETS_MAX,
            header_timeout: HEADER_TIMEOUT,
            body_timeout: BODY_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            relay_idle_timeout: None,
        }
    }
}

impl Limits {
    /// What is read of a request head before the connection is given up, in bytes.
    pub(crate) const fn header_bytes_read(&self) -> usize {
        self.header_bytes_max.saturating_mul(2)
    }
}

/// What is said of the way that a message took. Nothing by default, as Envoy and Linkerd do: two sidecars are
/// no station that an application should see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderPolicy {
    /// The name that `Via` gives this sidecar (RFC 9110 section 7.6.3); `None` = no `Via`.
    pub via: Option<String>,
    /// What inbound says of its caller.
    pub forwarded: Forwarded,
}

/// What inbound does with `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forwarded {
    /// They pass as they came.
    #[default]
    Off,
    /// The caller's address is added to what came.
    Append,
    /// What came is removed, and the caller's address is told.
    Replace,
}

impl Forwarded {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Append => "append",
            Self::Replace => "replace",
        }
    }
}
