//! What one attempt came to, in the words of those who decide by it: `weft_model::retry` whether there is another
//! one, `weft_model::outlier` how bad it was of the endpoint, `weft_model::success_rate` whether it failed. Pure.

use http::StatusCode;
use weft_model::{error_code::ErrorCode, outlier, retry::Ended};

use crate::exchange::{Failure, Side};

/// What one attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A response of the application's own.
    Answer {
        status: StatusCode,
        /// `grpc-status`, where the head says it and somebody wants to know.
        grpc: Option<u8>,
    },
    /// A failure that the other sidecar has answered.
    Named(ErrorCode),
    /// No response head.
    Failed(Failure),
}

impl Outcome {
    /// For the decision on another attempt.
    pub(crate) fn ended(self) -> Ended {
        match self {
            Self::Answer { status, grpc } => Ended::Answered { status: status.as_u16(), grpc },
            Self::Named(code) => match code {
                // The other sidecar's word that its application saw nothing.
                ErrorCode::ConnectFailed => Ended::NotConnected,
                ErrorCode::WrongEndpoint | ErrorCode::Draining => Ended::Refused,
                ErrorCode::Overloaded => Ended::Full,
                ErrorCode::UpstreamReset => Ended::Reset,
                _ => Ended::Final,
            },
            Self::Failed(Failure { side: Side::Downstream, .. }) => Ended::Final,
            Self::Failed(failure) => match (failure.reached, failure.code) {
                (false, ErrorCode::ConnectFailed) => Ended::NotConnected,
                (false, ErrorCode::Overloaded) => Ended::Full,
                (false, _) => Ended::Refused,
                (true, ErrorCode::UpstreamTimeout) => Ended::TimedOut,
                (true, _) => Ended::Reset,
            },
        }
    }

    /// For people: the status, where there was an answer, and the failure's name.
    pub(crate) fn told(self) -> (u16, Option<ErrorCode>) {
        match self {
            Self::Answer { status, .. } => (status.as_u16(), None),
            Self::Named(code) => (code.http_status(), Some(code)),
            Self::Failed(failure) => (0, Some(failure.code)),
        }
    }

    /// How bad it was of the endpoint; `None` = not at all, or not its fault.
    pub(crate) fn fault(self) -> Option<outlier::Failure> {
        match self {
            Self::Answer { status, .. } => {
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

    /// Whether it counts against a success rate, where a 500 does too: it is compared with those of others.
    /// `None` = it says nothing of the endpoint.
    pub(crate) fn has_failed(self) -> Option<bool> {
        match self {
            Self::Answer { status, grpc } => {
                // Those that gRPC maps to a server's failure: UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE,
                // DATA_LOSS.
                let is_grpc_failure = grpc.is_some_and(|code| [2, 4, 13, 14, 15].contains(&code));
                Some(status.is_server_error() || is_grpc_failure)
            }
            Self::Named(_) | Self::Failed(_) => self.fault().map(|_| true),
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
    fn each_outcome_ends_an_attempt_in_its_way() {
        for (outcome, ended) in [
            (failed(ErrorCode::ConnectFailed, false), Ended::NotConnected),
            (failed(ErrorCode::UpstreamReset, false), Ended::Refused),
            (failed(ErrorCode::UpstreamReset, true), Ended::Reset),
            (failed(ErrorCode::UpstreamTimeout, true), Ended::TimedOut),
            (Outcome::Named(ErrorCode::ConnectFailed), Ended::NotConnected),
            (Outcome::Named(ErrorCode::Draining), Ended::Refused),
            (Outcome::Named(ErrorCode::Overloaded), Ended::Full),
            (Outcome::Named(ErrorCode::UpstreamReset), Ended::Reset),
            (Outcome::Named(ErrorCode::DeadlineExceeded), Ended::Final),
        ] {
            assert_eq!(outcome.ended(), ended, "{outcome:?}");
        }
        let broken_off = Failure { code: ErrorCode::BadRequest, reached: true, side: Side::Downstream };
        assert_eq!(Outcome::Failed(broken_off).ended(), Ended::Final);
    }

    #[test]
    fn a_local_failure_is_not_the_endpoints() {
        let local = Failure { code: ErrorCode::UpstreamReset, reached: true, side: Side::Local };
        assert_eq!((Outcome::Failed(local).fault(), Outcome::Failed(local).has_failed()), (None, None));
        assert_eq!(failed(ErrorCode::ConnectFailed, false).fault(), Some(outlier::Failure::Hard));
    }

    #[test]
    fn a_500_counts_against_the_rate_and_is_no_fault_by_itself() {
        let answer = |status, grpc| Outcome::Answer { status, grpc };
        let bad = answer(StatusCode::INTERNAL_SERVER_ERROR, None);
        assert_eq!((bad.fault(), bad.has_failed()), (None, Some(true)));
        assert_eq!(answer(StatusCode::OK, Some(14)).has_failed(), Some(true));
        assert_eq!(answer(StatusCode::OK, Some(5)).has_failed(), Some(false));
    }
}
