//! The Gateway API's matching and precedence: which rule of which route a request gets. Resources are read, checked
//! and compiled as control plane and sidecar do it, and held against tables and against a naive evaluator.

mod naive;
mod random;
mod tables;

use serde_json::Value;

use crate::{
    name::ServiceName,
    resource::parse,
    traffic::{
        Item, Traffic,
        compile::Compiled,
        view::{PlainRequest, RequestView},
    },
};

/// Routes of one service, as Weft compiles them.
struct Weft(Compiled);

impl Weft {
    fn new(resources: &[Value]) -> Self {
        let service: ServiceName = "orders.default".parse().expect("a name");
        let items: Vec<Item> = resources
            .iter()
            .flat_map(|resource| parse(resource).expect("a good resource").items())
            .filter(|(target, _)| *target == service)
            .map(|(_, item)| item)
            .collect();
        let traffic = Traffic::new(items);
        Self(Compiled::new(traffic.routes_for(&service, "default", |_| true), []))
    }

    /// `<route>#<rule>` of the rule that a request gets; empty = none.
    fn choose(&self, request: &PlainRequest) -> String {
        let rule = self.0.find(request).and_then(|found| self.0.rule(found.rule));
        rule.map(|rule| format!("{}#{}", rule.origin.name, rule.index)).unwrap_or_default()
    }
}

/// The same, as the naive evaluator reads the specification.
fn naive(resources: &[Value], request: &PlainRequest) -> String {
    let request = naive::Request {
        method: &request.method,
        path: request.path(),
        query: request.query(),
        headers: &request.headers,
    };
    let rule = naive::choose(resources, &request);
    rule.map(|(route, rule)| format!("{route}#{rule}")).unwrap_or_default()
}
