//! RateLimitPolicy: token buckets that the callers' sidecars keep, each its own.

use std::time::Duration;

use super::{
    decode::{Fields, Node},
    error::Reason,
    matching, reference, value,
};
use crate::{
    name::{Label, ServiceName},
    traffic::{Match, RateKey, RateLimit},
};

/// Limits of one policy, at most: a request asks each of them.
const LIMITS_MAX: usize = 16;
/// Matches of one limit, at most.
const MATCHES_MAX: usize = 8;
/// Keys of one limit, at most.
const KEYS_MAX: usize = 4;
/// The largest count of requests.
const REQUESTS_MAX: u32 = 1_000_000;
/// The longest time that a limit counts over: a bucket lives in memory and starts full.
const PER_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The spec of a RateLimitPolicy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSpec {
    targets: Vec<ServiceName>,
    limits: Vec<RateLimit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyType {
    Header,
    Source,
    Rule,
}

impl LimitSpec {
    /// The services it is about, each once; at least one.
    pub fn targets(&self) -> &[ServiceName] {
        &self.targets
    }

    /// At least one; a request needs a token of each that it matches.
    pub fn limits(&self) -> &[RateLimit] {
        &self.limits
    }
}

pub(super) fn read(node: &Node<'_>, namespace: &Label) -> Option<LimitSpec> {
    node.object(|fields| {
        let targets = reference::targets(fields, namespace);
        let limits = fields.list("limits", LIMITS_MAX, |node| node.object(limit));
        if limits.is_empty() && !fields.failed("limits") {
            let example = "give at least one, as in `- {requests: 100, per: 1s}`";
            fields.fail("limits", Reason::Required, format!("is empty: {example}"));
        }
        Some(LimitSpec { targets, limits })
    })
}

fn limit(fields: &mut Fields<'_>) -> Option<RateLimit> {
    let matches = fields.list("matches", MATCHES_MAX, matching::http);
    // A match that takes every request is no condition.
    let matches = if matches.contains(&Match::default()) { Vec::new() } else { matches };
    let route = fields.optional("rule", rule_name).map(Into::into);
    let mut seen = Vec::new();
    let by = fields.list("by", KEYS_MAX, |node| {
        let key = key(node)?;
        value::is_new(&mut seen, key.clone(), node, "stands here already: name it once").then_some(key)
    });
    let requests = fields.required("requests", |node| node.small(1..=REQUESTS_MAX));
    let per = fields.required("per", per);
    let burst = fields.optional("burst", |node| node.small(1..=REQUESTS_MAX));
    Some(RateLimit { matches, route, by, requests: requests?, per: per?, burst: burst.unwrap_or(requests?) })
}

/// The name of a rule, or `<route>/<index>` of one without.
fn rule_name<'a>(node: &Node<'a>) -> Option<&'a str> {
    let text = node.text_of(1..=value::SUBDOMAIN_MAX)?;
    let is_place = text
        .rsplit_once('/')
        .is_some_and(|(route, index)| value::is_subdomain(route) && index.parse::<u8>().is_ok());
    if is_place { Some(text) } else { value::subdomain(node) }
}

fn per(node: &Node<'_>) -> Option<Duration> {
    let per = value::span(node)?;
    if per > PER_MAX {
        node.invalid("is longer than 24h: give at most that, for buckets live in a sidecar's memory");
        return None;
    }
    Some(per)
}

fn key(node: &Node<'_>) -> Option<RateKey> {
    const WORDS: [(&str, KeyType); 3] =
        [("Header", KeyType::Header), ("SourceAddress", KeyType::Source), ("Rule", KeyType::Rule)];
    node.object(|fields| {
        let kind = fields.required("type", |node| node.one_of(&WORDS));
        if kind == Some(KeyType::Header) {
            return fields.required("name", value::header_name).map(RateKey::Header);
        }
        match kind {
            Some(_) => fields.refuse("name", "is only a header's: leave it out"),
            None => fields.pass_over("name"),
        }
        kind.map(|kind| if kind == KeyType::Source { RateKey::SourceAddress } else { RateKey::Route })
    })
}
