//! Random routes and requests out of a few paths, names and values, so that many matches hold at once: Weft and the
//! naive evaluator choose the same rule.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Weft, naive};
use crate::traffic::view::PlainRequest;

const SEGMENTS: [&str; 5] = ["a", "ab", "b", "c.d", "%41"];
const EXPRESSIONS: [&str; 5] = ["/.*", "/a(/.*)?", "/[ab]+", "/(a|b)/c[.]d", "/a/b|/b/a"];
const NAMES: [&str; 3] = ["x-a", "X-B", "host"];
const VALUES: [&str; 3] = ["1", "2", "1,2"];
const PARAMETERS: [&str; 3] = ["p", "q", "P"];
const METHODS: [&str; 3] = ["GET", "POST", "PUT"];
const SERVICES: [&str; 3] = ["s.A", "s.B", "t.A"];
const CALLS: [&str; 3] = ["Get", "List", "GetAll"];
const PARTS: [&str; 4] = ["s[.].*", ".*A", "Get.*", "Get|List"];

fn path() -> impl Strategy<Value = String> {
    (prop::collection::vec(prop::sample::select(&SEGMENTS), 0..4), any::<bool>()).prop_map(
        |(parts, slash)| {
            let path: String = parts.iter().map(|part| format!("/{part}")).collect();
            if slash || path.is_empty() { format!("{path}/") } else { path }
        },
    )
}

fn path_match() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        2 => path().prop_map(|path| json!({"type": "Exact", "value": path})),
        3 => path().prop_map(|path| json!({"type": "PathPrefix", "value": path})),
        1 => path().prop_map(|path| json!({"value": path})),
        1 => prop::sample::select(&EXPRESSIONS).prop_map(|text| json!({"type": "RegularExpression", "value": text})),
    ]
}

/// Conditions on some of `names`, each once.
fn conditions(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let condition = prop_oneof![
        prop::sample::select(&VALUES).prop_map(|value| json!({"value": value})),
        Just(json!({"type": "RegularExpression", "value": "[12]"})),
        Just(json!({"type": "RegularExpression", "value": "1.*"})),
    ];
    prop::collection::vec((prop::sample::subsequence(names, 0..=1), condition), 0..3).prop_map(|drawn| {
        let mut seen: Vec<&str> = Vec::new();
        let mut list = Vec::new();
        for (name, mut condition) in drawn.into_iter().filter_map(|(name, rest)| Some((*name.first()?, rest)))
        {
            if !seen.contains(&name) {
                seen.push(name);
                condition["name"] = json!(name);
                list.push(condition);
            }
        }
        json!(list)
    })
}

fn http_match() -> impl Strategy<Value = Value> {
    let method = prop::option::weighted(0.3, prop::sample::select(&METHODS));
    (path_match(), method, conditions(&NAMES), conditions(&PARAMETERS)).prop_map(
        |(path, method, headers, query)| {
            json!({"path": path, "method": method, "headers": headers, "queryParams": query})
        },
    )
}

fn grpc_match() -> impl Strategy<Value = Value> {
    let exact =
        (prop::option::of(prop::sample::select(&SERVICES)), prop::option::of(prop::sample::select(&CALLS)))
            .prop_map(|(service, method)| json!({"service": service, "method": method}));
    let part = || prop::option::of(prop::sample::select(&PARTS));
    let regex = (part(), part()).prop_map(
        |(service, method)| json!({"type": "RegularExpression", "service": service, "method": method}),
    );
    // A matcher that names neither part is refused: the field is left out then.
    let method = prop_oneof![3 => exact, 1 => regex].prop_map(|method| {
        if method["service"].is_null() && method["method"].is_null() { Value::Null } else { method }
    });
    (method, conditions(&NAMES)).prop_map(|(method, headers)| json!({"method": method, "headers": headers}))
}

fn route(
    kind: &'static str,
    matching: impl Strategy<Value = Value> + 'static,
) -> impl Strategy<Value = Value> {
    let rule = prop::collection::vec(matching, 0..3).prop_map(|matches| json!({"matches": matches}));
    let name = prop::sample::select(&["a", "a-b", "a.b", "b"]);
    (name, 0..3_u8, prop::collection::vec(rule, 1..4)).prop_map(move |(name, age, rules)| {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": name, "creationTimestamp": format!("2026-11-22T15:52:0{age}Z")},
            "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "orders"}], "rules": rules},
        })
    })
}

/// Routes of one kind, no two of one name.
fn routes(routes: impl Strategy<Value = Vec<Value>>) -> impl Strategy<Value = Vec<Value>> {
    routes.prop_map(|mut routes| {
        let mut seen: Vec<Value> = Vec::new();
        routes.retain(|route| {
            let name = json!([route["kind"], route["metadata"]["name"]]);
            let is_new = !seen.contains(&name);
            seen.push(name);
            is_new
        });
        routes
    })
}

fn request(path: impl Strategy<Value = String>) -> impl Strategy<Value = PlainRequest> {
    let header = (prop::sample::select(&NAMES), prop::sample::select(&VALUES));
    let parameter = (prop::sample::select(&["p", "q", "%50", "p"]), prop::sample::select(&["1", "2", "%31"]));
    let headers = prop::collection::vec(header, 0..4);
    let parameters = prop::collection::vec(parameter, 0..4);
    (prop::sample::select(&METHODS), path, headers, parameters).prop_map(
        |(method, path, headers, parameters)| {
            let query: Vec<String> =
                parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let target = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
            let request = PlainRequest::new(method, &target);
            headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
        },
    )
}

fn call() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (prop::sample::select(&SERVICES), prop::sample::select(&CALLS))
            .prop_map(|(service, method)| format!("/{service}/{method}")),
        1 => path(),
    ]
}

fn agree(routes: &[Value], requests: &[PlainRequest]) -> Result<(), TestCaseError> {
    let weft = Weft::new(routes);
    for request in requests {
        prop_assert_eq!(weft.choose(request), naive(routes, request), "{:?}", request);
    }
    Ok(())
}

proptest! {

    #[test]
    fn http_requests_get_the_rule_that_the_specification_says(
        routes in routes(prop::collection::vec(route("HTTPRoute", http_match()), 1..4)),
        requests in prop::collection::vec(request(path()), 8),
    ) {
        agree(&routes, &requests)?;
    }

    #[test]
    fn grpc_calls_get_the_rule_that_the_specification_says(
        routes in routes(prop::collection::vec(route("GRPCRoute", grpc_match()), 1..4)),
        requests in prop::collection::vec(request(call()), 8),
    ) {
        agree(&routes, &requests)?;
    }

    #[test]
    fn of_both_kinds_only_the_grpc_routes_count(
        http in route("HTTPRoute", http_match()),
        grpc in route("GRPCRoute", grpc_match()),
        requests in prop::collection::vec(request(call()), 8),
    ) {
        let routes = [http, grpc];
        agree(&routes, &requests)?;
    }
}
