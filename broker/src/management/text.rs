//! Percent-encoding and query strings (RFC 3986, section 2.1; HTML, `application/x-www-form-urlencoded`). Pure.

/// A component of a path: percent-decoded, a plus stays a plus. None where it is no UTF-8.
pub(super) fn decode(component: &str) -> Option<String> {
    bytes(component, false)
}

fn bytes(component: &str, plus_is_space: bool) -> Option<String> {
    let mut decoded = Vec::with_capacity(component.len());
    let mut rest = component.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' if plus_is_space => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// Encodes all but letters, digits and `-._~`.
pub(super) fn encode(component: &str) -> String {
    let mut encoded = String::with_capacity(component.len());
    for byte in component.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The same for the key of a binding, as RabbitMQ's `properties_key` has it: a space is a plus.
pub(super) fn encode_plus(component: &str) -> String {
    encode(component).replace("%20", "+")
}

/// Parameters of a query string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads one; what cannot be decoded is left out.
    pub(super) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((bytes(name, true)?, bytes(value, true)?))
        });
        Self(decoded.collect())
    }

    /// The first value of a name.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// All values of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter says `true`.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.find(name) == Some("true")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_virtual_host_is_one_component() {
        assert_eq!(decode("%2F").as_deref(), Some("/"));
        assert_eq!(decode("a+b%20c").as_deref(), Some("a+b c"));
        assert_eq!(decode("%2"), None);
        assert_eq!(decode("%zz"), None);
        assert_eq!(decode("%ff"), None);
    }

    #[test]
    fn a_query_has_names_values_and_flags() {
        let query = Query::parse("page=2&name=a+b%2Fc&if-unused=true&&x");
        assert_eq!(query.find("page"), Some("2"));
        assert_eq!(query.find("name"), Some("a b/c"));
        assert!(query.is_true("if-unused") && !query.is_true("x"));
        assert_eq!(query.find("x"), Some(""));
        assert_eq!(query.find("y"), None);
        let query = Query::parse("family=a&vhost=%2F&family=b");
        assert_eq!(query.all("family").collect::<Vec<_>>(), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(text in ".{0,20}") {
            let encoded = encode(&text);
            prop_assert!(!encoded.contains('/'));
            prop_assert_eq!(decode(&encoded), Some(text));
        }
    }
}
