//! Which of two matches that both hold counts: the Gateway API's order, as a value that sorts. The first is the
//! one that counts.
//!
//! HTTPRoute: an exact path, a regular expression, the longest prefix; then a method; then more headers; then
//! more query parameters; then the older resource; then `namespace/name`; then the rule's and the match's place.
//! Where expressions stand is left to implementations: before prefixes, since a catch-all `/` would hide them.
//! GRPCRoute: the service, then the method (exact before expression before any), then more headers, then as above.

use std::cmp::Reverse;

use super::{Match, PathMatch, ValuePattern};

/// Compared field by field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    path: PathRank,
    is_any_method: bool,
    headers: Reverse<usize>,
    query: Reverse<usize>,
    place: Place,
}

/// Where a match stands among those of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Of the route, in the order of [`Origin`](super::Origin).
    pub(super) route: usize,
    /// Of the rule in it.
    pub(super) rule: usize,
    /// Of the match in it.
    pub(super) matching: usize,
}

/// Longer texts come first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    Grpc { service: PartRank, method: PartRank },
    Exact(Reverse<usize>),
    Regex(Reverse<usize>),
    Prefix(Reverse<usize>),
}

/// One part of a gRPC path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum PartRank {
    Exact(Reverse<usize>),
    Regex(Reverse<usize>),
    Any,
}

impl Rank {
    pub(super) fn new(said: &Match, place: Place) -> Self {
        Self {
            path: PathRank::new(said.path.as_ref()),
            is_any_method: said.method.is_none(),
            headers: Reverse(said.headers.len()),
            query: Reverse(said.query.len()),
            place,
        }
    }
}

impl PathRank {
    fn new(path: Option<&PathMatch>) -> Self {
        match path {
            None => Self::Prefix(Reverse(0)),
            Some(PathMatch::Exact(text)) => Self::Exact(Reverse(text.len())),
            Some(PathMatch::Regex(text)) => Self::Regex(Reverse(text.len())),
            Some(PathMatch::Prefix(text)) => Self::Prefix(Reverse(bare_prefix(text).len())),
            Some(PathMatch::Grpc(grpc)) => Self::Grpc {
                service: PartRank::new(grpc.service.as_ref()),
                method: PartRank::new(grpc.method.as_ref()),
            },
        }
    }
}

impl PartRank {
    fn new(part: Option<&ValuePattern>) -> Self {
        match part {
            Some(ValuePattern::Exact(text)) => Self::Exact(Reverse(text.len())),
            Some(ValuePattern::Regex(text)) => Self::Regex(Reverse(text.len())),
            None => Self::Any,
        }
    }
}

/// A prefix without the slash at its end, which says nothing: `/a/` is `/a`, and `/` is empty.
pub(super) fn bare_prefix(text: &str) -> &str {
    text.strip_suffix('/').unwrap_or(text)
}
