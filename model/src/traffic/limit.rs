//! Which rate limits a request needs a token of, and which of their buckets. It knows no bucket's state: see
//! [`rate_limit`](crate::rate_limit).

use std::hash::{Hash, Hasher};

use super::{
    RateKey, RateLimit,
    compile::{CompiledRule, RuleId},
    matching::CompiledMatch,
    view::{HeaderKey, HeaderNames, RequestView},
};

/// A limit, made ready to decide with.
#[derive(Debug)]
pub struct CompiledLimit {
    matches: Vec<CompiledMatch>,
    /// Only requests of these rules; `None` = any.
    rules: Option<Vec<RuleId>>,
    by: Vec<Key>,
}

#[derive(Debug)]
enum Key {
    Header(HeaderKey),
    SourceAddress,
    Route,
}

impl CompiledLimit {
    pub(super) fn new(limit: &RateLimit, rules: &[CompiledRule], names: &mut HeaderNames) -> Self {
        let named = |name: &str| {
            let named = rules.iter().zip(0..).filter(|(rule, _)| *rule.name == *name);
            named.map(|(_, place)| RuleId(place)).collect()
        };
        let by = |key: &RateKey| match key {
            RateKey::Header(name) => Key::Header(names.key(name)),
            RateKey::SourceAddress => Key::SourceAddress,
            RateKey::Route => Key::Route,
        };
        Self {
            by: limit.by.iter().map(by).collect(),
            matches: limit.matches.iter().map(|said| CompiledMatch::new(said, names)).collect(),
            rules: limit.route.as_deref().map(named),
        }
    }

    /// Whether a request needs a token; `rule` is the one that counts for it.
    pub fn applies(&self, request: &impl RequestView, rule: Option<RuleId>) -> bool {
        let of_rule = match (&self.rules, rule) {
            (None, _) => true,
            (Some(rules), Some(rule)) => rules.contains(&rule),
            (Some(_), None) => false,
        };
        of_rule && (self.matches.is_empty() || self.matches.iter().any(|said| said.holds(request)))
    }

    /// Whether there is a bucket for each key rather than one for all.
    pub fn is_keyed(&self) -> bool {
        !self.by.is_empty()
    }

    /// Feeds `hasher` with what tells one bucket from another.
    pub fn hash_key(&self, request: &impl RequestView, rule: Option<RuleId>, hasher: &mut impl Hasher) {
        for key in &self.by {
            match key {
                Key::Header(name) => request.header(name).hash(hasher),
                Key::SourceAddress => request.source().hash(hasher),
                Key::Route => rule.hash(hasher),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{hash::DefaultHasher, time::Duration};

    use super::*;
    use crate::traffic::{Match, Origin, PathMatch, Route, Rule, compile::Compiled, view::PlainRequest};

    fn limit(matches: Vec<Match>, route: Option<&str>, by: Vec<RateKey>) -> RateLimit {
        let route = route.map(Into::into);
        RateLimit { matches, route, by, requests: 1, per: Duration::from_secs(1), burst: 1 }
    }

    fn compiled(limit: &RateLimit) -> Compiled {
        let origin = Origin {
            created_ms: 1,
            namespace: "default".into(),
            name: "r".into(),
            kind: "HTTPRoute".into(),
            generation: 1,
        };
        let rule = |name: &str, prefix: &str| Rule {
            name: name.into(),
            matches: vec![Match { path: Some(PathMatch::Prefix(prefix.into())), ..Match::default() }],
            ..Rule::default()
        };
        let route = Route { ports: Vec::new(), rules: vec![rule("read", "/read"), rule("", "/")] };
        Compiled::new([(&origin, &route)], [limit])
    }

    fn applies(limit: &RateLimit, request: &PlainRequest) -> bool {
        let compiled = compiled(limit);
        let rule = compiled.find(request).map(|found| found.rule);
        compiled.limits()[0].applies(request, rule)
    }

    fn key(limit: &RateLimit, request: &PlainRequest) -> u64 {
        let compiled = compiled(limit);
        let mut hasher = DefaultHasher::new();
        let rule = compiled.find(request).map(|found| found.rule);
        compiled.limits()[0].hash_key(request, rule, &mut hasher);
        hasher.finish()
    }

    #[test]
    fn a_limit_is_for_what_matches_and_for_the_rule_that_it_names() {
        let post = Match { method: Some("POST".into()), ..Match::default() };
        let of_posts = limit(vec![post], None, Vec::new());
        assert!(applies(&of_posts, &PlainRequest::new("POST", "/")));
        assert!(!applies(&of_posts, &PlainRequest::get("/")));
        let of_reads = limit(Vec::new(), Some("read"), Vec::new());
        assert!(
            applies(&of_reads, &PlainRequest::get("/read/1")) && !applies(&of_reads, &PlainRequest::get("/"))
        );
        assert!(applies(&limit(Vec::new(), Some("r/1"), Vec::new()), &PlainRequest::get("/")));
    }

    #[test]
    fn buckets_are_told_apart_by_every_part_of_the_key() {
        let limit = limit(
            Vec::new(),
            None,
            vec![RateKey::Header("user".into()), RateKey::SourceAddress, RateKey::Route],
        );
        let plain = PlainRequest::get("/");
        let mut keys = vec![
            key(&limit, &plain),
            key(&limit, &plain.clone().header("user", "")),
            key(&limit, &plain.clone().header("user", "a")),
            key(&limit, &plain.clone().from([10, 0, 0, 1].into())),
            key(&limit, &PlainRequest::get("/read")),
        ];
        assert_eq!(key(&limit, &plain.header("other", "a")), keys[0]);
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 5);
    }
}
