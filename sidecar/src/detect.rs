//! What a client speaks, from its first bytes. Sans-IO; who reads, and for how long, is the caller's
//! business.

use std::time::Duration;

/// A client that has not shown what it speaks by then is closed.
pub(crate) const DETECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read before a protocol is settled, in bytes: a first line longer than this is not HTTP
/// that anyone serves.
pub(crate) const DETECT_BYTES_MAX: usize = 16 * 1_024;
/// What opens an HTTP/2 connection with prior knowledge (RFC 9113 section 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What no other protocol's first line has.
const CLAIM: &[u8] = b" HTTP/1.";
/// Length, type, flags and stream of a frame, in bytes.
const H2_FRAME_HEAD: usize = 9;
/// The type of the first frame.
const SETTINGS: u8 = 4;
/// The longest method name that is taken for one; the longest registered is 17 (UPDATEREDIRECTREF).
const METHOD_LENGTH_MAX: usize = 24;

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detected {
    /// Not settled yet.
    NeedMore,
    /// HTTP/1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// Anything else.
    Opaque,
}

/// For a listener where only HTTP is spoken: the first bytes are enough, the server answers what is malformed.
pub fn detect_http(bytes: &[u8]) -> Detected {
    match h2(bytes) {
        // An empty line before a request is to be ignored (RFC 9112 section 2.2), as the server then does.
        Detected::Opaque => match bytes {
            [b'\r'] | [b'\r', b'\n'] => Detected::NeedMore,
            [b'\r', b'\n', first, ..] | [first, ..] if is_method_byte(*first) => Detected::Http1,
            _ => Detected::Opaque,
        },
        known => known,
    }
}

/// For a port where anything may be spoken: HTTP/1 is only what has a whole request line of it.
pub fn detect_any(bytes: &[u8]) -> Detected {
    match h2(bytes) {
        Detected::Opaque => h1(bytes),
        known => known,
    }
}

/// HTTP/2 is its preface and then SETTINGS, with which every client has to begin (RFC 9113 section 3.4).
fn h2(bytes: &[u8]) -> Detected {
    let seen = bytes.len().min(H2_PREFACE.len());
    if bytes.get(..seen) != H2_PREFACE.get(..seen) {
        return Detected::Opaque;
    }
    match bytes.get(H2_PREFACE.len()..H2_PREFACE.len() + H2_FRAME_HEAD) {
        Some([_, _, _, SETTINGS, 0, 0, 0, 0, 0]) => Detected::Http2,
        Some(_) => Detected::Opaque,
        None => Detected::NeedMore,
    }
}

fn h1(bytes: &[u8]) -> Detected {
    let method = bytes.iter().take_while(|byte| is_method_byte(**byte)).count();
    match bytes.get(method) {
        None if method <= METHOD_LENGTH_MAX => return Detected::NeedMore,
        Some(b' ') if method > 0 && method <= METHOD_LENGTH_MAX => {}
        _ => return Detected::Opaque,
    }
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        let printable = bytes.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\r');
        return if printable && bytes.len() < DETECT_BYTES_MAX {
            Detected::NeedMore
        } else {
            Detected::Opaque
        };
    };
    let line = bytes.get(..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let version = line.len().checked_sub(9).and_then(|at| line.get(at..)).unwrap_or_default();
    // What says that it is HTTP and is not quite is answered as such, rather than led past all policy.
    let claims = || line.windows(CLAIM.len()).any(|bytes| bytes == CLAIM);
    if matches!(version, b" HTTP/1.1" | b" HTTP/1.0") || claims() {
        Detected::Http1
    } else {
        Detected::Opaque
    }
}

/// A byte of a token (RFC 9110 section 5.6.2).
fn is_method_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_told_from_its_first_line_however_it_is_split() {
        let request = b"GET /a HTTP/1.1\r\nhost: a\r\n";
        for end in 0..15 {
            assert_eq!(detect_any(&request[..end]), Detected::NeedMore, "{end}");
        }
        assert_eq!(detect_any(request), Detected::Http1);
        let http2 = [H2_PREFACE, b"\0\0\0\x04\0\0\0\0\0"].concat();
        for end in 0..http2.len() {
            assert_eq!(detect_any(&http2[..end]), Detected::NeedMore);
        }
        assert_eq!(detect_any(&http2), Detected::Http2);
        let ping = [H2_PREFACE, b"\0\0\x08\x06\0\0\0\0\0"].concat();
        assert_eq!(detect_any(&ping), Detected::Opaque);
    }

    #[test]
    fn what_claims_to_be_http_is_left_to_its_server() {
        for line in [&b"GET / HTTP/1.1 \r\n"[..], b"GET / HTTP/1.9\n", b"GET  /  HTTP/1.1x\r\n"] {
            assert_eq!(detect_any(line), Detected::Http1, "{line:?}");
        }
    }

    #[test]
    fn what_is_not_http_is_opaque_as_soon_as_it_shows() {
        for bytes in [
            &b"\x16\x03\x01"[..],
            b"AMQP\0\0\x09\x01",
            b"*1\r\n$4\r\nPING",
            b"SELECT 1\n",
            b"EHLO mail.example\r\n",
        ] {
            assert_eq!(detect_any(bytes), Detected::Opaque, "{bytes:?}");
        }
    }

    #[test]
    fn an_http_listener_leaves_malformed_requests_to_its_server() {
        assert_eq!(detect_http(b"GET"), Detected::Http1);
        assert_eq!(detect_http(b"PRI"), Detected::NeedMore);
        assert_eq!(detect_http(b"\x16\x03\x01"), Detected::Opaque);
        for begun in [&b"\r"[..], b"\r\n"] {
            assert_eq!(detect_http(begun), Detected::NeedMore);
        }
        assert_eq!(detect_http(b"\r\nGET"), Detected::Http1);
        assert_eq!(detect_http(b"\r\n\r"), Detected::Opaque);
    }
}
