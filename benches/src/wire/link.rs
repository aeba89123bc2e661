//! One HTTP/2 connection, sans-IO: bytes in, events and bytes out. It keeps the terms of the connection
//! (settings, pings, the peer's window) and knows nothing of requests.
//!
//! ```text
//!   bytes ─▶ feed ─▶ events (headers, data, reset)        put_* ─▶ window ─▶ out
//!                └─▶ out (acknowledgements, windows)                  │ none left
//!                                                                  waiting ─ WINDOW_UPDATE ─▶ out
//! ```

use std::collections::VecDeque;

use super::{
    WireError,
    frame::{self, Frame, flag, kind},
};

/// The window of a connection before anyone says more (RFC 9113 section 6.9.2).
const WINDOW_DEFAULT: i64 = 65_535;
/// What a window can be at most: what we give, so that only the proxy's windows matter.
const WINDOW_MAX: u32 = u32::MAX >> 1;
/// After so many bytes the connection's window is filled up again.
const WINDOW_REFILL: u32 = 1 << 29;
/// The default of SETTINGS_HEADER_TABLE_SIZE, on which our blocks rely.
const TABLE_SIZE: u32 = 4_096;

const SETTINGS_HEADER_TABLE_SIZE: u16 = 1;
const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 4;

/// What a frame means for its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Headers or trailers.
    Headers {
        /// The stream.
        stream: u32,
        /// Nothing follows.
        is_last: bool,
    },
    /// Bytes of a body.
    Data {
        /// The stream.
        stream: u32,
        /// How many.
        length: usize,
        /// Nothing follows.
        is_last: bool,
    },
    /// The peer gives the stream up.
    Reset {
        /// The stream.
        stream: u32,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Link {
    out: Vec<u8>,
    window: i64,
    waiting: VecDeque<Data>,
    received: u32,
    has_table: bool,
}

/// Bytes of a body that wait for the connection's window.
#[derive(Debug, Clone, Copy)]
struct Data {
    stream: u32,
    length: usize,
    /// Trailers to be sent after it.
    end: End,
}

/// How a stream goes on after the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It stays open.
    Open,
    /// With it.
    Last,
    /// With `grpc-status: 0`.
    Trailers,
}

impl Link {
    /// A client's or, without its preface, a server's side.
    pub fn new(is_client: bool) -> Self {
        let mut out = if is_client { frame::PREFACE.to_vec() } else { Vec::new() };
        let mut settings = SETTINGS_INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        settings.extend_from_slice(&WINDOW_MAX.to_be_bytes());
        frame::put(&mut out, Frame { kind: kind::SETTINGS, flags: 0, stream: 0, payload: &settings });
        let mut link =
            Self { out, window: WINDOW_DEFAULT, waiting: VecDeque::new(), received: 0, has_table: true };
        link.put_window(WINDOW_MAX - 65_535);
        link
    }

    /// Whether the peer keeps a table of headers as large as our blocks rely on.
    pub const fn has_table(&self) -> bool {
        self.has_table
    }

    /// Takes the bytes to be written.
    pub fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Reads the first frame of `bytes`: its length, and what it means where that is a stream's affair.
    ///
    /// # Errors
    /// When the peer sends what it must not, or gives up.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<(usize, Option<Event>)>, WireError> {
        let Some(frame) = frame::first(bytes)? else { return Ok(None) };
        let stream = frame.stream;
        let event = match frame.kind {
            kind::HEADERS => Some(Event::Headers { stream, is_last: frame.is_last() }),
            kind::DATA => {
                self.note_received(frame.payload.len());
                Some(Event::Data { stream, length: frame.payload.len(), is_last: frame.is_last() })
            }
            kind::RST_STREAM => Some(Event::Reset { stream }),
            _ => {
                self.terms(frame)?;
                None
            }
        };
        Ok(Some((frame.length(), event)))
    }

    /// Appends a whole block of headers.
    pub fn put_headers(&mut self, stream: u32, block: &[u8], is_last: bool) {
        let flags = flag::END_HEADERS | if is_last { flag::END_STREAM } else { 0 };
        frame::put(&mut self.out, Frame { kind: kind::HEADERS, flags, stream, payload: block });
    }

    /// Appends bytes of a body, as soon as the connection's window lets them. A stream's own window is never
    /// reached: a body has fewer bytes than it has at first.
    pub fn put_data(&mut self, stream: u32, length: usize, end: End) {
        let data = Data { stream, length, end };
        if self.waiting.is_empty() && self.has_window(data) {
            self.put_now(data);
        } else {
            self.waiting.push_back(data);
        }
    }

    fn has_window(&self, data: Data) -> bool {
        i64::try_from(data.length).is_ok_and(|length| length <= self.window)
    }

    fn put_now(&mut self, data: Data) {
        // What fills a body, at most a frame of it.
        static FILLING: [u8; frame::PAYLOAD_MAX] = [b'x'; frame::PAYLOAD_MAX];
        let payload = FILLING.get(..data.length).unwrap_or(&FILLING);
        self.window -= i64::try_from(payload.len()).unwrap_or(i64::MAX);
        let flags = if data.end == End::Last { flag::END_STREAM } else { 0 };
        if !(payload.is_empty() && data.end == End::Trailers) {
            frame::put(&mut self.out, Frame { kind: kind::DATA, flags, stream: data.stream, payload });
        }
        if data.end == End::Trailers {
            let trailers = super::block::plain(&[("grpc-status", "0")]);
            self.put_headers(data.stream, &trailers, true);
        }
    }

    fn terms(&mut self, frame: Frame<'_>) -> Result<(), WireError> {
        let is_ack = frame.flags & flag::ACK != 0;
        match frame.kind {
            kind::SETTINGS if !is_ack => {
                self.has_table &= !has_small_table(frame.payload);
                let ack = Frame { kind: kind::SETTINGS, flags: flag::ACK, stream: 0, payload: &[] };
                frame::put(&mut self.out, ack);
            }
            kind::PING if !is_ack => {
                let ack = Frame { kind: kind::PING, flags: flag::ACK, stream: 0, payload: frame.payload };
                frame::put(&mut self.out, ack);
            }
            kind::WINDOW_UPDATE if frame.stream == 0 => {
                self.window += i64::from(first_u32(frame.payload));
                while let Some(data) = self.waiting.front().copied().filter(|data| self.has_window(*data)) {
                    self.waiting.pop_front();
                    self.put_now(data);
                }
            }
            kind::GOAWAY => {
                return Err(WireError::GoAway(first_u32(frame.payload.get(4..).unwrap_or_default())));
            }
            _ => {}
        }
        Ok(())
    }

    fn note_received(&mut self, length: usize) {
        self.received += u32::try_from(length).unwrap_or(u32::MAX);
        if self.received >= WINDOW_REFILL {
            self.put_window(self.received);
            self.received = 0;
        }
    }

    fn put_window(&mut self, increment: u32) {
        let payload = increment.to_be_bytes();
        let frame = Frame { kind: kind::WINDOW_UPDATE, flags: 0, stream: 0, payload: &payload };
        frame::put(&mut self.out, frame);
    }
}

fn has_small_table(settings: &[u8]) -> bool {
    let (settings, _) = settings.as_chunks::<6>();
    settings.iter().any(|[i0, i1, v0, v1, v2, v3]| {
        u16::from_be_bytes([*i0, *i1]) == SETTINGS_HEADER_TABLE_SIZE
            && u32::from_be_bytes([*v0, *v1, *v2, *v3]) < TABLE_SIZE
    })
}

fn first_u32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `link` makes of all of `bytes`.
    fn events(link: &mut Link, bytes: &[u8]) -> Vec<Event> {
        let (mut at, mut events) = (0, Vec::new());
        while let Some((length, event)) = link.feed(&bytes[at..]).unwrap() {
            at += length;
            events.extend(event);
        }
        assert_eq!(at, bytes.len());
        events
    }

    #[test]
    fn two_links_understand_each_other() {
        let (mut client, mut server) = (Link::new(true), Link::new(false));
        client.put_headers(1, b"\x82", true);
        let sent = client.take_out();
        let seen = events(&mut server, &sent[frame::PREFACE.len()..]);
        assert_eq!(seen, [Event::Headers { stream: 1, is_last: true }]);
        server.put_headers(1, b"\x88", false);
        server.put_data(1, 128, End::Trailers);
        let seen = events(&mut client, &server.take_out());
        assert_eq!(
            seen,
            [
                Event::Headers { stream: 1, is_last: false },
                Event::Data { stream: 1, length: 128, is_last: false },
                Event::Headers { stream: 1, is_last: true },
            ]
        );
        // The settings of both were acknowledged by now, and an acknowledgement is not acknowledged.
        assert_eq!(client.take_out(), [0, 0, 0, kind::SETTINGS, flag::ACK, 0, 0, 0, 0]);
    }

    #[test]
    fn data_waits_for_the_connections_window() {
        let mut link = Link::new(false);
        link.take_out();
        for _ in 0..5 {
            link.put_data(1, 16_384, End::Open);
        }
        let sent = link.take_out().len();
        assert_eq!(sent, 3 * (16_384 + frame::HEAD_LENGTH));
        let mut bytes = Vec::new();
        let payload = 32_768_u32.to_be_bytes();
        frame::put(&mut bytes, Frame { kind: kind::WINDOW_UPDATE, flags: 0, stream: 0, payload: &payload });
        assert_eq!(events(&mut link, &bytes), []);
        assert_eq!(link.take_out().len(), 2 * (16_384 + frame::HEAD_LENGTH));
    }

    #[test]
    fn a_peer_with_a_small_table_is_seen() {
        let mut bytes = Vec::new();
        let payload = [0, 1, 0, 0, 0, 0];
        frame::put(&mut bytes, Frame { kind: kind::SETTINGS, flags: 0, stream: 0, payload: &payload });
        let mut link = Link::new(false);
        assert!(link.has_table());
        assert_eq!(events(&mut link, &bytes), []);
        assert!(!link.has_table());
    }
}
