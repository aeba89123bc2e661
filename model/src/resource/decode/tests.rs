//! The reader over invented objects: places, words, limits.

use serde_json::json;

use super::*;

fn errors(value: &Value, read: impl FnOnce(&Node<'_>) -> Option<()>) -> Vec<String> {
    let sink = Sink::default();
    let read = read(&Node::root(value, &sink));
    sink.finish(read).err().map(|errors| errors.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

#[test]
fn every_error_is_noted_with_its_place() {
    let value = json!({"a": [{"n": 7}, {"n": "x"}, {"n": 5, "m": 1}], "b": 1});
    let found = errors(&value, |node| {
        node.object(|fields| {
            fields
                .list("a", 3, |node| node.object(|fields| fields.required("n", |node| node.integer(0..=6))));
            fields.required("c", |node| node.text());
            Some(())
        })
    });
    assert_eq!(
        found,
        [
            "a[0].n: is 7: give a whole number from 0 to 6",
            "a[1].n: is text and has to be a whole number: write one from 0 to 6",
            "a[2].m: is not a known field: known here is n",
            "c: is missing: add it",
            "b: is not a known field: known here are a, c",
        ]
    );
}

#[test]
fn null_is_absent() {
    let value = json!({"a": null, "b": null});
    let found = errors(&value, |node| {
        node.object(|fields| {
            assert_eq!(fields.optional("a", |node| node.text()), None);
            fields.required("b", |node| node.text()).map(|_| ())
        })
    });
    assert_eq!(found, ["b: is missing: add it"]);
}

#[test]
fn a_word_is_told_from_its_neighbours() {
    let words = [("RoundRobin", ()), ("Random", ())];
    for (text, message) in [
        (
            "round-robin",
            "`round-robin` is not known here: did you mean `RoundRobin`? It is one of RoundRobin, Random",
        ),
        ("P2C", "`P2C` is not known here: give one of RoundRobin, Random"),
    ] {
        assert_eq!(errors(&json!(text), |node| node.one_of(&words)), [format!("$: {message}")]);
    }
}

#[test]
fn errors_beyond_the_limit_are_counted() {
    let value: Value = (0..ERRORS_MAX + 7).map(|index| (format!("k{index}"), json!(1))).collect();
    let sink = Sink::default();
    let read = Node::root(&value, &sink).object(|_| Some(()));
    let errors = sink.finish(read).unwrap_err();
    assert_eq!((errors.iter().len(), errors.untold()), (ERRORS_MAX, 7));
    assert!(errors.to_string().ends_with("\nand 7 more"));
}

#[test]
fn outside_text_is_cut_and_cannot_move_the_cursor() {
    let value = json!({"\u{1b}[2J": 1, "x".repeat(500): 2});
    let found = errors(&value, |node| node.object(|_| Some(())));
    assert!(found.iter().all(|error| error.len() < 150 && !error.contains('\u{1b}')), "{found:?}");
}
