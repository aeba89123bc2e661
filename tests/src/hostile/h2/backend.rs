//! A backend that is spoken to in HTTP/2: it keeps what each stream brought, reads it strictly, and answers 200.

use std::collections::BTreeMap;

use super::{
    frame::{self, Frame, write},
    hpack::{self, Decoder, Field},
};
use crate::hostile::strict::Message;

/// What one stream has brought.
#[derive(Debug, Default)]
struct Stream {
    fields: Vec<Field>,
    trailers: Vec<Field>,
    body: Vec<u8>,
}

/// What the connection has to do after some bytes.
#[derive(Debug)]
pub enum Event {
    /// A stream begins.
    Begun(u32),
    /// Its request is whole.
    Whole(u32, Result<Message, String>),
    /// It went away.
    Gone(u32),
}

/// The state of one connection. Sans-IO: bytes in, bytes and events out.
#[derive(Debug, Default)]
pub struct Connection {
    bytes: Vec<u8>,
    is_open: bool,
    decoder: Decoder,
    streams: BTreeMap<u32, Stream>,
    /// The block that is not whole yet.
    block: Option<(u32, u8, Vec<u8>)>,
    /// To be sent.
    pub output: Vec<u8>,
}

impl Connection {
    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.bytes.extend_from_slice(bytes);
        if !self.is_open {
            if self.bytes.len() < frame::PREFACE.len() {
                return Vec::new();
            }
            self.bytes.drain(..frame::PREFACE.len());
            self.is_open = true;
            self.output.extend(write(frame::SETTINGS, 0, 0, &[]));
        }
        let mut events = Vec::new();
        while let Some(frame) = Frame::take(&mut self.bytes) {
            self.frame(&frame, &mut events);
        }
        events
    }

    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) {
        match frame.kind {
            frame::SETTINGS if !frame.has(frame::ACK) => {
                self.output.extend(write(frame::SETTINGS, frame::ACK, 0, &[]));
            }
            frame::PING if !frame.has(frame::ACK) => {
                self.output.extend(write(frame::PING, frame::ACK, 0, &frame.payload));
            }
            frame::HEADERS => {
                self.block = Some((frame.stream, frame.flags, frame.content().to_vec()));
                self.block_ends(frame, events);
            }
            frame::CONTINUATION => {
                if let Some((_, _, block)) = &mut self.block {
                    block.extend_from_slice(&frame.payload);
                }
                self.block_ends(frame, events);
            }
            frame::DATA => self.data(frame, events),
            frame::RST_STREAM => {
                self.streams.remove(&frame.stream);
                events.push(Event::Gone(frame.stream));
            }
            _ => {}
        }
    }

    fn block_ends(&mut self, frame: &Frame, events: &mut Vec<Event>) {
        if !frame.has(frame::END_HEADERS) {
            return;
        }
        let Some((number, flags, block)) = self.block.take() else { return };
        let fields =
            self.decoder.decode(&block).unwrap_or_else(|why| vec![(b"\0".to_vec(), why.into_bytes())]);
        match self.streams.get_mut(&number) {
            Some(stream) => stream.trailers = fields,
            None => {
                events.push(Event::Begun(number));
                self.streams.insert(number, Stream { fields, ..Stream::default() });
            }
        }
        if flags & frame::END_STREAM != 0 {
            self.whole(number, events);
        }
    }

    fn data(&mut self, frame: &Frame, events: &mut Vec<Event>) {
        if let Some(stream) = self.streams.get_mut(&frame.stream) {
            stream.body.extend_from_slice(frame.content());
        }
        let length = u32::try_from(frame.payload.len()).unwrap_or_default();
        if length > 0 {
            for stream in [0, frame.stream] {
                self.output.extend(write(frame::WINDOW_UPDATE, 0, stream, &length.to_be_bytes()));
            }
        }
        if frame.has(frame::END_STREAM) {
            self.whole(frame.stream, events);
        }
    }

    fn whole(&mut self, number: u32, events: &mut Vec<Event>) {
        let Some(stream) = self.streams.remove(&number) else { return };
        events.push(Event::Whole(number, strict(&stream)));
        let head = hpack::encode(&[(":status", "200"), ("content-length", "4")]);
        self.output.extend(write(frame::HEADERS, frame::END_HEADERS, number, &head));
        self.output.extend(write(frame::DATA, frame::END_STREAM, number, b"fine"));
    }
}

/// Reads a request as the strictest server would (RFC 9113 section 8.2 and 8.3).
fn strict(stream: &Stream) -> Result<Message, String> {
    let mut message = Message { start: String::new(), fields: Vec::new(), body: stream.body.clone() };
    let mut pseudo: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in &stream.fields {
        let name = std::str::from_utf8(name).map_err(|_| "a name that is no text".to_owned())?;
        check_field(name, value)?;
        if name.starts_with(':') {
            let value = std::str::from_utf8(value).map_err(|_| format!("{name} that is no text"))?;
            if pseudo.insert(name, value).is_some() || !message.fields.is_empty() {
                return Err(format!("{name} twice, or too late"));
            }
        } else {
            message.fields.push((name.to_owned(), value.clone()));
        }
    }
    for (name, value) in &stream.trailers {
        let name = std::str::from_utf8(name).map_err(|_| "a name that is no text".to_owned())?;
        check_field(name, value)?;
        if name.starts_with(':') || matches!(name, "content-length" | "host") {
            return Err(format!("{name} in a trailer"));
        }
    }
    let known = [":method", ":scheme", ":path", ":authority", ":protocol"];
    if let Some(unknown) = pseudo.keys().find(|name| !known.contains(name)) {
        return Err(format!("{unknown}, which is no name of a request"));
    }
    let method = *pseudo.get(":method").ok_or("no :method")?;
    let path = *pseudo.get(":path").ok_or("no :path")?;
    let is_path = path.starts_with('/') || (path == "*" && method == "OPTIONS");
    if !is_path || !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(format!("a :path that is none: {path:?}"));
    }
    let host = message.field("host").map(<[u8]>::to_vec);
    let authority = pseudo.get(":authority").copied();
    match (authority, host) {
        (None, None) => return Err("no host".to_owned()),
        (Some(authority), Some(host)) if authority.as_bytes() != host => return Err("two hosts".to_owned()),
        _ => {}
    }
    if let Some(length) = message.field("content-length") {
        let length: Option<usize> = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
        if length != Some(message.body.len()) {
            return Err(format!("content-length {length:?}, body {}", message.body.len()));
        }
    }
    message.start = format!("{method} {path} HTTP/2");
    message.fields.push(("authority".to_owned(), authority.unwrap_or_default().as_bytes().to_vec()));
    Ok(message)
}

fn check_field(name: &str, value: &[u8]) -> Result<(), String> {
    let is_token =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let bare = name.strip_prefix(':').unwrap_or(name);
    if bare.is_empty() || !bare.bytes().all(is_token) {
        return Err(format!("a name that is none: {name:?}"));
    }
    if matches!(name, "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade") {
        return Err(format!("{name}, which is for one hop"));
    }
    if name == "te" && value != b"trailers" {
        return Err("te other than trailers".to_owned());
    }
    let is_bad = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f;
    let is_padded = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    if value.iter().any(is_bad) || is_padded(value.first()) || is_padded(value.last()) {
        return Err(format!("a value that is none: {}", value.escape_ascii()));
    }
    Ok(())
}
