//! What resources say about services: how it reaches the table, what is refused alone, and what a control plane
//! of the version before does not say.

use super::{fake::route, proto::path_match::Path as PathSort, *};

impl Bench {
    /// The resources that the table has of a service.
    fn said(&self, service: &str) -> Vec<String> {
        let table = self.directory.load();
        let traffic = table.services.get(&name(service)).map(|service| Arc::clone(&service.traffic));
        traffic.iter().flat_map(|traffic| &traffic.items).map(|item| item.origin.name.to_string()).collect()
    }

    async fn until_said(&self, wanted: &[&str]) {
        self.until("what is said", |bench| bench.said(ORDERS) == wanted).await;
    }
}

fn exact(path: &str) -> PathSort {
    PathSort::Exact(path.to_owned())
}

#[tokio::test]
async fn what_is_said_is_in_the_table_and_on_disk_and_goes_with_its_resource() {
    let (data, fake) = (tempfile::tempdir().unwrap(), Fake::start().await);
    fake.set(ORDERS, vec![endpoint("a")]);
    fake.say(ORDERS, &[route("one", exact("/1"), "orders"), route("two", exact("/2"), "orders")]);
    let bench = Bench::start(fake.url(), data.path(), &[]);
    assert_eq!(bench.directory.demand(name(ORDERS)).await, Demanded::Known);
    assert_eq!(bench.said(ORDERS), ["one", "two"], "it came before the service was closed");
    bench.drain.finish(PATIENCE).await.unwrap();
    let bench = Bench::start("http://127.0.0.1:1".into(), data.path(), &[]);
    assert_eq!(bench.said(ORDERS), ["one", "two"], "from the disk");
    bench.drain.finish(PATIENCE).await.unwrap();
    fake.say(ORDERS, &[route("two", exact("/2"), "orders")]);
    let bench = Bench::start(fake.url(), data.path(), &[]);
    bench.until_said(&["two"]).await;
    assert_eq!(bench.ids().unwrap(), ["a"]);
    bench.drain.finish(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_resource_that_cannot_be_carried_out_is_refused_alone_and_the_one_before_serves_on() {
    let (data, fake) = (tempfile::tempdir().unwrap(), Fake::start().await);
    fake.set(ORDERS, vec![endpoint("a")]);
    fake.say(ORDERS, &[route("one", exact("/1"), "orders"), route("two", exact("/2"), "orders")]);
    let bench = Bench::start(fake.url(), data.path(), &[]);
    assert_eq!(bench.directory.demand(name(ORDERS)).await, Demanded::Known);
    // As of a newer control plane: a match of a sort that is not known here; and a regex beyond all bounds.
    let newer = {
        let mut newer = route("newer", exact("/"), "orders");
        let Some(proto::traffic::Spec::Route(route)) = &mut newer.spec else { unreachable!() };
        route.rules[0].matches[0].path = Some(proto::PathMatch { path: None });
        newer
    };
    let huge = route("two", PathSort::Regex("(a{1,1000}){1,1000}".to_owned()), "orders");
    fake.say(ORDERS, &[route("three", exact("/3"), "orders"), newer, huge]);
    bench.until_said(&["three", "two"]).await;
    let refused = ["orders.default/httproute.default.newer", "orders.default/httproute.default.two"];
    bench.until("the control plane knows", |_| fake.refused() == refused).await;
    let reasons = bench.handle.dump().await.refused;
    assert_eq!(reasons.len(), 2);
    let reason = "rules[0].matches[0].path: it is of a sort that is not known to this version";
    assert_eq!(reasons[0].1, reason);
    assert!(reasons[1].1.starts_with("rule 0, match 0: "), "{reasons:?}");
    bench.drain.finish(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn services_that_routes_send_calls_to_are_known_before_the_first_call() {
    let (data, fake) = (tempfile::tempdir().unwrap(), Fake::start().await);
    fake.set(ORDERS, vec![endpoint("a")]);
    fake.set("canary.default", vec![endpoint("b")]);
    let bench = Bench::start(fake.url(), data.path(), &["--subscribe", "orders"]);
    bench.until_ids(&["a"]).await;
    fake.say(ORDERS, &[route("one", exact("/1"), "canary")]);
    let canary = name("canary");
    bench.until("the backend", |bench| bench.directory.load().services.contains_key(&canary)).await;
    bench.drain.finish(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_control_plane_of_the_version_before_is_understood_and_what_was_said_serves_on() {
    let (data, fake) = (tempfile::tempdir().unwrap(), Fake::start().await);
    fake.forget_traffic();
    fake.set(ORDERS, vec![endpoint("a")]);
    fake.say(ORDERS, &[route("one", exact("/1"), "orders")]);
    let bench = Bench::start(fake.url(), data.path(), &[]);
    assert_eq!(bench.directory.demand(name(ORDERS)).await, Demanded::Known, "the set is closed without");
    assert!(bench.said(ORDERS).is_empty());
    fake.set(ORDERS, vec![endpoint("b")]);
    bench.until_ids(&["b"]).await;
    bench.drain.finish(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn an_unchanged_saying_is_the_same_pointer_when_endpoints_change() {
    let (data, fake) = (tempfile::tempdir().unwrap(), Fake::start().await);
    fake.set(ORDERS, vec![endpoint("a")]);
    fake.say(ORDERS, &[route("one", exact("/1"), "orders")]);
    let bench = Bench::start(fake.url(), data.path(), &[]);
    assert_eq!(bench.directory.demand(name(ORDERS)).await, Demanded::Known);
    let traffic = |bench: &Bench| Arc::clone(&bench.directory.load().services[&name(ORDERS)].traffic);
    let before = traffic(&bench);
    fake.set(ORDERS, vec![endpoint("a"), endpoint("b")]);
    bench.until_ids(&["a", "b"]).await;
    assert!(Arc::ptr_eq(&before, &traffic(&bench)), "nothing is compiled anew");
    bench.drain.finish(PATIENCE).await.unwrap();
}
