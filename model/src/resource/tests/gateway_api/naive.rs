//! A naive evaluator of the Gateway API's text, over the JSON that a user writes: it looks at every match of every
//! rule of every route, and keeps the best. It knows nothing of how Weft reads, compiles or indexes any of it.

use std::cmp::Ordering;

use regex::Regex;
use serde_json::Value;

/// What is seen of a request.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a [(String, String)],
}

/// A match that holds, with all that decides between it and another.
#[derive(Debug)]
struct Candidate<'a> {
    matching: Value,
    kind: &'a str,
    created: &'a str,
    namespace: &'a str,
    name: &'a str,
    rule: usize,
}

/// Name and rule of the route that counts, of routes that are all bound to the same port of the same service.
pub(super) fn choose<'a>(routes: &'a [Value], request: &Request<'_>) -> Option<(&'a str, usize)> {
    // Routes of both kinds on one port: the GRPCRoutes alone count (GEP-1426).
    let is_grpc = |route: &&Value| text(&route["kind"]) == "GRPCRoute";
    let grpc_only = routes.iter().any(|route| is_grpc(&route));
    let mut best: Option<Candidate<'a>> = None;
    for route in routes.iter().filter(|route| !grpc_only || is_grpc(route)) {
        for (rule, said) in list(&route["spec"]["rules"]).iter().enumerate() {
            for matching in matches(said) {
                let candidate = Candidate {
                    matching,
                    kind: text(&route["kind"]),
                    created: text(&route["metadata"]["creationTimestamp"]),
                    namespace: "default",
                    name: text(&route["metadata"]["name"]),
                    rule,
                };
                let is_better =
                    best.as_ref().is_none_or(|best| precedence(&candidate, best) == Ordering::Less);
                if holds(&candidate, request) && is_better {
                    best = Some(candidate);
                }
            }
        }
    }
    best.map(|best| (best.name, best.rule))
}

/// The matches of a rule; a rule without any has one that takes everything.
fn matches(rule: &Value) -> Vec<Value> {
    match list(&rule["matches"]) {
        [] => vec![Value::Object(serde_json::Map::new())],
        some => some.to_vec(),
    }
}

/// All conditions of a match have to hold.
fn holds(candidate: &Candidate<'_>, request: &Request<'_>) -> bool {
    let matching = &candidate.matching;
    let headers = list(&matching["headers"]).iter().all(|condition| {
        // A header that is repeated is one list of values (RFC 9110 section 5.3).
        let name = text(&condition["name"]);
        let values: Vec<&str> = request
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        !values.is_empty() && value_holds(condition, &values.join(","))
    });
    if candidate.kind == "GRPCRoute" {
        return headers && grpc_holds(&matching["method"], request.path);
    }
    let query = list(&matching["queryParams"]).iter().all(|condition| {
        // Of a repeated parameter the first value counts.
        let pairs = request.query.unwrap_or_default().split('&');
        let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let found = pairs.find(|(name, _)| decoded(name) == text(&condition["name"]));
        found.is_some_and(|(_, value)| value_holds(condition, &decoded(value)))
    });
    let method = matching["method"].as_str().is_none_or(|method| method == request.method);
    headers && query && method && path_holds(&matching["path"], request.path)
}

fn path_holds(path: &Value, asked: &str) -> bool {
    let value = path["value"].as_str().unwrap_or("/");
    match path["type"].as_str().unwrap_or("PathPrefix") {
        "Exact" => value == asked,
        "RegularExpression" => whole(value, asked),
        _ => {
            // Element by element; a slash at the end of the prefix says nothing.
            let prefix: Vec<&str> = value.trim_end_matches('/').split('/').collect();
            let elements: Vec<&str> = asked.split('/').collect();
            elements.starts_with(&prefix)
        }
    }
}

fn grpc_holds(method: &Value, asked: &str) -> bool {
    let parts: Vec<&str> = asked.split('/').collect();
    let [root, service, name] = parts[..] else { return false };
    if !root.is_empty() || service.is_empty() || name.is_empty() {
        return false;
    }
    let part_holds = |said: &Value, asked: &str| match text(said) {
        "" => true,
        said if method["type"] == "RegularExpression" => whole(said, asked),
        said => said == asked,
    };
    part_holds(&method["service"], service) && part_holds(&method["method"], name)
}

fn value_holds(condition: &Value, value: &str) -> bool {
    let said = text(&condition["value"]);
    if condition["type"] == "RegularExpression" { whole(said, value) } else { said == value }
}

/// `Less` = `a` comes first.
fn precedence(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    let more = |count: fn(&Value) -> usize| count(&b.matching).cmp(&count(&a.matching));
    let headers: fn(&Value) -> usize = |matching| list(&matching["headers"]).len();
    let by_match = if a.kind == "GRPCRoute" {
        // Characters in the service, then in the method, then header matches. An expression has no characters of
        // its own in what it matches; Weft takes exact texts first.
        let part = |matching: &Value, name: &str| {
            let said = text(&matching["method"][name]).to_owned();
            let is_exact = matching["method"]["type"] != "RegularExpression";
            (is_exact && !said.is_empty(), said.len())
        };
        part(&b.matching, "service")
            .cmp(&part(&a.matching, "service"))
            .then(part(&b.matching, "method").cmp(&part(&a.matching, "method")))
            .then(more(headers))
    } else {
        // An exact path; the longest prefix; a method; header matches; parameter matches. Expressions stand where an
        // implementation wants: Weft's before prefixes, longer first.
        path_rank(&b.matching["path"])
            .cmp(&path_rank(&a.matching["path"]))
            .then(more(|matching| usize::from(!matching["method"].is_null())))
            .then(more(headers))
            .then(more(|matching| list(&matching["queryParams"]).len()))
    };
    by_match
        .then(a.created.cmp(b.created))
        .then(format!("{}/{}", a.namespace, a.name).cmp(&format!("{}/{}", b.namespace, b.name)))
        .then(a.rule.cmp(&b.rule))
}

/// Greater = before.
fn path_rank(path: &Value) -> (u8, usize) {
    let value = path["value"].as_str().unwrap_or("/");
    match path["type"].as_str().unwrap_or("PathPrefix") {
        // Only one text can be the request's, so all exact ones are equal.
        "Exact" => (2, 0),
        "RegularExpression" => (1, value.len()),
        _ => (0, value.trim_end_matches('/').len()),
    }
}

fn whole(expression: &str, value: &str) -> bool {
    Regex::new(&format!("^(?:{expression})$")).expect("an expression").is_match(value)
}

/// `%41` is `A`; a plus is a plus.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let escape = rest.get(1..3).filter(|_| first == '%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escape {
            Some(byte) => {
                bytes.push(byte);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => {
                bytes.extend(first.to_string().bytes());
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
