//! Every route of the API with its description: the whole of what is served, in one place.

use std::collections::BTreeMap;

use super::{
    agent, catalog,
    docs::{Param, Route, Routes},
    health, kv, resources,
    sidecars::Sidecar,
    status, weft,
    wire::view::{
        AgentService, CatalogService, HealthCheck, NodeServices, NodeView, ServiceEntry, ServiceHealth,
    },
};

const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";
const NS: Param = ("ns", "namespace, `default` by default");
const TAG: Param = ("tag", "only instances with this tag; repeatable, all must be there");
const NODE_META: Param = ("node-meta", "only on nodes with this `key:value`; repeatable");
const CAS: Param = ("cas", "only if this is the ModifyIndex; 0 = only if absent");
const DRY_RUN: Param = ("dryRun", "All: check it and say what would be, without writing");
const NO_KIND: &str = "no such kind; the message names those there are";
const UNKNOWN_SERVICE: &str = "no service by that id on the node";
const UNKNOWN_CHECK: &str = "no check by that id on the node";

/// All of them.
pub(super) fn all() -> Routes {
    let routes = agent_services(Routes::new());
    let routes = agent_checks(routes);
    let routes = agent_info(routes);
    let routes = catalog_routes(routes);
    let routes = health_routes(routes);
    let routes = kv_routes(routes);
    let routes = resource_groups(routes);
    let routes = resource_routes(routes);
    weft_routes(routes)
}

fn agent_services(routes: Routes) -> Routes {
    routes
        .add(
            Route::put("/v1/agent/service/register", "Register a service on the caller's node")
                .query(&[NS, ("replace-existing-checks", "drop the checks that are not named")])
                .body(JSON, "Consul's service definition")
                .empty()
                .status("400", "what is wrong with it"),
            agent::service::register,
        )
        .add(
            Route::put("/v1/agent/service/deregister/{*id}", "Remove a service")
                .empty()
                .status("404", UNKNOWN_SERVICE),
            agent::service::deregister,
        )
        .add(
            Route::put("/v1/agent/service/maintenance/{*id}", "Take a service out of use, or back in")
                .query(&[("enable", "true or false"), ("reason", "for people")])
                .empty()
                .status("400", "enable is missing or invalid")
                .status("404", UNKNOWN_SERVICE),
            agent::service::maintenance,
        )
        .add(
            Route::get("/v1/agent/services", "The services of the caller's node by id")
                .query(&[NS])
                .json::<BTreeMap<String, AgentService>>(),
            agent::service::list,
        )
        .add(
            Route::get("/v1/agent/service/{*id}", "One service of the caller's node")
                .json::<AgentService>()
                .status("404", UNKNOWN_SERVICE),
            agent::service::read,
        )
}

fn agent_checks(routes: Routes) -> Routes {
    let report = |path, summary| {
        Route::put(path, summary)
            .query(&[("note", "kept as the output")])
            .empty()
            .status("404", UNKNOWN_CHECK)
    };
    routes
        .add(
            Route::put("/v1/agent/check/register", "Add a check to the caller's node or a service on it")
                .body(JSON, "Consul's check definition")
                .empty()
                .status("400", "what is wrong with it")
                .status("404", "ServiceID does not exist"),
            agent::check::register,
        )
        .add(
            Route::put("/v1/agent/check/deregister/{*id}", "Remove a check")
                .empty()
                .status("404", UNKNOWN_CHECK),
            agent::check::deregister,
        )
        .add(report("/v1/agent/check/pass/{*id}", "A TTL check is passing"), agent::check::pass)
        .add(report("/v1/agent/check/warn/{*id}", "A TTL check is warning"), agent::check::warn)
        .add(report("/v1/agent/check/fail/{*id}", "A TTL check is critical"), agent::check::fail)
        .add(
            Route::put("/v1/agent/check/update/{*id}", "A TTL check reports status and output")
                .body(JSON, "`Status` and `Output`")
                .empty()
                .status("404", UNKNOWN_CHECK),
            agent::check::update,
        )
        .add(
            Route::get("/v1/agent/checks", "The checks of the caller's node by id")
                .query(&[NS])
                .json::<BTreeMap<String, HealthCheck>>(),
            agent::check::list,
        )
}

fn agent_info(routes: Routes) -> Routes {
    let format: Param = ("format", "`text` for the bare status");
    routes
        .add(
            Route::get("/v1/agent/self", "The agent of the caller's node").json::<agent::info::SelfView>(),
            agent::info::own,
        )
        .add(
            Route::get("/v1/agent/members", "The control plane and all nodes")
                .json::<Vec<agent::info::Member>>(),
            agent::info::members,
        )
        .add(
            Route::get("/v1/agent/metrics", "Metrics").query(&[("format", "must be `prometheus`")]).text(),
            status::agent_metrics,
        )
        .add(
            Route::get("/v1/agent/health/service/name/{*name}", "Health of a service as an HTTP status")
                .query(&[NS, format])
                .json::<Vec<ServiceHealth>>()
                .status("404", "no such service on the node")
                .status("429", "warning")
                .status("503", "critical or in maintenance"),
            agent::health::by_name,
        )
        .add(
            Route::get("/v1/agent/health/service/id/{*id}", "Health of an instance as an HTTP status")
                .query(&[format])
                .json::<ServiceHealth>()
                .status("404", "no such instance on the node")
                .status("429", "warning")
                .status("503", "critical or in maintenance"),
            agent::health::by_id,
        )
        .add(Route::get("/v1/status/leader", "The leader's address").json::<String>(), status::leader)
        .add(Route::get("/v1/status/peers", "All servers' addresses").json::<Vec<String>>(), status::peers)
        .add(Route::get("/metrics", "Metrics (OpenMetrics text)").text(), status::metrics)
}

fn catalog_routes(routes: Routes) -> Routes {
    routes
        .add(
            Route::put("/v1/catalog/register", "Register a node, a service on it, checks")
                .query(&[NS])
                .body(JSON, "Consul's catalog registration")
                .json::<bool>()
                .status("400", "what is wrong with it"),
            catalog::register,
        )
        .add(
            Route::put("/v1/catalog/deregister", "Remove a service or check of a node, or the node")
                .body(JSON, "`Node`, and `ServiceID` or `CheckID`")
                .json::<bool>(),
            catalog::deregister,
        )
        .add(
            Route::get("/v1/catalog/services", "Service names with their tags")
                .query(&[NS, NODE_META])
                .blocking()
                .json::<BTreeMap<String, Vec<String>>>(),
            catalog::services,
        )
        .add(
            Route::get("/v1/catalog/service/{*service}", "Instances of a service")
                .query(&[NS, TAG, NODE_META])
                .blocking()
                .json::<Vec<CatalogService>>(),
            catalog::service,
        )
        .add(
            Route::get("/v1/catalog/nodes", "All nodes")
                .query(&[NODE_META])
                .blocking()
                .json::<Vec<NodeView>>(),
            catalog::nodes,
        )
        .add(
            Route::get("/v1/catalog/node/{*node}", "A node with its services; null for an unknown one")
                .query(&[NS])
                .blocking()
                .json::<NodeServices>(),
            catalog::node,
        )
        .add(
            Route::get("/v1/catalog/datacenters", "There is one").json::<Vec<String>>(),
            catalog::datacenters,
        )
}

fn health_routes(routes: Routes) -> Routes {
    routes
        .add(
            Route::get("/v1/health/service/{*service}", "Instances of a service with node and checks")
                .query(&[NS, TAG, NODE_META, ("passing", "only those whose checks all pass")])
                .blocking()
                .json::<Vec<ServiceEntry>>(),
            health::service,
        )
        .add(
            Route::get("/v1/health/checks/{*service}", "Checks of a service")
                .query(&[NS, NODE_META])
                .blocking()
                .json::<Vec<HealthCheck>>(),
            health::checks,
        )
        .add(
            Route::get("/v1/health/state/{state}", "Checks that are passing, warning or critical, or any")
                .query(&[NS])
                .blocking()
                .json::<Vec<HealthCheck>>(),
            health::state,
        )
        .add(
            Route::get("/v1/health/node/{*node}", "Checks of a node and its services")
                .query(&[NS])
                .blocking()
                .json::<Vec<HealthCheck>>(),
            health::node,
        )
}

fn kv_routes(routes: Routes) -> Routes {
    const PATHS: [&str; 2] = ["/v1/kv/{*key}", "/v1/kv/"];
    PATHS.into_iter().fold(routes, |routes, path| {
        routes
            .add(
                Route::get(path, "Read a pair, a subtree, or keys")
                    .query(&[
                        NS,
                        ("recurse", "all keys with this prefix"),
                        ("keys", "only the keys"),
                        ("separator", "cut keys after it, each once"),
                        ("raw", "only the value's bytes"),
                    ])
                    .blocking()
                    .json::<Vec<kv::PairView>>()
                    .status("404", "no such key"),
                kv::read,
            )
            .add(
                Route::put(path, "Write a pair; false if cas did not hold")
                    .query(&[NS, CAS, ("flags", "a number of the client's own")])
                    .body(OCTETS, "the value, 512 KiB at most")
                    .json::<bool>()
                    .status("400", "no key, or a parameter of sessions")
                    .status("413", "the value is too large"),
                kv::put,
            )
            .add(
                Route::delete(path, "Delete a pair or a subtree; false if cas did not hold")
                    .query(&[NS, CAS, ("recurse", "all keys with this prefix")])
                    .json::<bool>(),
                kv::delete,
            )
    })
}

fn resource_groups(routes: Routes) -> Routes {
    type Any = BTreeMap<String, String>;
    routes
        .add(Route::get("/api", "Versions of the core group").json::<Any>(), resources::core_versions)
        .add(Route::get("/api/v1", "The core group has no kinds here").json::<Any>(), resources::core)
        .add(Route::get("/apis", "The groups of resources").json::<Any>(), resources::groups)
        .add(
            Route::get("/apis/{group}", "The versions of a group").json::<Any>().status("404", NO_KIND),
            resources::group,
        )
        .add(
            Route::get("/apis/{group}/{version}", "The kinds of a group")
                .json::<Any>()
                .status("404", NO_KIND),
            resources::discovery,
        )
}

fn resource_routes(routes: Routes) -> Routes {
    const EVERYWHERE: &str = "/apis/{group}/{version}/{plural}";
    const ALL: &str = "/apis/{group}/{version}/namespaces/{namespace}/{plural}";
    const ONE: &str = "/apis/{group}/{version}/namespaces/{namespace}/{plural}/{name}";
    let list = |path, summary| {
        Route::get(path, summary).json::<Vec<resources::ResourceView>>().status("404", NO_KIND)
    };
    let write = |route: Route| {
        route
            .query(&[DRY_RUN])
            .body(JSON, "the resource; YAML is taken too")
            .json::<resources::ResourceView>()
            .status("409", "it is there already, or has changed since it was read")
            .status("413", "it is too large")
            .status("422", "it is not valid: a cause for each field that is wrong")
    };
    routes
        .add(list(EVERYWHERE, "Resources of all namespaces"), resources::list)
        .add(list(ALL, "Resources of a namespace"), resources::list)
        .add(write(Route::post(ALL, "Make a resource")).created(), resources::create)
        .add(
            Route::get(ONE, "A resource with its status")
                .json::<resources::ResourceView>()
                .status("404", "no such resource"),
            resources::read,
        )
        .add(
            write(Route::put(ONE, "Replace a resource; with resourceVersion only if it is that one"))
                .status("404", "no such resource"),
            resources::replace,
        )
        .add(
            Route::delete(ONE, "Delete a resource")
                .query(&[DRY_RUN])
                .json::<BTreeMap<String, String>>()
                .status("404", "no such resource"),
            resources::delete,
        )
}

fn weft_routes(routes: Routes) -> Routes {
    routes
        .add(Route::get("/v1/weft/status", "The control plane in brief").json::<weft::Status>(), weft::status)
        .add(
            Route::get("/v1/weft/sidecars", "Attached sidecars and what they applied").json::<Vec<Sidecar>>(),
            weft::sidecars,
        )
        .add(
            Route::get("/v1/weft/services", "All services of all namespaces")
                .json::<Vec<weft::ServiceSummary>>(),
            weft::services,
        )
        .add(
            Route::get(
                "/v1/weft/endpoints/{service}",
                "Endpoints of a service, `orders` or `orders.default`",
            )
            .json::<weft::Endpoints>()
            .status("404", "no such service, as `{\"error\": …}`"),
            weft::endpoints,
        )
        .add(
            Route::get("/v1/weft/openapi.json", "This document").json::<BTreeMap<String, String>>(),
            weft::openapi,
        )
}
