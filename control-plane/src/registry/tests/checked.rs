//! Instances without a sidecar: held by their checks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, sleep},
};
use weft_model::{check::Probe, endpoint::Health, lease::HOLD};

use super::support::{Bench, check, key, node, registration, ttl};
use crate::registry::{Origin, RegistryError};

const A: &str = "orders.default/n1/a";

#[tokio::test(start_paused = true)]
async fn an_instance_without_checks_is_passing_and_survives_a_restart_whole() {
    let bench = Bench::new().await;
    let revision = bench.registry.register(registration(A, Origin::Agent, vec![])).await.expect("registers");
    let odd = registration("web.shop/n%2F2/b/c%", Origin::Catalog, vec![]);
    bench.registry.register(odd.clone()).await.expect("registers");
    let before = bench.registry.catalog();
    assert_eq!(before.revision, bench.store.revision());
    let held = bench.instance(A).expect("there");
    assert_eq!((held.health, held.create_revision), (Health::Passing, revision));
    let bench = bench.restart().await;
    let after = bench.registry.catalog();
    assert_eq!(after.instance(&key(A)), before.instance(&key(A)));
    assert_eq!(after.instance(&odd.key), before.instance(&odd.key));
    assert!(after.instance(&odd.key).is_some());
    assert_eq!(after.nodes.keys().collect::<Vec<_>>(), before.nodes.keys().collect::<Vec<_>>());
    assert_eq!(after.revision, before.revision);
}

#[tokio::test(start_paused = true)]
async fn an_id_under_another_service_replaces_the_first_as_in_consul() {
    let bench = Bench::new().await;
    bench.registry.register(registration(A, Origin::Agent, vec![])).await.expect("registers");
    bench
        .registry
        .register(registration("billing.default/n1/a", Origin::Agent, vec![]))
        .await
        .expect("registers");
    assert_eq!(bench.instance(A), None);
    assert!(bench.instance("billing.default/n1/a").is_some());
    assert_eq!(bench.registry.catalog().nodes[&node("n1")].instances.len(), 1);
    let bench = bench.restart().await;
    assert_eq!(bench.instance(A), None);
}

#[tokio::test(start_paused = true)]
async fn a_ttl_check_is_critical_until_reported_and_again_when_silent() {
    let bench = Bench::new().await;
    let wanted = registration(A, Origin::Agent, vec![ttl("", 30)]);
    bench.registry.register(wanted.clone()).await.expect("registers");
    assert_eq!(bench.instance(A).expect("there").health, Health::Critical);
    sleep(HOLD).await;
    let report = |health, output: &str| {
        bench.registry.report_check(node("n1"), "service:a", health, output.to_owned())
    };
    report(Health::Passing, "fine").await.expect("is taken");
    let reported = Instant::now();
    assert_eq!(bench.instance(A).expect("there").health, Health::Passing);
    let revision = bench.store.revision();
    report(Health::Passing, "still fine").await.expect("is taken");
    assert_eq!(bench.store.revision(), revision, "other words are no commit");
    let held = bench.instance(A).expect("there");
    assert_eq!(held.checks["service:a"].output, "still fine");
    bench.registry.register(wanted).await.expect("registers again");
    assert_eq!(bench.instance(A).expect("there").health, Health::Passing, "the state is kept");
    let dead = bench.until_instance(A, |held| held.health == Health::Critical).await;
    assert_eq!(dead.reason, "service:a: TTL expired: no report for 30s");
    let after = reported.elapsed();
    assert!(after >= Duration::from_secs(30) && after < Duration::from_secs(31), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_critical_check_removes_its_instance_after_its_time() {
    let bench = Bench::new().await;
    let mut doomed = ttl("t", 10);
    doomed.deregister_after = Some(Duration::from_secs(90));
    bench.registry.register(registration(A, Origin::Agent, vec![doomed])).await.expect("registers");
    bench.registry.report_check(node("n1"), "t", Health::Passing, String::new()).await.expect("is taken");
    bench.until_instance(A, |held| held.health == Health::Critical).await;
    let critical = Instant::now();
    bench.until(|catalog| catalog.services.is_empty()).await;
    let after = critical.elapsed();
    assert!(after >= Duration::from_secs(89) && after < Duration::from_secs(92), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn reports_to_what_is_not_there_say_so() {
    let bench = Bench::new().await;
    let tcp = check("c", Probe::Tcp { address: "127.0.0.1:1".to_owned() });
    bench.registry.register(registration(A, Origin::Agent, vec![tcp])).await.expect("registers");
    let report =
        |id: &'static str| bench.registry.report_check(node("n1"), id, Health::Passing, String::new());
    assert!(matches!(report("c").await, Err(RegistryError::NotTtl { .. })));
    assert!(matches!(report("x").await, Err(RegistryError::NoCheck { .. })));
    let gone = bench.registry.deregister(node("n1"), "zz").await;
    assert!(matches!(gone, Err(RegistryError::NoInstance { .. })));
    let gone = bench.registry.deregister_check(node("n1"), "zz").await;
    assert!(matches!(gone, Err(RegistryError::NoCheck { .. })));
    let gone = bench.registry.maintenance(node("n9"), "a", None).await;
    assert!(matches!(gone, Err(RegistryError::NoInstance { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_nodes_check_counts_for_all_on_it_and_goes_with_it() {
    let bench = Bench::new().await;
    bench.registry.register(registration(A, Origin::Agent, vec![])).await.expect("registers");
    bench.registry.register_check(node("n1"), None, ttl("mem", 60)).await.expect("registers");
    bench.until_instance(A, |held| held.health == Health::Critical && held.cause == "mem").await;
    bench
        .registry
        .report_check(node("n1"), "mem", Health::Warning, "80 %".to_owned())
        .await
        .expect("is taken");
    let held = bench.until_instance(A, |held| held.health == Health::Warning).await;
    assert_eq!(held.reason, "mem: 80 %");
    let bench = bench.restart().await;
    assert_eq!(bench.instance(A).expect("there").health, Health::Warning);
    bench.registry.deregister_check(node("n1"), "mem").await.expect("goes");
    bench.until_instance(A, |held| held.health == Health::Passing).await;
    bench.registry.deregister_node(node("n1")).await.expect("goes");
    assert!(bench.registry.catalog().services.is_empty());
    assert!(bench.registry.catalog().nodes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_with_more_instances_than_a_commit_holds_goes_whole() {
    let bench = Bench::new().await;
    for number in 0..200 {
        let one = registration(&format!("orders.default/n1/i{number}"), Origin::Catalog, vec![]);
        bench.registry.register(one).await.expect("registers");
    }
    bench
        .registry
        .register_node(node("n1"), "10.0.0.9".to_owned(), BTreeMap::new())
        .await
        .expect("registers");
    assert_eq!(bench.registry.catalog().instance_count(), 200);
    bench.registry.deregister_node(node("n1")).await.expect("goes");
    let catalog = bench.registry.catalog();
    assert_eq!((catalog.instance_count(), catalog.nodes.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_check_id_is_unique_a_node() {
    let bench = Bench::new().await;
    bench.registry.register(registration(A, Origin::Agent, vec![ttl("t", 60)])).await.expect("registers");
    let other = "web.default/n1/b";
    bench.registry.register(registration(other, Origin::Agent, vec![ttl("t", 60)])).await.expect("registers");
    assert!(bench.instance(A).expect("there").checks.is_empty());
    bench.registry.report_check(node("n1"), "t", Health::Passing, String::new()).await.expect("is taken");
    assert_eq!(bench.instance(other).expect("there").health, Health::Passing);
}

#[tokio::test(start_paused = true)]
async fn limits_are_named() {
    let bench = Bench::new().await;
    let mut wanted = registration(A, Origin::Agent, vec![]);
    wanted.meta = (0..65).map(|number| (number.to_string(), String::new())).collect();
    let refused = bench.registry.register(wanted).await;
    assert!(matches!(refused, Err(RegistryError::Limit { what: "pairs of meta", limit: 64 })));
}

/// Answers each request with 200 or 500.
async fn serve(listener: TcpListener, well: Arc<AtomicBool>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        let mut request = [0; 1024];
        drop(stream.read(&mut request).await);
        let status = if well.load(Ordering::Relaxed) { "200 OK" } else { "500 Oops" };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
        drop(stream.write_all(answer.as_bytes()).await);
    }
}

#[tokio::test]
async fn an_http_check_flips_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/health", listener.local_addr().expect("bound"));
    let well = Arc::new(AtomicBool::new(true));
    let server = tokio::spawn(serve(listener, Arc::clone(&well)));
    let bench = Bench::new().await;
    let mut http = check("", Probe::Http { url, method: "GET".to_owned(), headers: vec![] });
    http.spec.as_mut().expect("given").interval = Duration::from_millis(20);
    bench.registry.register(registration(A, Origin::Agent, vec![http])).await.expect("registers");
    let held = bench.until_instance(A, |held| held.health == Health::Passing).await;
    assert!(held.checks["service:a"].output.ends_with("200 OK Output: hi"));
    well.store(false, Ordering::Relaxed);
    let held = bench.until_instance(A, |held| held.health == Health::Critical).await;
    assert!(held.reason.contains("500"), "{}", held.reason);
    well.store(true, Ordering::Relaxed);
    bench.until_instance(A, |held| held.health == Health::Passing).await;
    server.abort();
}
