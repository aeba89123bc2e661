//! The match of a request against the routes of a service, by how many there are. Run by `make bench-micro`.

use divan::{Bencher, black_box};
use weft_model::traffic::{
    Match, Origin, PathMatch, Route, Rule, ValueMatch, ValuePattern, compile::Compiled, view::PlainRequest,
};

/// Rules of the route.
const COUNTS: [u16; 3] = [1, 10, 100];

fn main() {
    divan::main();
}

#[divan::bench(args = COUNTS)]
fn last_of_prefixes(bencher: Bencher<'_, '_>, count: u16) {
    let routes = compiled(count, |number| PathMatch::Prefix(format!("/service-{number}").into()), false);
    let request = PlainRequest::get(&format!("/service-{}/orders/7", count - 1));
    bencher.bench_local(|| routes.find(black_box(&request)));
}

#[divan::bench(args = COUNTS)]
fn last_of_exact_paths_with_a_header(bencher: Bencher<'_, '_>, count: u16) {
    let routes = compiled(count, |number| PathMatch::Exact(format!("/service-{number}").into()), true);
    let request = PlainRequest::get(&format!("/service-{}", count - 1)).header("x-tenant", "blue");
    bencher.bench_local(|| routes.find(black_box(&request)));
}

#[divan::bench(args = COUNTS)]
fn last_of_expressions(bencher: Bencher<'_, '_>, count: u16) {
    let routes =
        compiled(count, |number| PathMatch::Regex(format!("/service-{number}/[0-9]+").into()), false);
    let request = PlainRequest::get(&format!("/service-{}/7", count - 1));
    bencher.bench_local(|| routes.find(black_box(&request)));
}

#[divan::bench(args = COUNTS)]
fn none(bencher: Bencher<'_, '_>, count: u16) {
    let routes = compiled(count, |number| PathMatch::Prefix(format!("/service-{number}").into()), false);
    let request = PlainRequest::get("/elsewhere");
    bencher.bench_local(|| routes.find(black_box(&request)));
}

fn compiled(count: u16, path: impl Fn(u16) -> PathMatch, by_header: bool) -> Compiled {
    let header = ValueMatch { name: "x-tenant".into(), value: ValuePattern::Exact("blue".into()) };
    let headers = if by_header { vec![header] } else { Vec::new() };
    let rule = |number| {
        let said = Match { path: Some(path(number)), headers: headers.clone(), ..Match::default() };
        Rule { matches: vec![said], ..Rule::default() }
    };
    let route = Route { rules: (0..count).map(rule).collect(), ..Route::default() };
    let origin = Origin {
        created_ms: 1,
        namespace: "default".into(),
        name: "orders".into(),
        kind: "HTTPRoute".into(),
        generation: 1,
    };
    Compiled::new([(&origin, &route)], [])
}
