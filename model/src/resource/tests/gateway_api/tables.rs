//! Tables: routes as in the Gateway API's guides and reference, and the rule that each request gets. Weft and the
//! naive evaluator are held against the same rows.

use serde_json::Value;

use super::{Weft, naive};
use crate::{resource::text, traffic::view::PlainRequest};

/// `GET /a?b=c x-header:value …` and the rule that it gets.
type Row = (&'static str, &'static str);

/// Routes in short: `kind name age` and the rules in YAML.
fn routes(said: &[(&str, &str, u8, &str)]) -> Vec<Value> {
    let file: String = said
        .iter()
        .map(|(kind, name, age, rules)| {
            format!(
                "---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}, \
                 creationTimestamp: '2026-11-22T15:52:{age:02}Z'}}\nspec:\n  parentRefs: [{{group: '', kind: Service, \
                 name: orders}}]\n  rules:\n{rules}\n"
            )
        })
        .collect();
    text::yaml(&file).expect("YAML").into_iter().map(|object| object.value).collect()
}

fn request(line: &str) -> PlainRequest {
    let mut words = line.split(' ');
    let (method, target) = (words.next().expect("a method"), words.next().expect("a path"));
    let headers = words.map(|header| header.split_once(':').expect("a header"));
    headers.fold(PlainRequest::new(method, target), |request, (name, value)| request.header(name, value))
}

fn check(routes: &[Value], rows: &[Row]) {
    let weft = Weft::new(routes);
    for (line, rule) in rows {
        let request = request(line);
        assert_eq!(weft.choose(&request), *rule, "{line}");
        assert_eq!(naive(routes, &request), *rule, "{line}, naively");
    }
}

/// One HTTPRoute `r` of these rules.
fn http(rules: &str) -> Vec<Value> {
    routes(&[("HTTPRoute", "r", 0, rules)])
}

#[test]
fn one_of_several_matches_is_enough_and_all_of_one_are_needed() {
    let routes = http(
        "
  - matches:
    - {path: {value: /foo}, headers: [{name: version, value: v2}]}
    - path: {value: /v2/foo}
",
    );
    check(
        &routes,
        &[
            ("GET /foo version:v2", "r#0"),
            ("GET /foo/bar Version:v2", "r#0"),
            ("GET /foo version:v1", ""),
            ("GET /foo", ""),
            ("GET /v2/foo", "r#0"),
            ("GET /v2/foo version:v1", "r#0"),
            ("GET /v2", ""),
        ],
    );
}

#[test]
fn a_prefix_is_of_whole_elements_and_its_last_slash_says_nothing() {
    for prefix in ["/abc", "/abc/"] {
        let routes = http(&format!("  - matches: [{{path: {{type: PathPrefix, value: {prefix}}}}}]"));
        check(
            &routes,
            &[
                ("GET /abc", "r#0"),
                ("GET /abc/", "r#0"),
                ("GET /abc/def", "r#0"),
                ("GET /abc?d", "r#0"),
                ("GET /abcd", ""),
                ("GET /ABC", ""),
                ("GET /ab", ""),
                ("GET /", ""),
            ],
        );
    }
}

#[test]
fn an_exact_path_is_exact() {
    let routes = http("  - matches: [{path: {type: Exact, value: /abc}}]");
    check(
        &routes,
        &[
            ("GET /abc", "r#0"),
            ("GET /abc?x=1", "r#0"),
            ("GET /abc/", ""),
            ("GET /Abc", ""),
            ("GET /abcd", ""),
        ],
    );
}

#[test]
fn an_expression_is_of_the_whole_value() {
    let routes = http(
        "
  - matches: [{path: {type: RegularExpression, value: '/users/[0-9]+|/u'}}]
  - matches: [{headers: [{name: agent, type: RegularExpression, value: '(curl|wget).*'}]}]
",
    );
    check(
        &routes,
        &[
            ("GET /users/17", "r#0"),
            ("GET /u", "r#0"),
            ("GET /users/17/x", ""),
            ("GET /x/users/17", ""),
            ("GET /x agent:curl/8", "r#1"),
            ("GET /x agent:libcurl/8", ""),
        ],
    );
}

#[test]
fn the_simple_split_of_the_routing_guide() {
    let routes = routes(&[
        ("HTTPRoute", "foo", 0, "  - matches: [{path: {value: /login}}]"),
        (
            "HTTPRoute",
            "bar",
            0,
            "  - matches: [{headers: [{type: Exact, name: env, value: canary}]}]\n  - backendRefs: [{name: bar, port: 8080}]",
        ),
    ]);
    check(
        &routes,
        &[
            ("GET /login", "foo#0"),
            ("GET /login/now env:canary", "foo#0"),
            ("GET /home env:canary", "bar#0"),
            ("GET /home env:prod", "bar#1"),
            ("GET /home", "bar#1"),
        ],
    );
}

#[test]
fn of_paths_the_most_specific_counts() {
    let routes = http(
        "
  - {}
  - matches: [{path: {value: /a}}]
  - matches: [{path: {value: /a/b}}]
  - matches: [{path: {type: RegularExpression, value: '/a/b/[a-z]+'}}]
  - matches: [{path: {type: Exact, value: /a/b/c}}]
  - matches: [{path: {value: /a/b/c}, method: GET, headers: [{name: x, value: '1'}]}]
",
    );
    check(
        &routes,
        &[
            ("GET /", "r#0"),
            ("GET /ab", "r#0"),
            ("GET /a", "r#1"),
            ("GET /a/c", "r#1"),
            ("GET /a/b", "r#2"),
            ("GET /a/b/", "r#2"),
            ("GET /a/b/d", "r#3"),
            ("GET /a/b/c x:1", "r#4"),
            ("GET /a/b/c/d x:1", "r#5"),
            ("GET /a/b/c/d x:2", "r#2"),
        ],
    );
}

#[test]
fn of_equal_paths_a_method_then_headers_then_parameters_count() {
    let routes = http(
        "
  - matches: [{queryParams: [{name: a, value: '1'}, {name: b, value: '2'}, {name: c, value: '3'}]}]
  - matches: [{headers: [{name: x, value: '1'}]}]
  - matches: [{headers: [{name: x, value: '1'}, {name: y, value: '1'}]}]
  - matches: [{headers: [{name: x, value: '1'}], queryParams: [{name: a, value: '1'}]}]
  - matches: [{method: POST}]
",
    );
    check(
        &routes,
        &[
            ("GET /?a=1&b=2&c=3", "r#0"),
            ("GET /?a=1&b=2&c=3 x:1", "r#3"),
            ("GET /?b=2 x:1", "r#1"),
            ("GET /?a=1 x:1 y:1", "r#2"),
            ("POST /?a=1&b=2&c=3 x:1 y:1", "r#4"),
            ("GET /?a=1", ""),
        ],
    );
}

#[test]
fn of_equal_matches_the_older_route_then_the_first_name_then_the_first_rule_count() {
    let rules = "  - matches: [{path: {value: /a}}]\n  - matches: [{path: {value: /a}}]";
    let rule = "  - matches: [{path: {value: /a}}]\n  - matches: [{path: {value: /a}, method: PUT}]";
    let by_age = routes(&[("HTTPRoute", "a", 5, rules), ("HTTPRoute", "z", 4, rules)]);
    check(&by_age, &[("GET /a", "z#0")]);
    let by_name =
        routes(&[("HTTPRoute", "b", 5, rules), ("HTTPRoute", "a-b", 5, rules), ("HTTPRoute", "c", 5, rule)]);
    check(&by_name, &[("GET /a", "a-b#0"), ("PUT /a", "c#1")]);
}

#[test]
fn parameters_are_compared_decoded_and_the_first_counts() {
    let routes = http(
        "
  - matches: [{queryParams: [{name: q, value: 'a b'}]}]
  - matches: [{queryParams: [{name: q, value: 'a+b'}]}]
  - matches: [{queryParams: [{name: q, type: RegularExpression, value: '[0-9]*'}]}]
",
    );
    check(
        &routes,
        &[
            ("GET /?q=a%20b", "r#0"),
            ("GET /?%71=a%20b", "r#0"),
            ("GET /?q=a+b", "r#1"),
            ("GET /?q=1&q=x", "r#2"),
            ("GET /?q=x&q=1", ""),
            ("GET /?q", "r#2"),
            ("GET /?Q=1", ""),
            ("GET /", ""),
        ],
    );
}

#[test]
fn a_repeated_header_is_one_list() {
    let routes = http("  - matches: [{headers: [{name: x, value: '1,2'}]}]");
    check(
        &routes,
        &[("GET / x:1 x:2", "r#0"), ("GET / x:1,2", "r#0"), ("GET / x:2 x:1", ""), ("GET / x:1", "")],
    );
}

#[test]
fn a_request_that_no_rule_takes_has_no_route() {
    check(&http("  - matches: [{path: {type: Exact, value: /only}}]"), &[("GET /other", "")]);
}

#[test]
fn the_split_of_the_grpc_guide() {
    let routes = routes(&[
        ("GRPCRoute", "foo", 0, "  - matches: [{method: {service: com.example.User, method: Login}}]"),
        (
            "GRPCRoute",
            "bar",
            0,
            "  - matches: [{headers: [{type: Exact, name: env, value: canary}]}]\n  - backendRefs: [{name: bar}]",
        ),
    ]);
    check(
        &routes,
        &[
            ("POST /com.example.User/Login", "foo#0"),
            ("POST /com.example.User/Login env:canary", "foo#0"),
            ("POST /com.example.User/Logout env:canary", "bar#0"),
            ("POST /com.example.User/Logout", "bar#1"),
            ("POST /com.example.User", ""),
            ("POST /com.example.User/Login/", ""),
            ("POST //Login", ""),
        ],
    );
}

#[test]
fn of_grpc_matches_the_service_then_the_method_then_headers_count() {
    let routes = routes(&[(
        "GRPCRoute",
        "r",
        0,
        "
  - matches: [{headers: [{name: x, value: '1'}]}]
  - matches: [{method: {method: Get}, headers: [{name: x, value: '1'}]}]
  - matches: [{method: {type: RegularExpression, service: 's[.].*', method: Get}}]
  - matches: [{method: {service: s.A}}]
  - matches: [{method: {service: s.A}, headers: [{name: x, value: '1'}]}]
  - matches: [{method: {service: s.A, method: Get}}]
",
    )]);
    check(
        &routes,
        &[
            ("POST /s.A/Get x:1", "r#5"),
            ("POST /s.A/List", "r#3"),
            ("POST /s.A/List x:1", "r#4"),
            ("POST /s.B/Get x:1", "r#2"),
            ("POST /t.A/Get x:1", "r#1"),
            ("POST /t.A/List x:1", "r#0"),
            ("POST /t.A/List", ""),
        ],
    );
}

#[test]
fn a_grpc_route_hides_http_routes() {
    let routes = routes(&[
        ("HTTPRoute", "h", 0, "  - {}"),
        ("GRPCRoute", "g", 9, "  - matches: [{method: {service: s.A}}]"),
    ]);
    check(&routes, &[("POST /s.A/Get", "g#0"), ("GET /", ""), ("POST /s.B/Get", "")]);
}
