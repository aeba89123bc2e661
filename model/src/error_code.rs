//! The closed list of named failures (DESIGN.md, "Every failure has a name") and how each is told over HTTP
//! and gRPC. A response that Weft makes up carries the name in `weft-error`; the access record and the
//! metrics carry the same.

use std::fmt;

/// Why Weft answered in an application's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCode {
    /// No service by that name.
    NoRoute,
    /// The service exists, and no replica of it can take the request.
    NoHealthyEndpoint,
    /// The control plane did not answer the first question for a name in time.
    DiscoveryTimeout,
    /// The circuit to the service is open.
    CircuitOpen,
    /// A local limit is reached.
    Overloaded,
    /// This sidecar is stopping.
    Draining,
    /// No connection to any endpoint could be made.
    ConnectFailed,
    /// The connection ended before the response did.
    UpstreamReset,
    /// The TLS handshake failed.
    TlsFailed,
    /// The other side broke its protocol.
    ProtocolError,
    /// The upstream gave no response in time.
    UpstreamTimeout,
    /// The caller's own deadline is over.
    DeadlineExceeded,
    /// An authorization policy refused the call.
    DeniedByPolicy,
    /// A rate limit refused the call.
    RateLimited,
    /// The request body is over the limit.
    BodyTooLarge,
    /// The request head is over the limit.
    HeaderTooLarge,
    /// The request cannot be understood.
    BadRequest,
    /// The request came back to a sidecar that it has passed already.
    LoopDetected,
    /// This sidecar does not host the target (between sidecars; safe to retry elsewhere).
    WrongEndpoint,
    /// The route gives the request to no service that exists: 500, as the Gateway API says of an invalid
    /// reference.
    NoBackend,
    /// A policy makes this request fail, to see how its caller takes it. The policy says the status; this is
    /// the one of a policy that says none.
    FaultInjected,
}

impl ErrorCode {
    /// Every code, in the order of the table.
    pub const ALL: [Self; 21] = [
        Self::NoRoute,
        Self::NoHealthyEndpoint,
        Self::DiscoveryTimeout,
        Self::CircuitOpen,
        Self::Overloaded,
        Self::Draining,
        Self::ConnectFailed,
        Self::UpstreamReset,
        Self::TlsFailed,
        Self::ProtocolError,
        Self::UpstreamTimeout,
        Self::DeadlineExceeded,
        Self::DeniedByPolicy,
        Self::RateLimited,
        Self::BodyTooLarge,
        Self::HeaderTooLarge,
        Self::BadRequest,
        Self::LoopDetected,
        Self::WrongEndpoint,
        Self::NoBackend,
        Self::FaultInjected,
    ];

    /// The name on the wire, in logs and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRoute => "no-route",
            Self::NoHealthyEndpoint => "no-healthy-endpoint",
            Self::DiscoveryTimeout => "discovery-timeout",
            Self::CircuitOpen => "circuit-open",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::ConnectFailed => "connect-failed",
            Self::UpstreamReset => "upstream-reset",
            Self::TlsFailed => "tls-failed",
            Self::ProtocolError => "protocol-error",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::DeniedByPolicy => "denied-by-policy",
            Self::RateLimited => "rate-limited",
            Self::BodyTooLarge => "body-too-large",
            Self::HeaderTooLarge => "header-too-large",
            Self::BadRequest => "bad-request",
            Self::LoopDetected => "loop-detected",
            Self::WrongEndpoint => "wrong-endpoint",
            Self::NoBackend => "no-backend",
            Self::FaultInjected => "fault-injected",
        }
    }

    /// The HTTP status (RFC 9110 section 15).
    pub const fn http_status(self) -> u16 {
        match self {
            Self::NoRoute => 404,
            Self::NoHealthyEndpoint
            | Self::DiscoveryTimeout
            | Self::CircuitOpen
            | Self::Overloaded
            | Self::Draining
            | Self::FaultInjected => 503,
            Self::ConnectFailed | Self::UpstreamReset | Self::TlsFailed | Self::ProtocolError => 502,
            Self::UpstreamTimeout | Self::DeadlineExceeded => 504,
            Self::DeniedByPolicy => 403,
            Self::RateLimited => 429,
            Self::BodyTooLarge => 413,
            Self::HeaderTooLarge => 431,
            Self::BadRequest => 400,
            Self::LoopDetected => 508,
            Self::WrongEndpoint => 421,
            Self::NoBackend => 500,
        }
    }

    /// The gRPC status code (grpc.io, "Status codes and their use in gRPC").
    pub const fn grpc_status(self) -> u8 {
        match self {
            Self::NoRoute => 12,
            Self::NoHealthyEndpoint
            | Self::DiscoveryTimeout
            | Self::CircuitOpen
            | Self::Overloaded
            | Self::Draining
            | Self::ConnectFailed
            | Self::UpstreamReset
            | Self::TlsFailed
            | Self::WrongEndpoint
            | Self::NoBackend
            | Self::FaultInjected => 14,
            Self::ProtocolError | Self::BadRequest | Self::LoopDetected => 13,
            Self::UpstreamTimeout | Self::DeadlineExceeded => 4,
            Self::DeniedByPolicy => 7,
            Self::RateLimited | Self::BodyTooLarge | Self::HeaderTooLarge => 8,
        }
    }
}

/// The gRPC status code that a client takes an HTTP status for (grpc.io, "HTTP to gRPC Status Code Mapping").
pub const fn grpc_status_of(http_status: u16) -> u8 {
    match http_status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_kebab_case() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }
}
