//! The headers of a request, kept for another attempt: their bytes in one piece. A copy of the map would count a
//! reference for each name and value, up and down again, for the one request in thousands that is sent twice.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Marks a value that must not be remembered by the compression of HTTP/2.
const SENSITIVE: u32 = 1 << 31;

/// See the module. A header: the lengths of name and value, then both.
#[derive(Debug)]
pub(super) struct KeptHeaders(Vec<u8>);

impl KeptHeaders {
    /// `length` is about how many bytes there are in names and values.
    pub(super) fn of(headers: &HeaderMap, length: usize) -> Self {
        let mut bytes = Vec::with_capacity(length + 64 + headers.len() * 2 * size_of::<u32>());
        for (name, value) in headers {
            let mark = if value.is_sensitive() { SENSITIVE } else { 0 };
            for length in [length_of(name.as_str().as_bytes()), length_of(value.as_bytes()) | mark] {
                bytes.extend_from_slice(&length.to_ne_bytes());
            }
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(value.as_bytes());
        }
        Self(bytes)
    }

    /// The headers, as they were.
    pub(super) fn restore(&self) -> HeaderMap {
        let (mut headers, mut rest) = (HeaderMap::new(), &*self.0);
        while let Some((name, value)) = next(&mut rest) {
            headers.append(name, value);
        }
        headers
    }
}

/// Of what was read from a connection, so far below what the type can say.
fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(0)
}

fn next(rest: &mut &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let name_length = number(rest)?;
    let value_length = number(rest)?;
    let name = take(rest, name_length)?;
    let mut value = HeaderValue::from_bytes(take(rest, value_length & !SENSITIVE)?).ok()?;
    value.set_sensitive(value_length & SENSITIVE != 0);
    Some((HeaderName::from_bytes(name).ok()?, value))
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u32::from_ne_bytes(*number))
}

fn take<'a>(rest: &mut &'a [u8], length: u32) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = behind;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_kept_comes_back(
            pairs in prop::collection::vec(
                ("[a-z][a-z0-9-]{0,20}", prop::collection::vec(0x20_u8..=0xff, 0..40), any::<bool>()),
                0..20,
            )
        ) {
            let mut headers = HeaderMap::new();
            for (name, value, is_sensitive) in &pairs {
                let Ok(mut value) = HeaderValue::from_bytes(value) else { continue };
                value.set_sensitive(*is_sensitive);
                headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
            }
            let restored = KeptHeaders::of(&headers, 0).restore();
            prop_assert_eq!(&restored, &headers);
            let marks = |headers: &HeaderMap| headers.values().map(HeaderValue::is_sensitive).collect::<Vec<_>>();
            prop_assert_eq!(marks(&restored), marks(&headers));
        }
    }
}
