//! HTTP/2 frames (RFC 9113 section 4.1), read and written; what they mean is told in [`super::link`].

use super::WireError;

/// The bytes before each payload.
pub const HEAD_LENGTH: usize = 9;
/// The default of SETTINGS_MAX_FRAME_SIZE, which we leave as it is.
pub const PAYLOAD_MAX: usize = 16 * 1_024;
/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame's type (section 6).
pub mod kind {
    /// Bytes of a body.
    pub const DATA: u8 = 0;
    /// A block of headers, or of trailers.
    pub const HEADERS: u8 = 1;
    /// A stream is given up.
    pub const RST_STREAM: u8 = 3;
    /// Terms of the connection.
    pub const SETTINGS: u8 = 4;
    /// Are you there?
    pub const PING: u8 = 6;
    /// No more streams.
    pub const GOAWAY: u8 = 7;
    /// More may be sent.
    pub const WINDOW_UPDATE: u8 = 8;
}

/// A frame's flags.
pub mod flag {
    /// The last frame of its stream.
    pub const END_STREAM: u8 = 1;
    /// An answer to SETTINGS or PING.
    pub const ACK: u8 = 1;
    /// The block of headers is whole.
    pub const END_HEADERS: u8 = 4;
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// See [`kind`].
    pub kind: u8,
    /// See [`flag`].
    pub flags: u8,
    /// 0 = the connection.
    pub stream: u32,
    /// Its bytes.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// How many bytes it takes on the wire.
    pub const fn length(&self) -> usize {
        HEAD_LENGTH + self.payload.len()
    }

    /// Whether its stream ends with it.
    pub const fn is_last(&self) -> bool {
        self.flags & flag::END_STREAM != 0
    }
}

/// The first frame of `bytes`; `None` = more is to come.
///
/// # Errors
/// When it is longer than allowed.
pub fn first(bytes: &[u8]) -> Result<Option<Frame<'_>>, WireError> {
    let Some(([l0, l1, l2, kind, flags, s0, s1, s2, s3], rest)) = bytes.split_first_chunk::<HEAD_LENGTH>()
    else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
    if length > PAYLOAD_MAX {
        return Err(WireError::FrameTooLong(length));
    }
    let stream = u32::from_be_bytes([*s0, *s1, *s2, *s3]) & (u32::MAX >> 1);
    let frame = |payload| Frame { kind: *kind, flags: *flags, stream, payload };
    Ok(rest.get(..length).map(frame))
}

/// Appends a frame, whose payload has [`PAYLOAD_MAX`] bytes at most.
pub fn put(out: &mut Vec<u8>, frame: Frame<'_>) {
    let length = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(length.get(1..).unwrap_or_default());
    out.extend_from_slice(&[frame.kind, frame.flags]);
    out.extend_from_slice(&frame.stream.to_be_bytes());
    out.extend_from_slice(frame.payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_and_not_before_it_is_whole() {
        let frame = Frame { kind: kind::DATA, flags: flag::END_STREAM, stream: 5, payload: b"abc" };
        let mut bytes = Vec::new();
        put(&mut bytes, frame);
        assert_eq!(bytes.len(), frame.length());
        assert_eq!(first(&bytes), Ok(Some(frame)));
        for cut in 0..bytes.len() {
            assert_eq!(first(&bytes[..cut]), Ok(None));
        }
        assert_eq!(first(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), Err(WireError::FrameTooLong(65_536)));
    }
}
