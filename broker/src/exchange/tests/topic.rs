//! The topic matcher: against a recursive one, at its limits, and empty again after all is unbound.

use proptest::prelude::*;

use super::{NO_ARGUMENTS, queue, reached};
use crate::exchange::{
    bindings::{Binding, BindingId},
    header::NoHeaders,
    kind::Matching,
    message::{Message, RouteResult},
    routes::Routes,
    topic::Topic,
};

fn words(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

fn naive(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((&"#", rest)), _) => naive(rest, key) || (!key.is_empty() && naive(pattern, &key[1..])),
        (Some(_), None) => false,
        (Some((word, rest)), Some((first, others))) => (*word == "*" || word == first) && naive(rest, others),
    }
}

fn bound(patterns: &[&str]) -> Routes {
    let mut routes = Routes::new(Matching::Topic);
    for (number, pattern) in (0..).zip(patterns) {
        routes.bind(queue(number), pattern, &NO_ARGUMENTS);
    }
    routes
}

#[test]
fn the_words_of_the_specification_match() {
    let routes = bound(&["*.stock.#", "usd.*", "#", "eur.stock.db", "", "*", "#.db"]);
    assert_eq!(reached(&routes, "usd.stock", &NoHeaders), [0, 1, 2]);
    assert_eq!(reached(&routes, "eur.stock.db", &NoHeaders), [0, 2, 3, 6]);
    assert_eq!(reached(&routes, "stock.nasdaq", &NoHeaders), [2]);
}

#[test]
fn the_empty_key_has_no_word_and_a_dot_has_two() {
    let routes = bound(&["", "*", "#", "*.*", ".", "#.#"]);
    assert_eq!(reached(&routes, "", &NoHeaders), [0, 2, 5]);
    assert_eq!(reached(&routes, ".", &NoHeaders), [2, 3, 4, 5]);
    assert_eq!(reached(&routes, "a", &NoHeaders), [1, 2, 5]);
}

#[test]
fn a_queue_bound_by_many_patterns_is_reached_once() {
    let mut routes = Routes::new(Matching::Topic);
    for pattern in ["#", "a.#", "a.b", "*.b", "#.b.#", "#.#"] {
        assert!(routes.bind(queue(7), pattern, &NO_ARGUMENTS));
    }
    let mut out = RouteResult::new();
    out.begin();
    routes.route(&Message::bare(&["a.b", "a"]), &mut out.sink);
    assert_eq!(out.queues().len(), 1);
}

/// A matcher that backtracks needs some 10^30 steps for this.
#[test]
fn many_hashes_against_a_long_key_cost_words_times_nodes() {
    let pattern = format!("{}a", "#.".repeat(100));
    let stars = format!("{}b", "#.*.".repeat(60));
    let routes = bound(&[&pattern, &stars, "#"]);
    let key = ".".repeat(255);
    assert_eq!(reached(&routes, &key, &NoHeaders), [2]);
    assert_eq!(reached(&routes, &format!("{}.b", ".".repeat(200)), &NoHeaders), [1, 2]);
    assert_eq!(reached(&routes, &format!("{}.a", ".".repeat(200)), &NoHeaders), [0, 2]);
}

#[test]
fn the_trie_is_pruned_to_its_root() {
    let mut topic = Topic::default();
    let patterns = ["a.b.c", "a.b", "a.*.c", "a.#", "#", "", "..", "*.*", "a.b.c.d.e.f.g"];
    let mut bindings: Vec<_> = (0_u32..)
        .zip(patterns)
        .map(|(id, pattern)| {
            let mut binding = Binding {
                destination: queue(id),
                key: pattern.into(),
                arguments: Default::default(),
                place: Default::default(),
            };
            binding.place = topic.attach(BindingId(id), &binding);
            binding
        })
        .collect();
    let grown = topic.size();
    bindings.drain(..).for_each(|binding| assert_eq!(topic.detach(&binding), None));
    assert!(grown > (10, 10, 5));
    assert_eq!(topic.size(), (1, 0, 0));
}

fn pattern() -> impl Strategy<Value = String> {
    let word = prop_oneof![Just("a"), Just("b"), Just(""), Just("*"), Just("#"), Just("#")];
    prop::collection::vec(word, 0..7).prop_map(|words| words.join("."))
}

fn key() -> impl Strategy<Value = String> {
    let word = prop_oneof![Just("a"), Just("b"), Just(""), Just("c"), Just("*"), Just("#")];
    prop::collection::vec(word, 0..9).prop_map(|words| words.join("."))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_trie_agrees_with_a_recursive_matcher(
        patterns in prop::collection::vec(pattern(), 0..40),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        keys in prop::collection::vec(key(), 1..20),
    ) {
        let mut routes = Routes::new(Matching::Topic);
        let mut set: Vec<(u32, &str)> = (0..).zip(patterns.iter().map(String::as_str)).collect();
        for (number, pattern) in &set {
            routes.bind(queue(*number), pattern, &NO_ARGUMENTS);
        }
        for at in removed.iter().filter(|_| !patterns.is_empty()) {
            let gone = at.index(patterns.len());
            let was = set.iter().position(|(number, _)| *number as usize == gone).map(|at| set.remove(at));
            let number = u32::try_from(gone).unwrap();
            prop_assert_eq!(routes.unbind(queue(number), &patterns[gone], &NO_ARGUMENTS), was.is_some());
        }
        for key in &keys {
            let key_words = words(key);
            let expected: Vec<u32> =
                set.iter().filter(|(_, p)| naive(&words(p), &key_words)).map(|(number, _)| *number).collect();
            prop_assert_eq!(reached(&routes, key, &NoHeaders), expected, "key {:?}", key);
        }
    }
}
