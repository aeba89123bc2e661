//! What is read of each form, and what is written in its place.

use proptest::prelude::*;

use super::*;

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const SHORT: u128 = 0xa3ce_929d_0e0e_4736;
const PARENT: u64 = 0x00f0_67aa_0ba9_02b7;
const SPAN: u64 = 0xb7ad_6b71_6920_3331;
const TRACE_TEXT: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

/// What goes on of these headers, as `name: value` in the order of names.
fn passed(pairs: &[(&'static str, &str)], is_sampled: bool) -> Vec<String> {
    let mut headers = headers(pairs);
    let context = Context::read(&headers);
    let trace = context.ids.map_or(TRACE, |(trace, _)| trace);
    context.write(&mut headers, (trace, SPAN), is_sampled);
    let mut lines: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

#[test]
fn each_form_is_read() {
    let multi = [("x-b3-traceid", TRACE_TEXT), ("x-b3-spanid", "00f067aa0ba902b7")];
    let with = |more: (&'static str, &'static str)| [&multi[..], &[more]].concat();
    let ids = |trace| Some((trace, PARENT));
    for (pairs, expected, sampled) in [
        (
            vec![("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")],
            ids(TRACE),
            Some(true),
        ),
        (
            vec![("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02")],
            ids(TRACE),
            Some(false),
        ),
        (
            vec![("traceparent", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes")],
            ids(TRACE),
            Some(true),
        ),
        (vec![("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1")], ids(TRACE), Some(true)),
        (vec![("b3", "a3ce929d0e0e4736-00f067aa0ba902b7-d-0000000000000001")], ids(SHORT), Some(true)),
        (vec![("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7")], ids(TRACE), None),
        (vec![("b3", "0")], None, Some(false)),
        (vec![("b3", "d")], None, Some(true)),
        (multi.to_vec(), ids(TRACE), None),
        (with(("x-b3-sampled", "1")), ids(TRACE), Some(true)),
        (with(("x-b3-sampled", "false")), ids(TRACE), Some(false)),
        (with(("x-b3-flags", "1")), ids(TRACE), Some(true)),
        (vec![("x-b3-sampled", "0")], None, Some(false)),
    ] {
        let context = Context::read(&headers(&pairs));
        assert_eq!((context.ids, context.sampled), (expected, sampled), "{pairs:?}");
        if expected.is_some() {
            assert_eq!(carrier(&headers(&pairs)).and_then(id), expected.map(|(trace, _)| trace), "{pairs:?}");
        }
    }
}

#[test]
fn what_is_broken_says_nothing_and_is_replaced() {
    for broken in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        let context = Context::read(&headers(&[("traceparent", broken)]));
        assert_eq!((context.ids, context.sampled), (None, None), "{broken}");
        let expected = format!("traceparent: 00-{TRACE_TEXT}-b7ad6b7169203331-01");
        assert_eq!(passed(&[("traceparent", broken), ("tracestate", "a=1")], true), [expected]);
    }
    let mut two = headers(&[("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]);
    two.append(TRACEPARENT, two["traceparent"].clone());
    assert_eq!(Context::read(&two).ids, None);
    assert_eq!(Context::read(&headers(&[("b3", "4bf9-00f067aa0ba902b7-1")])).ids, None);
}

#[test]
fn a_context_goes_on_in_the_form_that_it_came_in_with_our_span() {
    let came = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";
    let goes = format!("traceparent: 00-{TRACE_TEXT}-b7ad6b7169203331-03");
    assert_eq!(
        passed(&[("traceparent", came), ("tracestate", "a=1")], true),
        [goes.clone(), "tracestate: a=1".to_owned()]
    );
    let single = "a3ce929d0e0e4736-00f067aa0ba902b7-1-0000000000000001";
    let single_goes = "b3: a3ce929d0e0e4736-b7ad6b7169203331-1-00f067aa0ba902b7";
    assert_eq!(passed(&[("b3", single)], true), [single_goes]);
    let multi = [("x-b3-traceid", TRACE_TEXT), ("x-b3-spanid", "00f067aa0ba902b7"), ("x-b3-sampled", "1")];
    let expected = [
        "x-b3-parentspanid: 00f067aa0ba902b7".to_owned(),
        "x-b3-sampled: 1".to_owned(),
        "x-b3-spanid: b7ad6b7169203331".to_owned(),
        format!("x-b3-traceid: {TRACE_TEXT}"),
    ];
    assert_eq!(passed(&multi, true), expected);
    // Both at once: both speak of the same span afterwards.
    let both = passed(&[("traceparent", came), ("b3", single)], true);
    assert_eq!(both, [format!("b3: {TRACE_TEXT}-b7ad6b7169203331-1-00f067aa0ba902b7"), goes]);
}

#[test]
fn where_nothing_came_w3c_begins() {
    let begun = |flags| format!("traceparent: 00-{TRACE_TEXT}-b7ad6b7169203331-{flags}");
    assert_eq!(passed(&[], true), [begun("01")]);
    assert_eq!(passed(&[], false), [begun("00")]);
    assert_eq!(passed(&[("b3", "1")], true), [format!("b3: {TRACE_TEXT}-b7ad6b7169203331-1")]);
}

proptest! {
    #[test]
    fn nothing_that_is_said_panics(text in "[0-9a-fd-]{0,70}", more in "[0-9a-f]{0,33}") {
        let mut headers = headers(&[("traceparent", &text), ("b3", &text), ("x-b3-traceid", &more)]);
        let context = Context::read(&headers);
        context.write(&mut headers, (1, 1), true);
        let _ = carrier(&headers).and_then(id);
        prop_assert_eq!(Context::read(&headers).ids, Some((1, 1)));
    }
}
