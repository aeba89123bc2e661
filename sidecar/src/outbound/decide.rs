//! Decide, then do: one plain value that holds every choice made for a request before its first attempt, and
//! the rules of what is tried again. Pure.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, request::Parts};
use weft_model::{error_code::ErrorCode, outlier, policy::Policy};

use crate::{
    exchange::{Failure, Side},
    forward::{GRPC_TIMEOUT, IDEMPOTENCY_KEY, WEFT_DEADLINE, is_grpc},
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

/// What one attempt came to, as far as a retry is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A response of the application's own.
    Answer(StatusCode),
    /// A failure that the other sidecar has answered.
    Named(ErrorCode),
    /// No response head.
    Failed(Failure),
}

/// Puts policy and request together.
pub(crate) fn decide(head: &Parts, policy: &Policy) -> Decision {
    let grpc = is_grpc(&head.headers);
    let total = if grpc { None } else { policy.timeouts.total };
    let limit = match (deadline(&head.headers), total) {
        (Some(time), total) if total.is_none_or(|total| time <= total) => {
            Some(Limit { time, is_deadline: true })
        }
        (_, total) => total.map(|time| Limit { time, is_deadline: false }),
    };
    Decision {
        wire: if head.version == Version::HTTP_2 { Wire::Http2 } else { Wire::Http1 },
        grpc,
        limit,
        per_try: policy.timeouts.per_try,
        idempotent: is_idempotent(&head.method) || head.headers.contains_key(&IDEMPOTENCY_KEY),
        retries_max: policy.retry.retries_max,
    }
}

/// The methods of RFC 9110 section 9.2.2.
pub(crate) fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE].contains(method)
}

/// The time that the caller gives, by our header or by gRPC's; the shorter of both.
pub(crate) fn deadline(headers: &HeaderMap) -> Option<Duration> {
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

impl Outcome {
    /// Whether another attempt is safe and makes sense.
    pub(crate) fn wants_retry(self, idempotent: bool) -> bool {
        match self {
            // What an application says is its answer, whatever the status.
            Self::Answer(_) => false,
            Self::Named(code) => match code {
                // The other sidecar's word that its application saw nothing.
                ErrorCode::ConnectFailed
                | ErrorCode::WrongEndpoint
                | ErrorCode::Draining
                | ErrorCode::Overloaded => true,
                ErrorCode::UpstreamReset => idempotent,
                _ => false,
            },
            Self::Failed(failure) => failure.side != Side::Downstream && (!failure.reached || idempotent),
        }
    }

    /// How bad it was of the endpoint; `None` = not at all, or not its fault.
    pub(crate) fn fault(self) -> Option<outlier::Failure> {
        match self {
            Self::Answer(status) => {
                // Gateway errors say that the instance cannot work; a 500 may be one bad request.
                let cannot =
                    [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
                cannot.contains(&status).then_some(outlier::Failure::Soft)
            }
            Self::Named(ErrorCode::ConnectFailed | ErrorCode::WrongEndpoint | ErrorCode::Draining) => {
                Some(outlier::Failure::Hard)
            }
            Self::Named(
                ErrorCode::UpstreamReset
                | ErrorCode::UpstreamTimeout
                | ErrorCode::ProtocolError
                | ErrorCode::Overloaded,
            ) => Some(outlier::Failure::Soft),
            Self::Named(_) => None,
            Self::Failed(failure) => match (failure.side, failure.code) {
                (Side::Downstream | Side::Local, _) => None,
                (
                    Side::Upstream,
                    ErrorCode::UpstreamReset
                    | ErrorCode::UpstreamTimeout
                    | ErrorCode::ProtocolError
                    | ErrorCode::Overloaded,
                ) => Some(outlier::Failure::Soft),
                (Side::Upstream, _) => Some(outlier::Failure::Hard),
            },
        }
    }
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

    fn failed(code: ErrorCode, reached: bool) -> Outcome {
        Outcome::Failed(Failure { code, reached, side: Side::Upstream })
    }

    #[test]
    fn a_post_is_retried_only_when_the_application_cannot_have_seen_it() {
        let post = decide(&head(Method::POST, &[]), &Policy::default()).idempotent;
        assert!(failed(ErrorCode::ConnectFailed, false).wants_retry(post));
        assert!(Outcome::Named(ErrorCode::Draining).wants_retry(post));
        assert!(!failed(ErrorCode::UpstreamReset, true).wants_retry(post));
        assert!(!Outcome::Named(ErrorCode::UpstreamReset).wants_retry(post));
    }

    #[test]
    fn idempotent_requests_are_retried_after_a_reset_and_keys_make_a_post_one() {
        for head in [head(Method::GET, &[]), head(Method::POST, &[("idempotency-key", "1")])] {
            let idempotent = decide(&head, &Policy::default()).idempotent;
            assert!(failed(ErrorCode::UpstreamReset, true).wants_retry(idempotent));
        }
    }

    #[test]
    fn an_applications_own_answer_is_never_retried() {
        assert!(!Outcome::Answer(StatusCode::SERVICE_UNAVAILABLE).wants_retry(true));
        assert!(!Outcome::Named(ErrorCode::DeadlineExceeded).wants_retry(true));
    }

    #[test]
    fn the_callers_deadline_counts_when_it_is_shorter() {
        let policy = Policy::default();
        let limit = |headers: &[_]| decide(&head(Method::GET, headers), &policy).limit.unwrap();
        assert_eq!(
            limit(&[("weft-deadline", "250")]),
            Limit { time: Duration::from_millis(250), is_deadline: true }
        );
        assert_eq!(
            limit(&[("weft-deadline", "999999")]),
            Limit { time: Duration::from_secs(30), is_deadline: false }
        );
        assert!(
            decide(&head(Method::POST, &[("content-type", "application/grpc")]), &policy).limit.is_none()
        );
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
