//! The match of routes, from a text of rules and a request: one rule a line, as `P /path`, `E /path`, `R expression`,
//! `M METHOD`, `H name=value`, `Q name=value`, the last line being the request's `METHOD /path?query`. The index finds
//! what looking at every rule in turn would find.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use weft_model::traffic::{
    Item, Match, Origin, PathMatch, Route, Rule, Spec, ValueMatch, ValuePattern,
    compile::{Compiled, check},
    view::PlainRequest,
};

/// More rules make a run slower and nothing clearer.
const RULES_MAX: usize = 32;

fuzz_target!(|text: &str| {
    let mut lines: Vec<&str> = text.lines().take(RULES_MAX).collect();
    let Some((method, target)) = lines.pop().and_then(|line| line.split_once(' ')) else { return };
    let rules: Vec<Rule> = lines.iter().filter_map(|line| rule(line)).collect();
    let route = Route { rules, ..Route::default() };
    let origin = origin();
    if check(&Item { origin: origin.clone(), spec: Spec::Route(route.clone()) }).is_err() {
        return;
    }
    let request = PlainRequest::new(method, target).header("host", "orders").header("a", "b");
    let all = Compiled::new([(&origin, &route)], []);
    let found = all.find(&request);
    // A rule holds alone exactly when it holds among others, if none before it counts.
    let alone = |rule: &Rule| {
        let one = Route { rules: vec![rule.clone()], ..Route::default() };
        Compiled::new([(&origin, &one)], []).find(&request)
    };
    let holding = route.rules.iter().filter(|rule| alone(rule).is_some()).count();
    assert_eq!(found.is_some(), holding > 0, "the index finds what no rule says, or misses one");
    if let Some(found) = found {
        let holds = all.rule(found.rule).is_some_and(|rule| alone(&rule.rule).is_some());
        assert!(holds, "what was found does not hold");
        if let Some(prefix) = found.prefix {
            assert!(target.is_char_boundary(prefix), "a prefix ends within a letter");
        }
    }
});

fn rule(line: &str) -> Option<Rule> {
    let (kind, text) = line.split_once(' ')?;
    let mut said = Match::default();
    let pair = || {
        let (name, value) = text.split_once('=')?;
        Some(vec![ValueMatch { name: name.into(), value: ValuePattern::Exact(value.into()) }])
    };
    match kind {
        "P" => said.path = Some(PathMatch::Prefix(text.into())),
        "E" => said.path = Some(PathMatch::Exact(text.into())),
        "R" => said.path = Some(PathMatch::Regex(text.into())),
        "M" => said.method = Some(text.into()),
        "H" => said.headers = pair()?,
        "Q" => said.query = pair()?,
        _ => return None,
    }
    Some(Rule { matches: vec![said], ..Rule::default() })
}

fn origin() -> Origin {
    let text = |text: &str| -> Arc<str> { text.into() };
    Origin {
        created_ms: 0,
        namespace: text("default"),
        name: text("fuzz"),
        kind: text("HTTPRoute"),
        generation: 1,
    }
}
