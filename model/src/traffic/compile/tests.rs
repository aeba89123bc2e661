//! The Gateway API's order as tables, and the index held against a walk over the ordered list.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use crate::traffic::{GrpcMethod, ValueMatch, view::PlainRequest};

fn origin(created_ms: u64, namespace: &str, name: &str) -> Origin {
    Origin {
        created_ms,
        namespace: namespace.into(),
        name: name.into(),
        kind: "HTTPRoute".into(),
        generation: 1,
    }
}

fn route(rules: impl IntoIterator<Item = Vec<Match>>) -> Route {
    let rules = rules.into_iter().map(|matches| Rule { matches, ..Rule::default() }).collect();
    Route { ports: Vec::new(), rules }
}

fn path(path: PathMatch) -> Match {
    Match { path: Some(path), ..Match::default() }
}

fn exact(text: &str) -> Match {
    path(PathMatch::Exact(text.into()))
}

fn prefix(text: &str) -> Match {
    path(PathMatch::Prefix(text.into()))
}

fn regex(text: &str) -> Match {
    path(PathMatch::Regex(text.into()))
}

fn grpc(service: Option<&str>, method: Option<&str>) -> Match {
    let part = |text: Option<&str>| text.map(|text| ValuePattern::Exact(text.into()));
    path(PathMatch::Grpc(GrpcMethod { service: part(service), method: part(method) }))
}

fn header(mut said: Match, name: &str, value: &str) -> Match {
    said.headers.push(ValueMatch { name: name.into(), value: ValuePattern::Exact(value.into()) });
    said
}

fn query(mut said: Match, name: &str, value: &str) -> Match {
    said.query.push(ValueMatch { name: name.into(), value: ValuePattern::Exact(value.into()) });
    said
}

fn method(said: Match, method: &str) -> Match {
    Match { method: Some(method.into()), ..said }
}

/// The name of the rule that counts, of one route with these rules of one match each.
fn counts(rules: &[Match], request: &PlainRequest) -> Option<usize> {
    let (origin, route) = (origin(1, "default", "r"), route(rules.iter().map(|said| vec![said.clone()])));
    let compiled = Compiled::new([(&origin, &route)], []);
    compiled.find(request).map(|found| compiled.rule(found.rule).unwrap().index)
}

#[test]
fn a_path_decides_before_all_else_and_exactness_before_length() {
    let rules = [
        header(method(prefix("/a"), "GET"), "x", "1"),
        prefix("/"),
        prefix("/a/b/"),
        regex("/a/.*"),
        regex("/a/b.*"),
        exact("/a/b"),
    ];
    let with = |target: &str| PlainRequest::get(target).header("x", "1");
    for (target, counted) in [("/a/b", 5), ("/a/b/c", 4), ("/a/c", 3), ("/a", 0), ("/ab", 1), ("/", 1)] {
        assert_eq!(counts(&rules, &with(target)), Some(counted), "{target}");
    }
    assert_eq!(counts(&rules[..3], &with("/a/b/c")), Some(2), "the longest prefix");
}

#[test]
fn then_method_then_headers_then_parameters_then_place() {
    let rules = [
        prefix("/"),
        prefix("/"),
        query(query(prefix("/"), "p", "1"), "q", "2"),
        query(prefix("/"), "p", "1"),
        header(prefix("/"), "x", "1"),
        query(header(header(prefix("/"), "x", "1"), "y", "2"), "p", "1"),
        header(header(prefix("/"), "x", "1"), "y", "2"),
        method(prefix("/"), "POST"),
    ];
    let all = |method: &str, target: &str| PlainRequest::new(method, target).header("x", "1");
    assert_eq!(counts(&rules, &all("POST", "/?p=1&q=2").header("y", "2")), Some(7));
    assert_eq!(counts(&rules, &all("GET", "/?p=1&q=2").header("y", "2")), Some(5));
    assert_eq!(counts(&rules, &all("GET", "/?q=2").header("y", "2")), Some(6));
    assert_eq!(counts(&rules, &all("GET", "/?p=1&q=2")), Some(4));
    assert_eq!(counts(&rules, &PlainRequest::get("/?p=1&q=2")), Some(2));
    assert_eq!(counts(&rules, &PlainRequest::get("/?p=1")), Some(3));
    assert_eq!(counts(&rules, &PlainRequest::get("/")), Some(0), "the first rule");
}

#[test]
fn of_routes_that_match_alike_the_older_counts_and_then_the_name() {
    let same = route([vec![prefix("/")]]);
    let by = |origins: &[Origin]| {
        let mut origins = origins.to_vec();
        origins.sort();
        let compiled = Compiled::new(origins.iter().map(|origin| (origin, &same)), []);
        let found = compiled.find(&PlainRequest::get("/")).unwrap();
        compiled.rule(found.rule).unwrap().name.to_string()
    };
    assert_eq!(by(&[origin(2, "a", "a"), origin(1, "b", "b")]), "b/0");
    assert_eq!(by(&[origin(1, "b", "a"), origin(1, "a", "b")]), "b/0");
    assert_eq!(by(&[origin(1, "a", "z"), origin(1, "a-b", "y")]), "y/0", "as `a-b/y` sorts before `a/z`");
}

#[test]
fn a_grpc_call_goes_by_service_then_method_then_headers() {
    let rules = [
        grpc(None, None),
        grpc(None, Some("Get")),
        grpc(Some("shop.Orders"), None),
        grpc(Some("shop.Orders"), Some("Get")),
        header(grpc(Some("shop.Orders"), None), "x", "1"),
    ];
    for (target, counted) in [
        ("/shop.Orders/Get", Some(3)),
        ("/shop.Orders/Put", Some(2)),
        ("/shop.Carts/Get", Some(1)),
        ("/shop.Carts/Put", Some(0)),
        ("/shop.Orders", None),
        ("/shop.Orders/", None),
        ("/shop.Orders/Get/x", None),
    ] {
        assert_eq!(counts(&rules, &PlainRequest::new("POST", target)), counted, "{target}");
    }
    let put = PlainRequest::new("POST", "/shop.Orders/Put").header("x", "1");
    assert_eq!(counts(&rules, &put), Some(4));
}

#[test]
fn a_prefix_matches_whole_segments_and_says_how_long_it_is() {
    let (origin, route) = (origin(1, "default", "r"), route([vec![prefix("/a/"), exact("/x")]]));
    let compiled = Compiled::new([(&origin, &route)], []);
    let found = |target: &str| compiled.find(&PlainRequest::get(target)).map(|found| found.prefix);
    for target in ["/a", "/a/", "/a/b", "/a?q"] {
        assert_eq!(found(target), Some(Some(2)), "{target}");
    }
    assert_eq!(found("/x"), Some(None));
    for target in ["/ab", "/A", "/", "/x/"] {
        assert_eq!(found(target), None, "{target}");
    }
}

#[test]
fn repeated_headers_are_joined_and_values_count_whole() {
    let rules = [header(prefix("/"), "x", "1,2")];
    let request = PlainRequest::get("/").header("X", "1");
    assert_eq!(counts(&rules, &request), None);
    assert_eq!(counts(&rules, &request.header("x", "2")), Some(0));
}

#[test]
fn an_item_with_a_bad_expression_is_refused_with_its_place() {
    let spec = Spec::Route(route([vec![prefix("/")], vec![prefix("/"), regex("(")]]));
    let error = check(&Item { origin: origin(1, "a", "b"), spec }).unwrap_err().to_string();
    assert_eq!(error, "rule 1, match 1: `(` is not a regular expression: unclosed group");
}

fn any_path() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b", "ab", ""]), 0..4).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn any_part() -> impl Strategy<Value = Option<ValuePattern>> {
    option::of(prop_oneof![
        select(vec!["a", "b", "ab"]).prop_map(|text| ValuePattern::Exact(text.into())),
        select(vec!["a.*", "b|ab"]).prop_map(|text| ValuePattern::Regex(text.into())),
    ])
}

fn any_match() -> impl Strategy<Value = Match> {
    let path = option::of(prop_oneof![
        any_path().prop_map(|path| PathMatch::Exact(path.into())),
        any_path().prop_map(|path| PathMatch::Prefix(path.into())),
        select(vec!["/a.*", "/.*b", "/[ab]/?"]).prop_map(|text| PathMatch::Regex(text.into())),
        (any_part(), any_part())
            .prop_map(|(service, method)| PathMatch::Grpc(GrpcMethod { service, method })),
    ]);
    let values = || {
        vec((select(vec!["x", "y"]), select(vec!["1", "2"])), 0..2).prop_map(|values| {
            let value = |(name, value): (&str, &str)| ValueMatch {
                name: name.into(),
                value: ValuePattern::Exact(value.into()),
            };
            values.into_iter().map(value).collect::<Vec<_>>()
        })
    };
    let method = option::of(select(vec!["GET", "POST"])).prop_map(|method| method.map(Into::into));
    (path, method, values(), values()).prop_map(|(path, method, headers, query)| Match {
        path,
        method,
        headers,
        query,
    })
}

fn any_request() -> impl Strategy<Value = PlainRequest> {
    let value = || select(vec!["1", "2"]);
    (any_path(), select(vec!["GET", "POST"]), option::of(value()), option::of(value()), option::of(value()))
        .prop_map(|(path, method, x, y, parameter)| {
            let query = parameter.map_or_else(String::new, |value| format!("?x={value}&y=1"));
            let mut request = PlainRequest::new(method, &format!("{path}{query}"));
            for (name, value) in [("x", x), ("y", y)] {
                request = value.into_iter().fold(request, |request, value| request.header(name, value));
            }
            request
        })
}

proptest! {
    #[test]
    fn the_index_gives_what_a_walk_over_the_list_gives(
        rules in vec(vec(any_match(), 0..3), 0..12),
        requests in vec(any_request(), 1..20),
    ) {
        let (origin, route) = (origin(1, "default", "r"), route(rules));
        let compiled = Compiled::new([(&origin, &route)], []);
        for request in &requests {
            let walked = compiled.matches.iter().find(|entry| entry.matching.holds(request));
            let walked = walked.map(|entry| Found { rule: entry.rule, prefix: entry.matching.prefix_length() });
            prop_assert_eq!(compiled.find(request), walked);
        }
    }

    #[test]
    fn no_request_makes_matching_panic(target: String, header: String) {
        let rules = [prefix("/\u{e4}"), exact("/a"), regex(".*"), grpc(Some("a"), None), query(prefix("/"), "a", "b")];
        let request = PlainRequest::get(&target).header("x", &header);
        let _ = counts(&rules, &request);
    }
}
