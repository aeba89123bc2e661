//! Files of several documents, and texts that are none.

use serde_json::json;

use super::*;

fn values(text: &str) -> Vec<Value> {
    yaml(text).expect("YAML").into_iter().map(|object| object.value).collect()
}

#[test]
fn a_file_holds_documents_and_lists() {
    let text = "
# a comment
---
kind: A
---
---
apiVersion: v1
kind: List
items: [{kind: B}, {kind: C}]
---
{\"kind\": \"HTTPRouteList\", \"items\": [{\"kind\": \"D\"}]}
---
kind: Playlist
";
    let kinds = ["A", "B", "C", "D", "Playlist"].map(|kind| json!({"kind": kind}));
    assert_eq!(values(text), kinds);
    let numbers: Vec<usize> = yaml(text).expect("YAML").iter().map(|object| object.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert_eq!(values(""), [json!(null); 0]);
}

#[test]
fn words_and_numbers_are_what_kubernetes_takes_them_for() {
    let text = "{a: no, b: 0777, c: 1.5, d: 12, e: -3, f: true, g: null, h: '5', i: 2026-11-22T15:52:00Z}";
    let expected = json!({
        "a": "no", "b": "0777", "c": 1.5, "d": 12, "e": -3, "f": true, "g": null, "h": "5",
        "i": "2026-11-22T15:52:00Z",
    });
    assert_eq!(values(text), [expected]);
}

#[test]
fn a_syntax_error_has_its_place() {
    for (text, message) in [
        ("a: [1\nb: 2", "line 2, column 2: did not find expected ',' or ']'"),
        ("a: 1\n---\nb: 1\nb: 2\n", "line 3, column 1: `b` stands twice in one object: write it once"),
        ("a: .nan", "line 1, column 4: a: `NaN` is no number in JSON"),
        ("kind: List\nitems: 3", "`items` of a List has to be a list"),
    ] {
        let error = yaml(text).expect_err(text).to_string();
        assert!(error.starts_with(message), "{text:?}: {error}");
    }
}

#[test]
fn json_is_one_document_without_repeated_keys() {
    assert_eq!(json(br#" {"a": [1, null, "x"]} "#).expect("JSON"), json!({"a": [1, null, "x"]}));
    for (text, message) in [
        (r#"{"a": {"b": 1, "b": 2}}"#, "line 1, column 22: `b` stands twice in one object: write it once"),
        (r#"{"a": 1} {}"#, "line 1, column 10: trailing characters"),
        ("", "line 1, column 0: EOF while parsing a value"),
    ] {
        assert_eq!(json(text.as_bytes()).expect_err(text).to_string(), message);
    }
}

#[test]
fn deep_nesting_and_alias_bombs_are_refused() {
    assert!(json("[".repeat(10_000).as_bytes()).is_err());
    assert!(yaml(&"[".repeat(10_000)).is_err());
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let last = level - 1;
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{last}"); 10].join(", "));
    }
    assert!(yaml(&bomb).is_err());
}

#[test]
fn too_many_objects_are_refused() {
    assert!(yaml(&"---\na: 1\n".repeat(OBJECTS_MAX)).is_ok());
    assert!(yaml(&"---\na: 1\n".repeat(OBJECTS_MAX + 1)).is_err());
}
