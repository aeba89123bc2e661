//! What resources say about the calls of services: one pointer a service while it stays the same, so that the
//! table's readers compile it once a change; and which services their routes send calls to.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use weft_model::traffic::{Filter, Item, Route, Spec, Traffic};

/// By service. Services of which nothing is said are not in it.
#[derive(Debug, Default)]
pub(super) struct Said {
    services: HashMap<Arc<str>, Entry>,
}

#[derive(Debug)]
struct Entry {
    traffic: Arc<Traffic>,
    /// Services that its routes send calls to.
    backends: BTreeSet<Arc<str>>,
}

impl Said {
    /// Notes what is said about a service now.
    pub(super) fn note(&mut self, service: &Arc<str>, items: Vec<Item>) -> Arc<Traffic> {
        if items.is_empty() {
            self.services.remove(service);
            return Arc::default();
        }
        let traffic = Traffic::new(items);
        if let Some(known) = self.services.get(service).filter(|known| *known.traffic == traffic) {
            return Arc::clone(&known.traffic);
        }
        let (backends, traffic) = (backends(&traffic), Arc::new(traffic));
        self.services.insert(Arc::clone(service), Entry { traffic: Arc::clone(&traffic), backends });
        traffic
    }

    /// Services that the routes of this one send calls to.
    pub(super) fn backends(&self, service: &str) -> impl Iterator<Item = &Arc<str>> {
        self.services.get(service).into_iter().flat_map(|entry| &entry.backends)
    }

    /// All services that calls to `roots` may end at, by routes of routes too.
    pub(super) fn reachable<'a>(&'a self, roots: impl Iterator<Item = &'a Arc<str>>) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&str> = roots.map(AsRef::as_ref).collect();
        while let Some(service) = open.pop() {
            open.extend(self.backends(service).map(AsRef::as_ref).filter(|name| reached.insert(*name)));
        }
        reached
    }
}

fn backends(traffic: &Traffic) -> BTreeSet<Arc<str>> {
    let routes = traffic.items.iter().filter_map(|item| match &item.spec {
        Spec::Route(route) => Some(route),
        Spec::Policy(_) | Spec::RateLimits(_) => None,
    });
    routes.flat_map(named).collect()
}

/// The services that a route names: backends, and where copies go.
fn named(route: &Route) -> impl Iterator<Item = Arc<str>> {
    let mirrors = |filter: &Filter| match filter {
        Filter::Mirror(mirror) => Some(mirror.backend.service.to_string().into()),
        _ => None,
    };
    route.rules.iter().flat_map(move |rule| {
        let backends = rule.backends.iter().flat_map(move |backend| {
            let target = backend.target.service.to_string().into();
            std::iter::once(target).chain(backend.filters.iter().filter_map(mirrors))
        });
        backends.chain(rule.filters.iter().filter_map(mirrors))
    })
}

#[cfg(test)]
mod tests {
    use weft_model::traffic::{Backend, BackendRef, Origin, Rule};

    use super::*;

    fn route_to(backend: &str) -> Vec<Item> {
        let origin = Origin {
            created_ms: 1,
            namespace: "default".into(),
            name: "route".into(),
            kind: "HTTPRoute".into(),
            generation: 1,
        };
        let target = BackendRef { service: backend.parse().unwrap(), port: None };
        let rule = Rule { backends: vec![Backend { target, weight: 1, filters: vec![] }], ..Rule::default() };
        vec![Item { origin, spec: Spec::Route(Route { ports: vec![], rules: vec![rule] }) }]
    }

    #[test]
    fn what_stays_the_same_is_the_same_pointer() {
        let (mut said, orders) = (Said::default(), Arc::from("orders.default"));
        let first = said.note(&orders, route_to("a"));
        assert!(Arc::ptr_eq(&first, &said.note(&orders, route_to("a"))));
        assert!(!Arc::ptr_eq(&first, &said.note(&orders, route_to("b"))));
        assert_eq!(said.backends(&orders).map(AsRef::as_ref).collect::<Vec<_>>(), ["b.default"]);
        assert!(said.note(&orders, vec![]).items.is_empty() && said.backends(&orders).next().is_none());
    }

    #[test]
    fn backends_are_reached_by_routes_of_routes_and_a_ring_of_them_by_nobody() {
        let (a, b): (Arc<str>, Arc<str>) = ("a.default".into(), "b.default".into());
        let (mut said, idle) = (Said::default(), Arc::from("idle.default"));
        said.note(&a, route_to("b"));
        said.note(&b, route_to("c"));
        said.note(&idle, route_to("idle"));
        let reached = said.reachable([&a].into_iter());
        assert_eq!(reached.into_iter().collect::<Vec<_>>(), ["b.default", "c.default"]);
    }
}
