//! One match, compiled: whether it holds for a request. It knows nothing of other matches.

use super::{
    Match, PathMatch, ValueMatch, ValuePattern,
    pattern::Pattern,
    precedence::bare_prefix,
    query,
    view::{HeaderKey, HeaderNames, RequestView},
};

/// All of it has to hold.
#[derive(Debug, Clone)]
pub(super) struct CompiledMatch {
    pub(super) path: PathTest,
    method: Option<Box<str>>,
    headers: Vec<(HeaderKey, Pattern)>,
    query: Vec<(Box<str>, Pattern)>,
}

/// On the path.
#[derive(Debug, Clone)]
pub(super) enum PathTest {
    Exact(Box<str>),
    /// Without the slash at its end; empty = every path.
    Prefix(Box<str>),
    Regex(Pattern),
    Grpc {
        service: Option<Pattern>,
        method: Option<Pattern>,
    },
}

impl CompiledMatch {
    pub(super) fn new(said: &Match, names: &mut HeaderNames) -> Self {
        let test = |value: &ValueMatch| Pattern::new(&value.value);
        Self {
            path: PathTest::new(said.path.as_ref()),
            method: said.method.clone(),
            headers: said.headers.iter().map(|value| (names.key(&value.name), test(value))).collect(),
            query: said.query.iter().map(|value| (value.name.clone(), test(value))).collect(),
        }
    }

    /// What is cheap to see is looked at first.
    pub(super) fn holds(&self, request: &impl RequestView) -> bool {
        self.method.as_deref().is_none_or(|method| method == request.method())
            && self.path.holds(request.path())
            && self
                .headers
                .iter()
                .all(|(name, pattern)| request.header(name).is_some_and(|value| pattern.holds(&value)))
            && self.query.iter().all(|(name, pattern)| {
                let value = request.query().and_then(|query| query::first(query, name));
                value.is_some_and(|value| pattern.holds(&value))
            })
    }

    /// The length of the prefix that a rewrite may replace; `None` where the whole path was matched.
    pub(super) fn prefix_length(&self) -> Option<usize> {
        match &self.path {
            PathTest::Prefix(prefix) => Some(prefix.len()),
            PathTest::Exact(_) | PathTest::Regex(_) | PathTest::Grpc { .. } => None,
        }
    }
}

impl PathTest {
    fn new(path: Option<&PathMatch>) -> Self {
        let pattern = |part: &Option<ValuePattern>| part.as_ref().map(Pattern::new);
        match path {
            None => Self::Prefix("".into()),
            Some(PathMatch::Exact(text)) => Self::Exact(text.clone()),
            Some(PathMatch::Prefix(text)) => Self::Prefix(bare_prefix(text).into()),
            Some(PathMatch::Regex(text)) => Self::Regex(Pattern::regex(text)),
            Some(PathMatch::Grpc(grpc)) => {
                Self::Grpc { service: pattern(&grpc.service), method: pattern(&grpc.method) }
            }
        }
    }

    fn holds(&self, path: &str) -> bool {
        match self {
            Self::Exact(text) => **text == *path,
            Self::Prefix(prefix) => starts_with_segments(path, prefix),
            Self::Regex(pattern) => pattern.holds(path.as_bytes()),
            Self::Grpc { service, method } => grpc_parts(path).is_some_and(|(called, called_method)| {
                let holds = |pattern: &Option<Pattern>, part: &str| {
                    pattern.as_ref().is_none_or(|pattern| pattern.holds(part.as_bytes()))
                };
                holds(service, called) && holds(method, called_method)
            }),
        }
    }
}

/// Whether whole segments of `path` begin it; `prefix` has no slash at its end.
pub(super) fn starts_with_segments(path: &str, prefix: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// Service and method of a gRPC path.
fn grpc_parts(path: &str) -> Option<(&str, &str)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    (!service.is_empty() && !method.is_empty() && !method.contains('/')).then_some((service, method))
}
