//! Which of the headers that mean something to the mesh a head has, told by one walk over it. Most requests have
//! hardly any of them, and each one that is looked for by its name costs a hash; what is decided from a head asks
//! here first. Whoever adds or removes such a header afterwards knows it, or walks again.

use http::{HeaderMap, HeaderName};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields {
    set: u32,
    /// Names and values, in bytes.
    bytes: usize,
}

/// One header, or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field(u32);

impl Field {
    pub(crate) const HOST: Self = Self(1);
    /// More than one line of it.
    pub(crate) const HOSTS: Self = Self(1 << 1);
    pub(crate) const CONTENT_LENGTH: Self = Self(1 << 2);
    pub(crate) const CONTENT_TYPE: Self = Self(1 << 3);
    pub(crate) const TRANSFER_ENCODING: Self = Self(1 << 4);
    pub(crate) const CONNECTION: Self = Self(1 << 5);
    pub(crate) const UPGRADE: Self = Self(1 << 6);
    pub(crate) const TE: Self = Self(1 << 7);
    /// Meant for one hop, whoever sent it: `keep-alive` and `proxy-connection`.
    pub(crate) const HOP_BY_HOP: Self = Self(1 << 8);
    pub(crate) const EXPECT: Self = Self(1 << 9);
    pub(crate) const PROXY_AUTHORIZATION: Self = Self(1 << 10);
    /// A name of the mesh: `weft-` and anything.
    pub(crate) const MESH: Self = Self(1 << 11);
    pub(crate) const REQUEST_ID: Self = Self(1 << 12);
    pub(crate) const IDEMPOTENCY_KEY: Self = Self(1 << 13);
    pub(crate) const GRPC_TIMEOUT: Self = Self(1 << 14);
    /// A framing field under the name by which a gateway that makes variables of fields reads it too.
    pub(crate) const DISGUISED: Self = Self(1 << 15);
    /// A value with white space at an end, whatever its name.
    pub(crate) const PADDED: Self = Self(1 << 16);
    /// Where a trace may be named.
    pub(crate) const TRACE: Self = Self(1 << 17);

    /// Both.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What a name is; nothing, for most.
    fn of(name: &HeaderName) -> Self {
        match name.as_str() {
            "host" => Self::HOST,
            "content-length" => Self::CONTENT_LENGTH,
            "content-type" => Self::CONTENT_TYPE,
            "transfer-encoding" => Self::TRANSFER_ENCODING,
            "connection" => Self::CONNECTION,
            "upgrade" => Self::UPGRADE,
            "te" => Self::TE,
            "keep-alive" | "proxy-connection" => Self::HOP_BY_HOP,
            "expect" => Self::EXPECT,
            "proxy-authorization" => Self::PROXY_AUTHORIZATION,
            "x-request-id" => Self::REQUEST_ID,
            "idempotency-key" => Self::IDEMPOTENCY_KEY,
            "grpc-timeout" => Self::GRPC_TIMEOUT,
            "content_length" | "transfer_encoding" => Self::DISGUISED,
            "traceparent" | "b3" | "x-b3-traceid" => Self::TRACE,
            name if name.starts_with("weft-") => Self::MESH,
            _ => Self(0),
        }
    }
}

impl Fields {
    /// Looks at every header once.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers {
            let value = value.as_bytes();
            let field = Field::of(name);
            if field == Field::HOST && seen.has(Field::HOST) {
                seen.add(Field::HOSTS);
            }
            seen.add(field);
            if is_space(value.first()) || is_space(value.last()) {
                seen.add(Field::PADDED);
            }
            seen.bytes += name.as_str().len() + value.len();
        }
        seen
    }

    /// Whether there is one of these.
    pub(crate) const fn has(self, any: Field) -> bool {
        self.set & any.0 != 0
    }

    /// One of these was added.
    pub(crate) const fn add(&mut self, field: Field) {
        self.set |= field.0;
    }

    /// Names and values, in bytes.
    pub(crate) const fn bytes(self) -> usize {
        self.bytes
    }
}

fn is_space(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pairs: &[(&'static str, &'static str)]) -> Fields {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        Fields::of(&headers)
    }

    #[test]
    fn a_head_without_them_has_none_and_is_as_long_as_its_names_and_values() {
        let fields = seen(&[("accept", "*/*"), ("user-agent", "x")]);
        assert_eq!(fields, Fields { set: 0, bytes: "accept*/*user-agentx".len() });
    }

    #[test]
    fn each_is_seen_by_its_name() {
        for (name, field) in [
            ("host", Field::HOST),
            ("content-length", Field::CONTENT_LENGTH),
            ("content-type", Field::CONTENT_TYPE),
            ("transfer-encoding", Field::TRANSFER_ENCODING),
            ("connection", Field::CONNECTION),
            ("upgrade", Field::UPGRADE),
            ("te", Field::TE),
            ("keep-alive", Field::HOP_BY_HOP),
            ("proxy-connection", Field::HOP_BY_HOP),
            ("expect", Field::EXPECT),
            ("proxy-authorization", Field::PROXY_AUTHORIZATION),
            ("weft-deadline", Field::MESH),
            ("x-request-id", Field::REQUEST_ID),
            ("idempotency-key", Field::IDEMPOTENCY_KEY),
            ("grpc-timeout", Field::GRPC_TIMEOUT),
            ("content_length", Field::DISGUISED),
            ("transfer_encoding", Field::DISGUISED),
            ("traceparent", Field::TRACE),
            ("b3", Field::TRACE),
            ("x-b3-traceid", Field::TRACE),
        ] {
            assert_eq!(seen(&[(name, "1")]).set, field.0, "{name}");
        }
    }

    #[test]
    fn a_second_host_and_a_padded_value_show() {
        assert!(!seen(&[("host", "a")]).has(Field::HOSTS));
        assert!(seen(&[("host", "a"), ("x", "1"), ("host", "a")]).has(Field::HOSTS));
        for value in [" a", "a\t", " "] {
            let mut headers = HeaderMap::new();
            headers.insert("x", http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            assert!(Fields::of(&headers).has(Field::PADDED), "{value:?}");
        }
    }
}
