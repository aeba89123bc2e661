//! The hop header: what opens every connection between two sidecars. 8 magic bytes, a length, a protobuf
//! [`proto::Hop`]; sent with the first bytes, no round trip. Sans-IO: it takes bytes and gives bytes.
//!
//! ```text
//!  0        8      10            10 + length
//!  │ magic  │ u16  │ proto::Hop  │ bytes of the protocol that the hop names …
//! ```
//!
//! For opaque protocols the other side answers one status byte once the application has accepted; the
//! application's own bytes follow it.

use bytes::{Bytes, BytesMut};
use prost::Message;
use weft_model::{
    endpoint::Protocol,
    error_code::ErrorCode,
    name::{NameError, ServiceName},
};
use weft_proto::weft::v1 as proto;

/// No HTTP/1 method, no HTTP/2 preface, no TLS record and no AMQP header begins with a zero byte. The sixth
/// byte is the version; the line break catches a transport that translates text.
pub const MAGIC: [u8; 8] = *b"\0WEFT\x01\r\n";
/// The longest message that is read, in bytes: names are short, and a stranger must not make us wait for 64 KiB.
pub const MESSAGE_LENGTH_MAX: usize = 2_048;
/// Magic and length, in bytes.
const PREFIX_LENGTH: usize = MAGIC.len() + 2;

/// Who is called, and what is spoken after the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The service.
    pub service: ServiceName,
    /// The port's name; empty = the first.
    pub port_name: String,
    /// `Http`, `Http2`, `Tcp` or `Amqp`.
    pub protocol: Protocol,
    /// Who calls, for people and logs.
    pub source: String,
}

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Could be a hop header; more bytes are needed.
    NeedMore,
    /// No hop header.
    Absent,
    /// A whole header, and how many bytes it took.
    Hop(Hop, usize),
}

/// A hop header that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum HopError {
    /// Longer than any that we send.
    #[error("hop header of {0} bytes; at most {MESSAGE_LENGTH_MAX} are read")]
    TooLong(usize),
    /// No protobuf message.
    #[error("hop header is not readable")]
    Unreadable(#[from] prost::DecodeError),
    /// It names no service.
    #[error("hop header names no service")]
    Name(#[from] NameError),
    /// It names a protocol that a hop cannot carry.
    #[error("hop header names protocol {0}, which no hop carries")]
    Protocol(i32),
}

/// What inbound answers on an opaque connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The application has accepted.
    Accepted,
    /// It has not, and saw nothing of the connection: safe to try elsewhere.
    Refused(ErrorCode),
}

impl Hop {
    /// The header's bytes.
    pub fn encode(&self) -> Bytes {
        let message = proto::Hop {
            service: self.service.name.as_str().to_owned(),
            namespace: self.service.namespace.as_str().to_owned(),
            port_name: self.port_name.clone(),
            protocol: match self.protocol {
                Protocol::Http2 | Protocol::Grpc => proto::Protocol::Http2,
                Protocol::Tcp => proto::Protocol::Tcp,
                Protocol::Amqp => proto::Protocol::Amqp,
                Protocol::Http | Protocol::Auto => proto::Protocol::Http,
            }
            .into(),
            source: self.source.clone(),
            vhost: String::new(),
        };
        let length = u16::try_from(message.encoded_len()).unwrap_or(u16::MAX);
        let mut bytes = BytesMut::with_capacity(PREFIX_LENGTH + message.encoded_len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&message.encode_to_vec());
        bytes.freeze()
    }

    fn from_message(message: proto::Hop) -> Result<Self, HopError> {
        let protocol = match proto::Protocol::try_from(message.protocol) {
            Ok(proto::Protocol::Http) => Protocol::Http,
            Ok(proto::Protocol::Http2 | proto::Protocol::Grpc) => Protocol::Http2,
            Ok(proto::Protocol::Tcp) => Protocol::Tcp,
            Ok(proto::Protocol::Amqp) => Protocol::Amqp,
            _ => return Err(HopError::Protocol(message.protocol)),
        };
        let service = ServiceName::new(&message.service, &message.namespace)?;
        Ok(Self { service, port_name: message.port_name, protocol, source: message.source })
    }
}

/// Looks for a hop header at the start of a connection.
///
/// # Errors
/// When the magic is there and what follows is not a header.
pub fn decode(bytes: &[u8]) -> Result<Decoded, HopError> {
    let seen = bytes.len().min(MAGIC.len());
    if bytes.get(..seen) != MAGIC.get(..seen) {
        return Ok(Decoded::Absent);
    }
    let Some((&[high, low], rest)) = bytes.get(MAGIC.len()..).and_then(<[u8]>::split_first_chunk::<2>) else {
        return Ok(Decoded::NeedMore);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MESSAGE_LENGTH_MAX {
        return Err(HopError::TooLong(length));
    }
    match rest.get(..length) {
        Some(message) => {
            Ok(Decoded::Hop(Hop::from_message(proto::Hop::decode(message)?)?, PREFIX_LENGTH + length))
        }
        None => Ok(Decoded::NeedMore),
    }
}

impl Status {
    /// The byte on the wire.
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Refused(ErrorCode::WrongEndpoint) => 2,
            Self::Refused(ErrorCode::Overloaded) => 3,
            Self::Refused(ErrorCode::Draining) => 4,
            Self::Refused(ErrorCode::DeniedByPolicy) => 5,
            Self::Refused(_) => 1,
        }
    }

    /// From the byte on the wire; one that a newer sidecar sends is a refusal of unknown kind.
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Accepted,
            2 => Self::Refused(ErrorCode::WrongEndpoint),
            3 => Self::Refused(ErrorCode::Overloaded),
            4 => Self::Refused(ErrorCode::Draining),
            5 => Self::Refused(ErrorCode::DeniedByPolicy),
            _ => Self::Refused(ErrorCode::ConnectFailed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hop() -> Hop {
        Hop {
            service: "orders.shop".parse().unwrap(),
            port_name: "grpc".into(),
            protocol: Protocol::Http2,
            source: "shop/front/1".into(),
        }
    }

    #[test]
    fn a_header_is_read_wherever_it_is_split() {
        let mut bytes = hop().encode().to_vec();
        let length = bytes.len();
        bytes.extend_from_slice(b"GET / HTTP/1.1\r\n");
        for end in 0..length {
            assert_eq!(decode(&bytes[..end]).unwrap(), Decoded::NeedMore, "{end}");
        }
        for end in length..bytes.len() {
            assert_eq!(decode(&bytes[..end]).unwrap(), Decoded::Hop(hop(), length));
        }
    }

    #[test]
    fn what_other_protocols_begin_with_is_no_header() {
        for bytes in
            [&b"GET / HTTP/1.1\r\n"[..], b"PRI * HTTP/2.0", b"\x16\x03\x01\x02", b"AMQP\0\0\x09\x01", b"\0W3"]
        {
            assert_eq!(decode(bytes).unwrap(), Decoded::Absent);
        }
    }

    #[test]
    fn a_header_that_is_too_long_or_names_nothing_is_refused() {
        let mut long = MAGIC.to_vec();
        long.extend_from_slice(&[0xff, 0xff]);
        assert!(matches!(decode(&long), Err(HopError::TooLong(65_535))));
        let mut empty = MAGIC.to_vec();
        empty.extend_from_slice(&[0, 0]);
        assert!(decode(&empty).is_err());
    }

    #[test]
    fn a_status_survives_its_byte() {
        for status in [
            Status::Accepted,
            Status::Refused(ErrorCode::WrongEndpoint),
            Status::Refused(ErrorCode::ConnectFailed),
        ] {
            assert_eq!(Status::from_byte(status.to_byte()), status);
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(garbage: Vec<u8>, with_magic: bool) {
            let mut bytes = if with_magic { MAGIC.to_vec() } else { Vec::new() };
            bytes.extend_from_slice(&garbage);
            let _ = decode(&bytes);
        }
    }
}
