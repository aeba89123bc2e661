//! Decide, then do: one plain value that holds every choice made for a request before its first attempt. Pure.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, request::Parts};
use weft_model::{error_code::ErrorCode, policy::Policy};

use crate::{
    fields::{Field, Fields},
    forward::{GRPC_TIMEOUT, WEFT_DEADLINE, is_grpc},
    pool::Wire,
};

/// What is done with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    /// HTTP/1 stays HTTP/1, HTTP/2 stays HTTP/2.
    pub(crate) wire: Wire,
    /// How a failure is told.
    pub(crate) grpc: bool,
    /// The time to the response head.
    pub(crate) limit: Option<Limit>,
    /// The time of one attempt.
    pub(crate) per_try: Option<Duration>,
    /// A repetition does no harm.
    pub(crate) idempotent: bool,
    /// Attempts after the first.
    pub(crate) retries_max: u32,
}

/// The time to the response head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) time: Duration,
    /// The caller's deadline rather than the policy's timeout.
    pub(crate) is_deadline: bool,
}

impl Limit {
    /// What is left of it after `waited` nanoseconds, in which nothing could begin: a deadline comes nearer meanwhile,
    /// and a policy's timeout has not begun.
    ///
    /// # Errors
    /// `deadline-exceeded` when nothing is left.
    pub(super) fn after(self, waited: u64) -> Result<Option<Self>, ErrorCode> {
        if waited == 0 || !self.is_deadline {
            return Ok(Some(self));
        }
        let time = self.time.saturating_sub(Duration::from_nanos(waited));
        if time.is_zero() { Err(ErrorCode::DeadlineExceeded) } else { Ok(Some(Self { time, ..self })) }
    }
}

/// Puts policy and request together; `total` is what a rule says of the time to the response head.
pub(crate) fn decide(
    head: &Parts,
    fields: Fields,
    policy: &Policy,
    total: Option<Option<Duration>>,
) -> Decision {
    let grpc = fields.has(Field::CONTENT_TYPE) && is_grpc(&head.headers);
    // The policy's own is no limit for gRPC, whose streams may stay without a head; a rule means what it says.
    let total = total.unwrap_or(if grpc { None } else { policy.timeouts.total });
    let limit = match (deadline(&head.headers, fields), total) {
        (Some(time), total) if total.is_none_or(|total| time <= total) => {
            Some(Limit { time, is_deadline: true })
        }
        (_, total) => total.map(|time| Limit { time, is_deadline: false }),
    };
    Decision {
        wire: Wire::of(head.version),
        grpc,
        limit,
        per_try: policy.timeouts.per_try,
        idempotent: is_idempotent(&head.method) || fields.has(Field::IDEMPOTENCY_KEY),
        retries_max: policy.retry.retries_max,
    }
}

/// The methods of RFC 9110 section 9.2.2.
pub(crate) fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE].contains(method)
}

/// The time that the caller gives, by our header or by gRPC's; the shorter of both.
pub(crate) fn deadline(headers: &HeaderMap, fields: Fields) -> Option<Duration> {
    if !fields.has(Field::MESH.and(Field::GRPC_TIMEOUT)) {
        return None;
    }
    let ours = headers.get(&WEFT_DEADLINE).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let ours = ours.map(Duration::from_millis);
    let grpc = headers.get(&GRPC_TIMEOUT).and_then(|value| parse_grpc_timeout(value.to_str().ok()?));
    match (ours, grpc) {
        (Some(ours), Some(grpc)) => Some(ours.min(grpc)),
        (ours, grpc) => ours.or(grpc),
    }
}

/// At most eight digits and a unit (grpc.io, "gRPC over HTTP2").
fn parse_grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// The same, written: in milliseconds, or in seconds where their digits are too many.
pub(crate) fn grpc_timeout(time: Duration) -> HeaderValue {
    const LIMIT: u64 = 99_999_999;
    let text = match u64::try_from(time.as_millis()).unwrap_or(u64::MAX) {
        millis @ ..=LIMIT => format!("{millis}m"),
        _ => format!("{}S", time.as_secs().min(LIMIT)),
    };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("1m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: Method, headers: &[(&'static str, &'static str)]) -> Parts {
        let mut request = http::Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn decided(head: &Parts, total: Option<Option<Duration>>) -> Decision {
        decide(head, Fields::of(&head.headers), &Policy::default(), total)
    }

    #[test]
    fn a_key_makes_a_post_idempotent() {
        let idempotent = |headers: &[_]| decided(&head(Method::POST, headers), None).idempotent;
        assert!(idempotent(&[("idempotency-key", "1")]) && !idempotent(&[]));
    }

    #[test]
    fn a_deadline_comes_nearer_while_a_name_is_asked_for_and_a_timeout_does_not() {
        let limit = |is_deadline| Limit { time: Duration::from_millis(200), is_deadline };
        let after = |is_deadline, millis: u64| limit(is_deadline).after(millis * 1_000_000);
        let left = Limit { time: Duration::from_millis(50), is_deadline: true };
        assert_eq!(after(true, 150), Ok(Some(left)));
        assert_eq!(after(true, 200), Err(ErrorCode::DeadlineExceeded));
        assert_eq!(after(false, 900), Ok(Some(limit(false))));
    }

    #[test]
    fn the_callers_deadline_counts_when_it_is_shorter() {
        let limit = |headers: &[_]| decided(&head(Method::GET, headers), None).limit.unwrap();
        assert_eq!(
            limit(&[("weft-deadline", "250")]),
            Limit { time: Duration::from_millis(250), is_deadline: true }
        );
        assert_eq!(
            limit(&[("weft-deadline", "999999")]),
            Limit { time: Duration::from_secs(30), is_deadline: false }
        );
    }

    #[test]
    fn grpc_has_a_total_timeout_only_where_a_rule_says_so() {
        let grpc = head(Method::POST, &[("content-type", "application/grpc")]);
        assert_eq!(decided(&grpc, None).limit, None);
        let time = Duration::from_secs(2);
        assert_eq!(decided(&grpc, Some(Some(time))).limit, Some(Limit { time, is_deadline: false }));
        assert_eq!(decided(&head(Method::GET, &[]), Some(None)).limit, None);
    }

    #[test]
    fn a_written_grpc_timeout_is_read_as_it_was() {
        for millis in [1, 250, 99_999_999, 100_000_000] {
            let time = Duration::from_millis(millis);
            assert_eq!(parse_grpc_timeout(grpc_timeout(time).to_str().unwrap()), Some(time));
        }
    }

    #[test]
    fn grpc_timeouts_are_read_with_their_units() {
        for (text, time) in [
            ("100m", Some(100)),
            ("2S", Some(2_000)),
            ("1M", Some(60_000)),
            ("", None),
            ("S", None),
            ("123456789m", None),
            ("1x", None),
        ] {
            assert_eq!(parse_grpc_timeout(text), time.map(Duration::from_millis), "{text}");
        }
    }
}
