//! What is said about one service, made ready to decide with: every match of every rule in one ordered list with
//! an index by path, and the rate limits beside it. Made once when a table is built; finding a rule allocates
//! nothing.

use std::sync::Arc;

use super::{
    Item, Match, Origin, PathMatch, RateLimit, Route, Rule, Spec, ValuePattern,
    index::Index,
    limit::CompiledLimit,
    matching::CompiledMatch,
    pattern::{self, PatternError},
    precedence::{Place, Rank},
    view::{HeaderNames, RequestView},
};

/// The routes and limits of one service as one caller sees them.
#[derive(Debug)]
pub struct Compiled {
    matches: Vec<Entry>,
    index: Index,
    rules: Vec<CompiledRule>,
    limits: Vec<CompiledLimit>,
    names: HeaderNames,
}

/// One rule of one route.
#[derive(Debug)]
pub struct CompiledRule {
    /// Stable as long as the resource keeps its rules' order: the rule's name, else `<route>/<index>`.
    pub name: Arc<str>,
    /// The resource.
    pub origin: Origin,
    /// The rule's place in it.
    pub index: usize,
    /// What it says.
    pub rule: Rule,
}

/// A rule of a [`Compiled`], by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// The rule that counts for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Which one.
    pub rule: RuleId,
    /// The length of the path's prefix that matched, without a slash at its end; `None` where the whole path
    /// was matched.
    pub prefix: Option<usize>,
}

#[derive(Debug)]
struct Entry {
    matching: CompiledMatch,
    rule: RuleId,
}

/// Why an item cannot be carried out here. A control plane checks the same, so only one of another version
/// sends such an item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A match has an expression that is not accepted.
    #[error("rule {rule}, match {matching}: {source}")]
    Pattern {
        /// Its place in the resource.
        rule: usize,
        /// Its place in the rule.
        matching: usize,
        /// What is wrong.
        source: PatternError,
    },
}

/// Whether all of an item can be carried out.
///
/// # Errors
/// The first thing that cannot.
pub fn check(item: &Item) -> Result<(), CompileError> {
    let all = |rule: usize, matches: &[Match]| {
        matches.iter().enumerate().try_for_each(|(matching, said)| {
            check_match(said).map_err(|source| CompileError::Pattern { rule, matching, source })
        })
    };
    match &item.spec {
        Spec::Route(route) => {
            route.rules.iter().enumerate().try_for_each(|(place, rule)| all(place, &rule.matches))
        }
        Spec::RateLimits(limits) => {
            limits.iter().enumerate().try_for_each(|(place, limit)| all(place, &limit.matches))
        }
        Spec::Policy(_) => Ok(()),
    }
}

impl Compiled {
    /// From routes in the order of their [`Origin`], and limits in any.
    pub fn new<'a>(
        routes: impl IntoIterator<Item = (&'a Origin, &'a Route)>,
        limits: impl IntoIterator<Item = &'a RateLimit>,
    ) -> Self {
        let mut names = HeaderNames::default();
        let mut rules = Vec::new();
        let mut ranked: Vec<(Rank, Entry)> = Vec::new();
        let every = [Match::default()];
        for (route_place, (origin, route)) in routes.into_iter().enumerate() {
            for (rule_place, rule) in route.rules.iter().enumerate() {
                let id = RuleId(u32::try_from(rules.len()).unwrap_or(u32::MAX));
                rules.push(CompiledRule::new(origin, rule_place, rule));
                let matches = if rule.matches.is_empty() { &every[..] } else { &rule.matches };
                for (matching, said) in matches.iter().enumerate() {
                    let place = Place { route: route_place, rule: rule_place, matching };
                    let matching = CompiledMatch::new(said, &mut names);
                    ranked.push((Rank::new(said, place), Entry { matching, rule: id }));
                }
            }
        }
        ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
        let matches: Vec<Entry> = ranked.into_iter().map(|(_, entry)| entry).collect();
        let index = Index::new(matches.iter().map(|entry| &entry.matching));
        let limits = limits.into_iter().map(|limit| CompiledLimit::new(limit, &rules, &mut names)).collect();
        Self { matches, index, rules, limits, names }
    }

    /// Whether there is any rule: where there is, a request that none matches has no route.
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// The rule that counts, if any holds.
    pub fn find(&self, request: &impl RequestView) -> Option<Found> {
        let holds = |place: usize| self.matches.get(place).is_some_and(|entry| entry.matching.holds(request));
        let entry = self.matches.get(self.index.first(request.path(), holds)?)?;
        Some(Found { rule: entry.rule, prefix: entry.matching.prefix_length() })
    }

    /// Every rule, in the order of the resources.
    pub fn rules(&self) -> &[CompiledRule] {
        &self.rules
    }

    /// One rule.
    pub fn rule(&self, id: RuleId) -> Option<&CompiledRule> {
        self.rules.get(id.0 as usize)
    }

    /// Every limit, in the order it was given.
    pub fn limits(&self) -> &[CompiledLimit] {
        &self.limits
    }

    /// Every header that some rule asks for, each once: see [`HeaderKey`](super::view::HeaderKey).
    pub fn header_names(&self) -> &[Box<str>] {
        &self.names.0
    }
}

impl CompiledRule {
    fn new(origin: &Origin, index: usize, rule: &Rule) -> Self {
        let name = if rule.name.is_empty() {
            format!("{}/{index}", origin.name).into()
        } else {
            Arc::from(&*rule.name)
        };
        Self { name, origin: origin.clone(), index, rule: rule.clone() }
    }
}

fn check_match(said: &Match) -> Result<(), PatternError> {
    let value = |pattern: &ValuePattern| match pattern {
        ValuePattern::Exact(_) => Ok(()),
        ValuePattern::Regex(text) => pattern::check(text),
    };
    match &said.path {
        None | Some(PathMatch::Exact(_) | PathMatch::Prefix(_)) => Ok(()),
        Some(PathMatch::Regex(text)) => pattern::check(text),
        Some(PathMatch::Grpc(grpc)) => grpc.service.iter().chain(&grpc.method).try_for_each(value),
    }?;
    said.headers.iter().chain(&said.query).try_for_each(|said| value(&said.value))
}

#[cfg(test)]
mod tests;
