//! Which of a service's routes count for one caller and one port (GEP-1426). It must not know what the routes say.
//!
//! A route of the service's own namespace is its producer's and is for all callers; a route of another namespace is a
//! consumer's, is for callers of that namespace alone, and stands in place of the producer's there. Of a GRPCRoute
//! and an HTTPRoute on one port only the GRPCRoute counts.

use super::{Item, Origin, PortRef, Route, Spec, Traffic};
use crate::name::ServiceName;

/// The kind whose routes stand before HTTPRoutes.
const GRPC_ROUTE: &str = "GRPCRoute";

impl Traffic {
    /// The routes that count, in the order of their [`Origin`], for callers of the namespace `caller` to the port of
    /// `service` that `is_port` knows.
    pub fn routes_for(
        &self,
        service: &ServiceName,
        caller: &str,
        is_port: impl Fn(&PortRef) -> bool,
    ) -> Vec<(&Origin, &Route)> {
        let own = service.namespace.as_str();
        let bound: Vec<_> = self
            .items
            .iter()
            .filter_map(route)
            .filter(|(_, route)| route.ports.is_empty() || route.ports.iter().any(&is_port))
            .collect();
        let of = |namespace: &str| -> Vec<_> {
            bound.iter().copied().filter(|(origin, _)| &*origin.namespace == namespace).collect()
        };
        let consumers = if caller == own { Vec::new() } else { of(caller) };
        let mut routes = if consumers.is_empty() { of(own) } else { consumers };
        if routes.iter().any(|(origin, _)| &*origin.kind == GRPC_ROUTE) {
            routes.retain(|(origin, _)| &*origin.kind == GRPC_ROUTE);
        }
        routes
    }
}

const fn route(item: &Item) -> Option<(&Origin, &Route)> {
    match &item.spec {
        Spec::Route(route) => Some((&item.origin, route)),
        Spec::Policy(_) | Spec::RateLimits(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kind namespace/name` and the port it is bound to, 0 = any.
    fn traffic(routes: &[(&str, &str, u16)]) -> Traffic {
        let item = |(created_ms, (kind, name, port)): (u64, &(&str, &str, u16))| {
            let (namespace, name) = name.split_once('/').expect("namespace/name");
            let (kind, namespace, name) = ((*kind).into(), namespace.into(), name.into());
            let origin = Origin { created_ms, namespace, name, kind, generation: 1 };
            let ports = if *port == 0 { vec![] } else { vec![PortRef::Number(*port)] };
            Item { origin, spec: Spec::Route(Route { ports, rules: vec![] }) }
        };
        let mut items: Vec<Item> = (0..).zip(routes).map(item).collect();
        let origin = items.first().map(|item| item.origin.clone()).expect("a route");
        items.push(Item { origin, spec: Spec::Policy(Box::default()) });
        Traffic::new(items)
    }

    fn names(traffic: &Traffic, caller: &str, port: u16) -> Vec<String> {
        let service = ServiceName::new("orders", "shop").expect("a name");
        let routes = traffic.routes_for(&service, caller, |asked| *asked == PortRef::Number(port));
        routes.into_iter().map(|(origin, _)| origin.name.to_string()).collect()
    }

    #[test]
    fn a_consumers_route_stands_in_place_of_the_producers_for_its_namespace_alone() {
        let traffic =
            traffic(&[("HTTPRoute", "shop/a", 0), ("HTTPRoute", "web/b", 0), ("HTTPRoute", "shop/c", 0)]);
        assert_eq!(names(&traffic, "shop", 80), ["a", "c"]);
        assert_eq!(names(&traffic, "web", 80), ["b"]);
        assert_eq!(names(&traffic, "money", 80), ["a", "c"]);
    }

    #[test]
    fn a_port_takes_only_the_routes_that_are_bound_to_it() {
        let traffic = traffic(&[("HTTPRoute", "shop/all", 0), ("HTTPRoute", "shop/one", 80)]);
        assert_eq!(names(&traffic, "shop", 80), ["all", "one"]);
        assert_eq!(names(&traffic, "shop", 81), ["all"]);
    }

    #[test]
    fn a_grpc_route_hides_the_http_routes_of_its_port() {
        let traffic = traffic(&[("HTTPRoute", "shop/h", 0), ("GRPCRoute", "shop/g", 80)]);
        assert_eq!(names(&traffic, "shop", 80), ["g"]);
        assert_eq!(names(&traffic, "shop", 81), ["h"]);
    }
}
