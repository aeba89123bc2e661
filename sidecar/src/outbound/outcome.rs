//! What one attempt came to, and what follows from it: whether another one is safe and makes sense, and how bad
//! it was of the endpoint. Pure.

use http::StatusCode;
use weft_model::{error_code::ErrorCode, outlier};

use crate::exchange::{Failure, Side};

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

    fn failed(code: ErrorCode, reached: bool) -> Outcome {
        Outcome::Failed(Failure { code, reached, side: Side::Upstream })
    }

    #[test]
    fn a_post_is_retried_only_when_the_application_cannot_have_seen_it() {
        let post = false;
        assert!(failed(ErrorCode::ConnectFailed, false).wants_retry(post));
        assert!(Outcome::Named(ErrorCode::Draining).wants_retry(post));
        assert!(!failed(ErrorCode::UpstreamReset, true).wants_retry(post));
        assert!(!Outcome::Named(ErrorCode::UpstreamReset).wants_retry(post));
    }

    #[test]
    fn idempotent_requests_are_retried_after_a_reset() {
        assert!(failed(ErrorCode::UpstreamReset, true).wants_retry(true));
    }

    #[test]
    fn an_applications_own_answer_is_never_retried() {
        assert!(!Outcome::Answer(StatusCode::SERVICE_UNAVAILABLE).wants_retry(true));
        assert!(!Outcome::Named(ErrorCode::DeadlineExceeded).wants_retry(true));
    }
}
