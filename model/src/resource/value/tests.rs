//! Small values: what is taken, and for what.

use serde_json::{Value, json};

use super::*;
use crate::resource::decode::Sink;

/// What a reader makes of a value, or the message.
fn read<T>(value: &Value, read: impl FnOnce(&Node<'_>) -> Option<T>) -> Result<T, String> {
    let sink = Sink::default();
    let found = read(&Node::root(value, &sink));
    sink.finish(found).map_err(|errors| errors.to_string())
}

/// Whether a text is taken as it is.
fn is_taken(text: &str, read: for<'a> fn(&Node<'a>) -> Option<&'a str>) -> bool {
    let (sink, value) = (Sink::default(), json!(text));
    let found = read(&Node::root(&value, &sink)).map(str::to_owned);
    sink.finish(found).is_ok_and(|found| found == text)
}

fn precise<'a>(node: &Node<'a>) -> Option<&'a str> {
    hostname(node, false)
}

fn wild<'a>(node: &Node<'a>) -> Option<&'a str> {
    hostname(node, true)
}

#[test]
fn a_duration_is_whole_numbers_with_units() {
    for (text, milliseconds) in [
        ("0s", 0),
        ("0h0m0s0ms", 0),
        ("10s", 10_000),
        ("1h30m", 5_400_000),
        ("250ms", 250),
        ("1s1s", 2_000),
        ("1ms1h", 3_600_001),
        ("99999h", 359_996_400_000),
        ("00010s", 10_000),
    ] {
        let time = read(&json!(text), duration);
        assert_eq!(time, Ok(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in [
        "",
        "s",
        "10",
        "10 s",
        " 10s",
        "10S",
        "1d",
        "1us",
        "1.5s",
        "-1s",
        "+1s",
        "1s-",
        "100000s",
        "1h1m1s1ms1h",
        "٣s",
    ] {
        assert!(read(&json!(text), duration).is_err(), "{text}");
    }
}

#[test]
fn zero_is_never_for_a_timeout_and_nothing_for_a_span() {
    assert_eq!(read(&json!("0ms"), timeout), Ok(None));
    assert_eq!(read(&json!("1s"), timeout), Ok(Some(Duration::from_secs(1))));
    assert!(read(&json!("0ms"), span).is_err());
}

#[test]
fn a_duration_is_shown_as_people_write_it() {
    for (milliseconds, text) in
        [(0, "0s"), (5, "5ms"), (1_000, "1s"), (1_500, "1500ms"), (60_000, "1m"), (90_000, "90s")]
    {
        assert_eq!(shown(Duration::from_millis(milliseconds)), text);
    }
}

#[test]
fn a_size_is_bytes_or_has_a_unit_of_two() {
    let size = |value: Value| read(&value, |node| bytes(node, 1_048_576));
    for (value, expected) in [
        (json!(0), 0),
        (json!(17), 17),
        (json!("17"), 17),
        (json!("64Ki"), 65_536),
        (json!("1Mi"), 1_048_576),
    ] {
        assert_eq!(size(value.clone()), Ok(expected), "{value}");
    }
    for value in
        [json!(-1), json!(1.5), json!("1Gi"), json!("2Mi"), json!("Ki"), json!("1 Ki"), json!(""), json!([])]
    {
        assert!(size(value.clone()).is_err(), "{value}");
    }
}

#[test]
fn names_are_told_from_what_only_looks_like_one() {
    let long = "a".repeat(SUBDOMAIN_MAX + 1);
    for text in ["orders", "orders-v2", "a.b-c.d9", "0"] {
        assert!(is_taken(text, subdomain), "{text}");
    }
    for text in ["", ".", "a.", ".a", "a..b", "-a", "a-", "A", "a_b", "a b", "a/b", "é", &long] {
        assert!(!is_taken(text, subdomain), "{text}");
    }
    for text in ["example.com", "*.example.com"] {
        assert!(is_taken(text, wild), "{text}");
    }
    for text in ["*", "*.", "*example.com", "a.*.com", "10.0.0.1", "::1", "a:80"] {
        assert!(!is_taken(text, wild), "{text}");
    }
    assert!(!is_taken("*.example.com", precise) && is_taken("example.com", precise));
}

#[test]
fn a_header_can_carry_no_second_one() {
    for text in ["a", "a b", "a\tb", "\"q\"; w=1", "~"] {
        assert_eq!(read(&json!(text), header_value).as_deref(), Ok(text));
    }
    for text in ["", " a", "a ", "a\r\nb", "a\nb", "a\0b", "\u{7f}", "é"] {
        assert!(read(&json!(text), header_value).is_err(), "{text:?}");
    }
    assert_eq!(read(&json!("X-Request-ID"), header_name).as_deref(), Ok("x-request-id"));
    for text in ["", "a b", "a:", ":path", "a\r\n", "(a)", "é"] {
        assert!(read(&json!(text), header_name).is_err(), "{text:?}");
    }
}

#[test]
fn a_path_is_absolute_and_normal() {
    for text in ["/", "/a", "/a/", "/a/b.c/~d", "/%41%5a", "/a;b=c,d", "/@:!$&'()*+"] {
        assert!(is_taken(text, path), "{text}");
    }
    for text in [
        "", "a", "//", "/a//b", "/.", "/a/..", "/./a", "/a?b", "/a#b", "/%2f", "/%2F", "/%", "/%4", "/%zz",
        "/a b", "/\\", "/é",
    ] {
        assert!(!is_taken(text, path), "{text}");
    }
    // Dots are only special as whole segments.
    assert!(is_taken("/.well-known/..a", path));
}
