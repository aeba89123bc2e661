//! Parameters of a query, read where they stand. Names and values are percent-decoded before they are compared;
//! `+` stays a plus.

use std::borrow::Cow;

/// The first parameter of this name; one without `=` is empty.
pub(super) fn first<'a>(query: &'a str, name: &str) -> Option<Cow<'a, [u8]>> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| *decode(key) == *name.as_bytes())
        .map(|(_, value)| decode(value))
}

/// An escape that is none stays as it is; a copy is made only where there are escapes.
fn decode(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.contains(&b'%') {
        return Cow::Borrowed(bytes);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        rest = match rest {
            [] => return Cow::Owned(decoded),
            [b'%', high, low, after @ ..] if let (Some(high), Some(low)) = (digit(*high), digit(*low)) => {
                decoded.push(high << 4 | low);
                after
            }
            [byte, after @ ..] => {
                decoded.push(*byte);
                after
            }
        };
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(query: &str, name: &str) -> Option<String> {
        first(query, name).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    #[test]
    fn the_first_of_a_repeated_parameter_counts() {
        assert_eq!(value("a=1&b=2&a=3", "a").as_deref(), Some("1"));
        assert_eq!(value("a=1&b", "b").as_deref(), Some(""));
        assert_eq!(value("a=1=2", "a").as_deref(), Some("1=2"));
        assert_eq!(value("aa=1", "a"), None);
        assert_eq!(value("", "a"), None);
    }

    #[test]
    fn escapes_are_decoded_and_what_is_none_stays() {
        assert_eq!(value("na%6De=a%20b+c", "name").as_deref(), Some("a b+c"));
        assert_eq!(value("a=%&b=%4&c=%zz", "a").as_deref(), Some("%"));
        assert_eq!(value("a=%&b=%4&c=%zz", "b").as_deref(), Some("%4"));
        assert_eq!(value("a=%&b=%4&c=%zz", "c").as_deref(), Some("%zz"));
    }
}
