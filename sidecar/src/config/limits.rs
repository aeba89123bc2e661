//! `limits:` and `headers:` of the file. It must not know what a limit does: the data path does.

use std::time::Duration;

use serde::Deserialize;

use super::{
    Faults,
    faults::clip,
    policy::{NEVER, set, time, time_or_never},
};
use crate::limits::{Forwarded, HeaderPolicy, Limits};

/// The largest head that may be asked for, in bytes: a connection can hold twice as much.
const HEADER_BYTES_CEILING: usize = 1_024 * 1_024;
/// The longest target that the HTTP/1 reader takes, in bytes.
const REQUEST_LINE_CEILING: usize = 65_534;
/// What can be counted of header fields (the map's own limit).
const HEADER_COUNT_CEILING: usize = 16_384;

/// As written. Times are `2s` or `500ms`; `never` where there may be none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    header_count_max: Option<usize>,
    header_bytes_max: Option<usize>,
    request_line_bytes_max: Option<usize>,
    body_bytes_max: Option<RawBytes>,
    connections_max: Option<usize>,
    streams_max: Option<u32>,
    stream_resets_max: Option<usize>,
    header_timeout: Option<String>,
    body_timeout: Option<String>,
    write_timeout: Option<String>,
    idle_timeout: Option<String>,
    relay_idle_timeout: Option<String>,
}

/// A number of bytes, or `never` for none.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "give a number of bytes, or never")]
enum RawBytes {
    Number(u64),
    Word(String),
}

/// As written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHeaders {
    via: Option<String>,
    forwarded: Option<String>,
}

impl RawLimits {
    /// The defaults, and what is said over them.
    pub(super) fn validate(&self, faults: &mut Faults) -> Limits {
        let mut limits = Limits::default();
        let within = |field: &str, said: Option<usize>, most: usize, faults: &mut Faults| {
            let fits = said.filter(|number| (1..=most).contains(number));
            match said {
                Some(_) => faults.keep(field, fits.ok_or(format!("is not between 1 and {most}"))),
                None => None,
            }
        };
        let count = within("limits.header_count_max", self.header_count_max, HEADER_COUNT_CEILING, faults);
        set(&mut limits.header_count_max, count);
        let bytes = within("limits.header_bytes_max", self.header_bytes_max, HEADER_BYTES_CEILING, faults);
        set(&mut limits.header_bytes_max, bytes);
        let line = self.request_line_bytes_max;
        let line = within("limits.request_line_bytes_max", line, REQUEST_LINE_CEILING, faults);
        set(&mut limits.request_line_bytes_max, line);
        set(&mut limits.body_bytes_max, self.body(faults));
        let connections = within("limits.connections_max", self.connections_max, usize::MAX >> 3, faults);
        set(&mut limits.connections_max, connections);
        if self.streams_max == Some(0) {
            faults.add("limits.streams_max", "is 0: no request could be made");
        }
        set(&mut limits.streams_max, self.streams_max);
        let resets = within("limits.stream_resets_max", self.stream_resets_max, usize::MAX, faults);
        set(&mut limits.stream_resets_max, resets);
        self.times(&mut limits, faults);
        limits
    }

    fn times(&self, limits: &mut Limits, faults: &mut Faults) {
        for (field, said, place) in [
            ("limits.header_timeout", &self.header_timeout, &mut limits.header_timeout),
            ("limits.body_timeout", &self.body_timeout, &mut limits.body_timeout),
            ("limits.write_timeout", &self.write_timeout, &mut limits.write_timeout),
            ("limits.idle_timeout", &self.idle_timeout, &mut limits.idle_timeout),
        ] {
            set(place, time(field, said.as_deref(), faults));
        }
        let relay = time_or_never("limits.relay_idle_timeout", self.relay_idle_timeout.as_deref(), faults);
        set::<Option<Duration>>(&mut limits.relay_idle_timeout, relay);
    }

    fn body(&self, faults: &mut Faults) -> Option<Option<u64>> {
        match self.body_bytes_max.as_ref()? {
            RawBytes::Number(0) => {
                faults.add("limits.body_bytes_max", "is 0: give 1 or more, or never");
                None
            }
            RawBytes::Number(bytes) => Some(Some(*bytes)),
            RawBytes::Word(word) if word == NEVER => Some(None),
            RawBytes::Word(word) => {
                let reason = format!("`{}` is neither a number of bytes nor never", clip(word));
                faults.add("limits.body_bytes_max", reason);
                None
            }
        }
    }
}

impl RawHeaders {
    /// The defaults, and what is said over them.
    pub(super) fn validate(&self, faults: &mut Faults) -> HeaderPolicy {
        let via = match self.via.as_deref() {
            None | Some("off") => None,
            Some(name) if is_token(name) => Some(name.to_owned()),
            Some(name) => {
                let reason = format!("`{}` is no name for Via: give letters and digits, or off", clip(name));
                faults.add("headers.via", reason);
                None
            }
        };
        let forwarded = match self.forwarded.as_deref() {
            None | Some("off") => Forwarded::Off,
            Some("append") => Forwarded::Append,
            Some("replace") => Forwarded::Replace,
            Some(other) => {
                let reason = format!("`{}` is none of off, append and replace", clip(other));
                faults.add("headers.forwarded", reason);
                Forwarded::Off
            }
        };
        HeaderPolicy { via, forwarded }
    }
}

/// A pseudonym of RFC 9110 section 7.6.3: a token.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Limits, String> {
        let raw: RawLimits = weft_runtime::config::from_str(text, "x").map_err(|error| error.to_string())?;
        let mut faults = Faults::default();
        let limits = raw.validate(&mut faults);
        if faults.is_empty() { Ok(limits) } else { Err(faults.to_string()) }
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        assert_eq!(parse("").unwrap(), Limits::default());
        let limits =
            parse("{body_bytes_max: 1000, body_timeout: 5s, relay_idle_timeout: 1h, header_count_max: 7}");
        let said = Limits {
            body_bytes_max: Some(1_000),
            body_timeout: Duration::from_secs(5),
            relay_idle_timeout: Some(Duration::from_secs(3_600)),
            header_count_max: 7,
            ..Limits::default()
        };
        assert_eq!(limits.unwrap(), said);
        assert_eq!(parse("{body_bytes_max: never, relay_idle_timeout: never}").unwrap(), Limits::default());
    }

    #[test]
    fn what_cannot_be_is_named() {
        let text = parse(
            "{header_count_max: 0, header_bytes_max: 9999999, request_line_bytes_max: 70000, streams_max: 0, \
             body_bytes_max: much, write_timeout: soon}",
        )
        .unwrap_err();
        for field in [
            "header_count_max",
            "header_bytes_max",
            "request_line_bytes_max",
            "streams_max",
            "body_bytes_max",
            "write_timeout",
        ] {
            assert!(text.contains(&format!("limits.{field}: ")), "{field} is not in\n{text}");
        }
    }

    #[test]
    fn via_has_a_name_and_forwarded_a_word() {
        let headers = |text: &str| {
            let raw: RawHeaders = weft_runtime::config::from_str(text, "x").unwrap();
            let mut faults = Faults::default();
            let policy = raw.validate(&mut faults);
            if faults.is_empty() { Ok(policy) } else { Err(faults.to_string()) }
        };
        assert_eq!(headers("").unwrap(), HeaderPolicy::default());
        let said = headers("{via: weft, forwarded: append}").unwrap();
        assert_eq!(said, HeaderPolicy { via: Some("weft".into()), forwarded: Forwarded::Append });
        let text = headers("{via: 'a b', forwarded: maybe}").unwrap_err();
        assert!(text.contains("headers.via: ") && text.contains("headers.forwarded: "), "{text}");
    }
}
