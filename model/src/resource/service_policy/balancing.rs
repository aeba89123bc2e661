//! `balancing`: how an endpoint is chosen, and which are there to choose from.

use super::super::{
    decode::{Fields, Node},
    error::Reason,
    value,
};
use crate::policy::{
    Balance, BalancePolicy, HashKey, OVERPROVISION_PERCENT, PriorityLevel, PriorityPolicy,
    ZONE_SPILL_PERCENT, ZonePolicy,
};

/// Levels of priority, at most.
const LEVELS_MAX: usize = 8;
/// The largest overprovisioning, in percent: a level with a tenth of its endpoints open takes everything.
const OVERPROVISION_MAX: u32 = 1_000;
/// Tags that endpoints have to have, at most.
const TAGS_MAX: usize = 16;
/// The longest tag, in bytes.
const TAG_LENGTH_MAX: usize = 255;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyType {
    Header,
    Cookie,
    Query,
    Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ZoneMode {
    Any,
    Prefer,
}

pub(super) fn read(node: &Node<'_>) -> Option<BalancePolicy> {
    let default = BalancePolicy::default();
    node.object(|fields| {
        let algorithm = algorithm(fields);
        let slow_start = fields.optional("slowStart", value::timeout).flatten();
        let zone = fields.optional("zone", zone).unwrap_or_default();
        let priority = fields.optional("priority", priority).unwrap_or_default();
        let panic_percent = fields.optional("panicThreshold", value::percent);
        let subset = fields.optional("subset", subset).unwrap_or_default();
        let connection_age_max = fields.optional("connectionMaxAge", value::timeout).flatten();
        Some(BalancePolicy {
            algorithm: algorithm?,
            slow_start,
            priority,
            zone,
            panic_percent: panic_percent.unwrap_or(default.panic_percent),
            subset,
            connection_age_max,
        })
    })
}

/// `algorithm` and, for those that hash, `hashBy`.
fn algorithm(fields: &mut Fields<'_>) -> Option<Balance> {
    // What a hash is of is filled in below.
    const WORDS: [(&str, Balance); 6] = [
        ("PeakEWMA", Balance::P2cPeakEwma),
        ("LeastRequest", Balance::LeastRequest),
        ("RoundRobin", Balance::RoundRobin),
        ("Random", Balance::Random),
        ("RingHash", Balance::RingHash(HashKey::SourceAddress)),
        ("Maglev", Balance::Maglev(HashKey::SourceAddress)),
    ];
    let algorithm =
        fields.get("algorithm").map_or_else(|| Some(Balance::default()), |node| node.one_of(&WORDS));
    let key = fields.optional("hashBy", hash_key);
    let (is_said, is_wrong) = (fields.has("hashBy"), fields.failed("hashBy"));
    match algorithm? {
        Balance::RingHash(_) => hashed(fields, key, is_said, Balance::RingHash),
        Balance::Maglev(_) => hashed(fields, key, is_said, Balance::Maglev),
        other => {
            if is_said && !is_wrong {
                let message =
                    "has a meaning only with `algorithm: RingHash` or `Maglev`: leave out one or the other";
                fields.fail("hashBy", Reason::Forbidden, message);
            }
            Some(other)
        }
    }
}

fn hashed(
    fields: &Fields<'_>,
    key: Option<HashKey>,
    is_said: bool,
    of: impl FnOnce(HashKey) -> Balance,
) -> Option<Balance> {
    if !is_said {
        let example = "say what is hashed, as in `{type: Header, name: x-user}`";
        fields.fail("hashBy", Reason::Required, format!("is missing: {example}"));
    }
    key.map(of)
}

fn hash_key(node: &Node<'_>) -> Option<HashKey> {
    const WORDS: [(&str, KeyType); 4] = [
        ("Header", KeyType::Header),
        ("Cookie", KeyType::Cookie),
        ("QueryParam", KeyType::Query),
        ("SourceAddress", KeyType::Source),
    ];
    node.object(|fields| {
        let kind = fields.required("type", |node| node.one_of(&WORDS));
        if kind == Some(KeyType::Source) {
            fields.refuse("name", "is no field of a source address: leave it out");
            return Some(HashKey::SourceAddress);
        }
        let name = fields.required("name", value::token);
        match kind? {
            KeyType::Header => Some(HashKey::Header(name?.to_ascii_lowercase().into())),
            KeyType::Cookie => Some(HashKey::Cookie(name?.into())),
            KeyType::Query => Some(HashKey::Query(name?.into())),
            KeyType::Source => None,
        }
    })
}

fn zone(node: &Node<'_>) -> Option<ZonePolicy> {
    const WORDS: [(&str, ZoneMode); 2] = [("Any", ZoneMode::Any), ("Prefer", ZoneMode::Prefer)];
    node.object(|fields| {
        let mode = fields.required("mode", |node| node.one_of(&WORDS));
        let spill_percent = fields.optional("spillPercent", value::percent);
        match mode? {
            ZoneMode::Prefer => {
                Some(ZonePolicy::Prefer { spill_percent: spill_percent.unwrap_or(ZONE_SPILL_PERCENT) })
            }
            ZoneMode::Any => {
                if spill_percent.is_some() {
                    let message = "has a meaning only with `mode: Prefer`: leave it out";
                    fields.fail("spillPercent", Reason::Forbidden, message);
                }
                Some(ZonePolicy::Any)
            }
        }
    })
}

fn priority(node: &Node<'_>) -> Option<PriorityPolicy> {
    node.object(|fields| {
        let levels = fields.list("levels", LEVELS_MAX, level);
        if levels.is_empty() && !fields.failed("levels") {
            let message = "is empty: say which endpoints come first, as in `[{tags: [primary]}]`";
            fields.fail("levels", Reason::Required, message);
        }
        let overprovision_percent =
            fields.optional("overprovisionPercent", |node| node.small(100..=OVERPROVISION_MAX));
        Some(PriorityPolicy {
            levels,
            overprovision_percent: overprovision_percent.unwrap_or(OVERPROVISION_PERCENT),
        })
    })
}

fn level(node: &Node<'_>) -> Option<PriorityLevel> {
    node.object(|fields| {
        let level = PriorityLevel { tags: tags(fields, "tags"), zones: tags(fields, "zones") };
        let is_empty = level == PriorityLevel::default();
        if is_empty && !fields.failed("tags") && !fields.failed("zones") {
            fields.fail_here(Reason::Required, "has neither `tags` nor `zones`: say which endpoints it has");
        }
        Some(level)
    })
}

fn subset(node: &Node<'_>) -> Option<Vec<Box<str>>> {
    node.object(|fields| {
        let tags = tags(fields, "tags");
        if tags.is_empty() && !fields.failed("tags") {
            fields.fail("tags", Reason::Required, "is empty: name the tags that an endpoint has to have");
        }
        Some(tags)
    })
}

fn tags(fields: &mut Fields<'_>, name: &'static str) -> Vec<Box<str>> {
    let mut seen = Vec::new();
    fields.list(name, TAGS_MAX, |node| {
        let tag: Box<str> = node.text_of(1..=TAG_LENGTH_MAX)?.into();
        value::is_new(&mut seen, tag.clone(), node, "stands here already: name it once").then_some(tag)
    })
}
