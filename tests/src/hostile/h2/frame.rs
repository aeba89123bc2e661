//! Frames (RFC 9113 section 4) as bytes, without any rule about when they may come.

/// The client's first bytes.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Before each payload.
const HEAD_LENGTH: usize = 9;

/// Types of frames.
pub const DATA: u8 = 0;
/// See [`DATA`].
pub const HEADERS: u8 = 1;
/// See [`DATA`].
pub const PRIORITY: u8 = 2;
/// See [`DATA`].
pub const RST_STREAM: u8 = 3;
/// See [`DATA`].
pub const SETTINGS: u8 = 4;
/// See [`DATA`].
pub const PUSH_PROMISE: u8 = 5;
/// See [`DATA`].
pub const PING: u8 = 6;
/// See [`DATA`].
pub const GOAWAY: u8 = 7;
/// See [`DATA`].
pub const WINDOW_UPDATE: u8 = 8;
/// See [`DATA`].
pub const CONTINUATION: u8 = 9;

/// Flags: the end of a stream, of DATA and HEADERS; of PING and SETTINGS, an answer.
pub const END_STREAM: u8 = 1;
/// See [`END_STREAM`].
pub const ACK: u8 = 1;
/// The end of a header block.
pub const END_HEADERS: u8 = 4;
/// With padding.
pub const PADDED: u8 = 8;
/// With priority fields.
pub const PRIORITISED: u8 = 0x20;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What follows.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Takes one from the front of `bytes`, once it is there whole.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let head: [u8; HEAD_LENGTH] = bytes.get(..HEAD_LENGTH)?.try_into().ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let payload = bytes.get(HEAD_LENGTH..HEAD_LENGTH + length)?.to_vec();
        bytes.drain(..HEAD_LENGTH + length);
        Some(Self { kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff, payload })
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The number at a place of the payload; 0 where there is none.
    pub fn number(&self, at: usize) -> u32 {
        let bytes = self.payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u32::from_be_bytes(bytes.unwrap_or_default())
    }

    /// The payload without padding and priority.
    pub fn content(&self) -> &[u8] {
        let (mut start, mut padding) = (0, 0);
        if self.has(PADDED) && matches!(self.kind, DATA | HEADERS) {
            padding = self.payload.first().copied().map(usize::from).unwrap_or_default();
            start += 1;
        }
        if self.has(PRIORITISED) && self.kind == HEADERS {
            start += 5;
        }
        let end = self.payload.len().saturating_sub(padding).max(start);
        self.payload.get(start..end).unwrap_or_default()
    }
}

/// The bytes of a frame whose length field says the truth.
pub fn write(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    write_claiming(length, kind, flags, stream, payload)
}

/// The bytes of a frame whose length field says `length`.
pub fn write_claiming(length: u32, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = length.to_be_bytes();
    let mut bytes = vec![a, b, c, kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
