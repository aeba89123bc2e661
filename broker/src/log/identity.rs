//! Who a log is: the file `identity` of its directory. Its id is made with the directory, its fencing number rises with
//! each opening.
//!
//! The file is text, for people; its last line is the checksum of the lines before it.

use std::{fmt, str::FromStr};

use super::FORMAT;

/// Random, made with the directory; it follows a log that moves.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId([u8; 16]);

impl LogId {
    /// From its bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// From random bytes: marked as a UUID of version 4 (RFC 9562, section 5.4).
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        let [_, _, _, _, _, _, six, _, eight, ..] = &mut bytes;
        *six = (*six & 0x0f) | 0x40;
        *eight = (*eight & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LogId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        let mut bytes = [0; 16];
        if text.len() != 36 || digits.len() != 32 {
            return Err(IdentityError::Malformed);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| IdentityError::Malformed)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| IdentityError::Malformed)?;
        }
        Ok(Self(bytes))
    }
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Of the log.
    pub log: LogId,
    /// Of its last opening.
    pub fencing: u64,
    /// The virtual host that it belongs to.
    pub vhost: String,
}

/// Why it cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Changed from outside, or half there.
    #[error("the file `identity` is damaged: restore it from a copy")]
    Malformed,
    /// Written by a later version.
    #[error("the log has format {0}, this version knows {FORMAT}: use a newer weft")]
    Newer(u32),
}

impl Identity {
    /// The text of the file.
    pub fn encode(&self) -> String {
        let Self { log, fencing, vhost } = self;
        let vhost: String = vhost.escape_default().collect();
        let text = format!("weft-log {FORMAT}\nlog {log}\nfencing {fencing}\nvhost {vhost}\n");
        let crc = crc32c::crc32c(text.as_bytes());
        format!("{text}crc32c {crc:08x}\n")
    }

    /// Reads it; `vhost` is compared by the caller.
    ///
    /// # Errors
    /// If it is damaged, or of a later format.
    pub fn decode(text: &str) -> Result<Self, IdentityError> {
        let malformed = IdentityError::Malformed;
        let body = text.rfind("crc32c ").ok_or(malformed)?;
        let (covered, crc) = text.split_at_checked(body).ok_or(malformed)?;
        if crc != format!("crc32c {:08x}\n", crc32c::crc32c(covered.as_bytes())) {
            return Err(malformed);
        }
        let mut lines = covered.lines();
        let mut field = |name: &str| {
            let line = lines.next().ok_or(malformed)?;
            line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')).ok_or(malformed)
        };
        let format: u32 = field("weft-log")?.parse().map_err(|_| malformed)?;
        if format > FORMAT {
            return Err(IdentityError::Newer(format));
        }
        let log = field("log")?.parse()?;
        let fencing = field("fencing")?.parse().map_err(|_| malformed)?;
        let vhost = unescape(field("vhost")?).ok_or(malformed)?;
        Ok(Self { log, fencing, vhost })
    }
}

/// The way back from `escape_default`.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = escape.chars();
        match chars.next()? {
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'n' => out.push('\n'),
            'u' => {
                let (digits, after) = chars.as_str().strip_prefix('{')?.split_once('}')?;
                out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
                chars = after.chars();
            }
            plain @ ('\\' | '\'' | '"') => out.push(plain),
            _ => return None,
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_identity_comes_back(bytes: [u8; 16], fencing: u64, vhost in ".*") {
            let identity = Identity { log: LogId::from_random(bytes), fencing, vhost };
            prop_assert_eq!(Identity::decode(&identity.encode()), Ok(identity));
        }
    }

    #[test]
    fn a_later_format_is_refused_by_name() {
        let text = "weft-log 99\nlog x\n";
        let text = format!("{text}crc32c {:08x}\n", crc32c::crc32c(text.as_bytes()));
        let error = Identity::decode(&text).unwrap_err();
        assert_eq!(error, IdentityError::Newer(99));
        assert!(error.to_string().contains("format 99"));
    }

    #[test]
    fn a_changed_file_is_refused() {
        let text = Identity { log: LogId::from_bytes([1; 16]), fencing: 4, vhost: "/".into() }.encode();
        assert_eq!(Identity::decode(&text.replace("fencing 4", "fencing 5")), Err(IdentityError::Malformed));
        assert_eq!(Identity::decode(""), Err(IdentityError::Malformed));
    }
}
