//! The headers exchange against a plain reading of RabbitMQ's rules.

use proptest::prelude::*;

use super::{queue, reached, table};
use crate::{
    amqp::value::{FieldTable, FieldValue},
    exchange::{
        arguments::Arguments,
        bindings::{Binding, BindingId, Place},
        header::NoHeaders,
        headers::Headers,
        kind::{KindError, Matching},
        routes::Routes,
    },
};

fn is_reached(arguments: &FieldTable, headers: &FieldTable) -> bool {
    let mut routes = Routes::new(Matching::Headers);
    routes.bind(queue(0), "", arguments);
    !reached(&routes, "", headers).is_empty()
}

fn text(text: &str) -> FieldValue {
    FieldValue::text(text)
}

#[test]
fn all_needs_each_and_is_the_default() {
    let both = [("a", text("1")), ("b", FieldValue::I32(2))];
    let arguments = table(both.clone());
    assert!(is_reached(&arguments, &table([("b", FieldValue::I32(2)), ("c", text("3")), ("a", text("1"))])));
    assert!(!is_reached(&arguments, &table([("a", text("1"))])));
    assert!(is_reached(&table([("x-match", text("all"))]), &FieldTable::new()));
}

#[test]
fn any_needs_one() {
    let arguments = table([("x-match", text("any")), ("a", text("1")), ("b", text("2"))]);
    assert!(is_reached(&arguments, &table([("b", text("2"))])));
    assert!(!is_reached(&arguments, &table([("b", text("1"))])));
    assert!(!is_reached(&table([("x-match", text("any"))]), &table([("a", text("1"))])));
}

#[test]
fn names_with_x_count_only_if_asked() {
    let headers = table([("a", text("1"))]);
    for (mode, is_match) in [("all", true), ("all-with-x", false), ("any", true), ("any-with-x", true)] {
        let arguments = table([("x-match", text(mode)), ("a", text("1")), ("x-b", text("2"))]);
        assert_eq!(is_reached(&arguments, &headers), is_match, "{mode}");
    }
    let with_x = table([("x-match", text("any-with-x")), ("x-b", text("2"))]);
    assert!(is_reached(&with_x, &table([("x-b", text("2"))])));
    assert!(!is_reached(&with_x, &table([("x-match", text("any-with-x"))])));
}

#[test]
fn void_asks_for_presence() {
    let arguments = table([("a", FieldValue::Void)]);
    assert!(is_reached(&arguments, &table([("a", FieldValue::Bool(false))])));
    assert!(!is_reached(&arguments, &table([("b", FieldValue::Void)])));
}

#[test]
fn values_are_compared_without_their_tags() {
    let same = [
        (FieldValue::U8(5), FieldValue::I64(5)),
        (FieldValue::Timestamp(5), FieldValue::I16(5)),
        (FieldValue::F32(5.0), FieldValue::U32(5)),
        (FieldValue::F64(0.5), FieldValue::F32(0.5)),
        (text("a"), FieldValue::Bytes("a".into())),
    ];
    for (a, b) in same {
        assert!(is_reached(&table([("h", a.clone())]), &table([("h", b.clone())])), "{a:?} {b:?}");
    }
    let differ = [
        (text("5"), FieldValue::I64(5)),
        (FieldValue::Bool(true), FieldValue::I8(1)),
        (FieldValue::Timestamp(u64::MAX), FieldValue::I64(-1)),
        (FieldValue::F64(9_007_199_254_740_992.0), FieldValue::I64(9_007_199_254_740_993)),
        (FieldValue::Array(vec![FieldValue::I8(1)]), FieldValue::Array(vec![FieldValue::I16(1)])),
        (FieldValue::F64(f64::NAN), FieldValue::I64(0)),
        (FieldValue::F64(2.5), FieldValue::I64(2)),
    ];
    for (a, b) in differ {
        assert!(!is_reached(&table([("h", a.clone())]), &table([("h", b.clone())])), "{a:?} {b:?}");
    }
}

#[test]
fn other_arguments_make_another_binding_and_their_order_none() {
    let mut routes = Routes::new(Matching::Headers);
    let nan = FieldValue::F64(f64::NAN);
    let one = table([("a", text("1")), ("b", nan.clone())]);
    let turned = table([("b", nan), ("a", text("1"))]);
    assert!(routes.bind(queue(0), "", &one));
    assert!(!routes.bind(queue(0), "", &turned));
    assert!(routes.bind(queue(0), "", &table([("a", text("1"))])));
    assert!(routes.unbind(queue(0), "", &turned));
    assert_eq!(routes.len(), 1);
    assert_eq!(reached(&routes, "", &table([("a", text("1"))])), [0]);
}

#[test]
fn of_a_header_sent_twice_the_first_counts() {
    let twice: FieldTable = (0..20).map(|number| ("a".to_owned(), FieldValue::I32(number))).collect();
    assert!(is_reached(&table([("a", FieldValue::I32(0))]), &twice));
    assert!(!is_reached(&table([("a", FieldValue::I32(10))]), &twice));
}

#[test]
fn nothing_is_kept_of_bindings_that_are_gone() {
    let mut headers = Headers::default();
    let arguments = [
        table([("a", text("1")), ("b", text("2"))]),
        table([("a", text("1")), ("b", text("3"))]),
        table([("a", FieldValue::F64(2.5))]),
        table([("x-match", text("any")), ("c", text("1"))]),
    ];
    let mut bindings: Vec<_> = (0..)
        .zip(&arguments)
        .map(|(id, table)| {
            let arguments = Arguments::of(table);
            let mut binding =
                Binding { destination: queue(id), key: "".into(), arguments, place: Place::default() };
            binding.place = headers.attach(BindingId(id), &binding);
            binding
        })
        .collect();
    assert_eq!(headers.size(), (3, 2, 3));
    bindings.drain(2..).rev().for_each(|binding| assert_eq!(headers.detach(&binding), None));
    assert_eq!(headers.size(), (3, 2, 2));
    bindings.drain(..).for_each(|binding| assert_eq!(headers.detach(&binding), None));
    assert_eq!(headers.size(), (1, 0, 0));
}

#[test]
fn an_unknown_match_is_refused() {
    let value = Matching::Headers.check_binding(&table([("x-match", text("some"))]));
    assert_eq!(value, Err(KindError::MatchValue { value: "some".to_owned() }));
    let kind = Matching::Headers.check_binding(&table([("x-match", FieldValue::I32(1))])).unwrap_err();
    assert_eq!(kind.to_string(), "Invalid x-match field type signedint (value 1); expected longstr");
    assert!(Matching::Topic.check_binding(&table([("x-match", text("some"))])).is_ok());
}

#[test]
fn a_message_without_headers_matches_what_asks_for_none() {
    let mut routes = Routes::new(Matching::Headers);
    routes.bind(queue(0), "", &table([("x-match", text("all"))]));
    routes.bind(queue(1), "", &table([("a", FieldValue::Void)]));
    assert_eq!(reached(&routes, "", &NoHeaders), [0]);
}

fn as_float(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::F64(float) => Some(*float),
        number => number.as_integer().and_then(|number| i32::try_from(number).ok()).map(f64::from),
    }
}

fn naive(arguments: &FieldTable, headers: &FieldTable) -> bool {
    let mode = arguments.find("x-match").and_then(FieldValue::as_str).unwrap_or("all");
    let verdicts: Vec<bool> = arguments
        .iter()
        .filter(|(name, _)| *name != "x-match" && (mode.ends_with("with-x") || !name.starts_with("x-")))
        .map(|(name, wanted)| match (wanted, headers.find(name)) {
            (_, None) => false,
            (FieldValue::Void, Some(_)) => true,
            (a, Some(b)) => match (a.as_integer(), b.as_integer()) {
                (Some(a), Some(b)) => a == b,
                _ => a == b || as_float(a).is_some_and(|a| Some(a) == as_float(b)),
            },
        })
        .collect();
    if mode.starts_with("all") { verdicts.iter().all(|v| *v) } else { verdicts.iter().any(|v| *v) }
}

fn entries() -> impl Strategy<Value = Vec<(String, FieldValue)>> {
    let name = prop::sample::select(vec!["a", "b", "c", "x-a", "x-b"]);
    let value = prop_oneof![
        Just(FieldValue::Void),
        (0..3_i8).prop_map(FieldValue::I8),
        (0..3_i64).prop_map(FieldValue::I64),
        prop::sample::select(vec![0.0, 1.0, 1.5]).prop_map(FieldValue::F64),
        any::<bool>().prop_map(FieldValue::Bool),
        prop::sample::select(vec!["0", "1"]).prop_map(FieldValue::text),
    ];
    prop::collection::hash_map(name.prop_map(str::to_owned), value, 0..4)
        .prop_map(|map| map.into_iter().collect())
}

fn arguments() -> impl Strategy<Value = FieldTable> {
    let mode = prop::sample::select(vec!["", "all", "any", "all-with-x", "any-with-x"]);
    (mode, entries()).prop_map(|(mode, entries)| {
        let mut table: FieldTable = entries.into_iter().collect();
        if !mode.is_empty() {
            table.set("x-match", FieldValue::text(mode));
        }
        table
    })
}

proptest! {
    #[test]
    fn the_exchange_agrees_with_a_plain_reading(
        bindings in prop::collection::vec(arguments(), 1..20),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        headers in prop::collection::vec(entries(), 1..10),
    ) {
        let mut routes = Routes::new(Matching::Headers);
        let mut alive = vec![true; bindings.len()];
        for (number, arguments) in (0..).zip(&bindings) {
            routes.bind(queue(number), "k", arguments);
        }
        for at in removed {
            let at = at.index(bindings.len());
            let was = std::mem::replace(&mut alive[at], false);
            prop_assert_eq!(routes.unbind(queue(u32::try_from(at).unwrap()), "k", &bindings[at]), was);
        }
        for headers in headers {
            let headers: FieldTable = headers.into_iter().collect();
            let expected: Vec<u32> = (0..).zip(bindings.iter().zip(&alive))
                .filter(|(_, (arguments, alive))| **alive && naive(arguments, &headers))
                .map(|(number, _)| number)
                .collect();
            prop_assert_eq!(reached(&routes, "k", &headers), expected);
        }
    }
}
