//! Endpoints that are left out: by a rate far below the others', one by one until a probe succeeds, and all of
//! them where the policy says so.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use weft_model::policy::{Balance, Policy, SuccessRatePolicy};
use weft_sidecar::config::SidecarConfig;

use crate::mesh::{App, Sidecar, config, endpoint, get, text, until};

/// Fails each n-th request with 500.
async fn failing_each(nth: usize) -> App {
    let count = Arc::new(AtomicUsize::new(0));
    App::start(move |_| {
        let fails = count.fetch_add(1, Ordering::SeqCst) % nth == nth - 1;
        let status = if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
        Box::pin(async move { text(status, "") })
    })
    .await
}

#[tokio::test]
async fn a_replica_that_fails_far_more_than_the_others_is_left_out() {
    let mut apps = vec![failing_each(2).await];
    for _ in 0..5 {
        apps.push(failing_each(1_000_000).await);
    }
    let mut policy = Policy::default();
    // Each is to have enough requests to be compared, however fast it answers.
    policy.balance.algorithm = Balance::RoundRobin;
    policy.outlier.success_rate = Some(SuccessRatePolicy {
        interval: Duration::from_millis(200),
        requests_min: 10,
        endpoints_min: 5,
        stdev_factor_thousandths: 1_900,
    });
    let caller = Sidecar::start(SidecarConfig { policy, ..config() });
    let places =
        apps.iter().enumerate().map(|(id, app)| endpoint("orders", &id.to_string(), app.address, None));
    caller.publish("orders", places.collect());
    let ejected =
        r#"weft_endpoint_ejections_total{service="orders.default",endpoint="node/0",kind="success-rate"} 1"#;
    for _ in 0..5_000 {
        get(caller.outbound, "orders").await;
        if caller.scrape().contains(ejected) {
            break;
        }
    }
    assert!(caller.scrape().contains(ejected), "{}", caller.scrape());
    let before = apps[0].count();
    for _ in 0..50 {
        assert_eq!(get(caller.outbound, "orders").await.status, 200);
    }
    assert_eq!(apps[0].count(), before);
    assert!(!caller.scrape().contains(r#"endpoint="node/1",kind="#));
}

#[tokio::test]
async fn where_ejection_is_never_disregarded_the_circuit_opens_and_one_probe_closes_it() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let app = App::start(move |_| {
        let status =
            if well.load(Ordering::SeqCst) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        Box::pin(async move { text(status, "") })
    })
    .await;
    let mut policy = Policy::default();
    policy.balance.panic_percent = 0;
    policy.outlier.percent_max = 100;
    policy.outlier.base = Duration::from_millis(400);
    let caller = Sidecar::start(SidecarConfig { policy, ..config() });
    caller.publish("orders", vec![endpoint("orders", "1", app.address, None)]);
    for _ in 0..5 {
        assert_eq!(get(caller.outbound, "orders").await.header("weft-error"), "");
    }
    for _ in 0..10 {
        let got = get(caller.outbound, "orders").await;
        assert_eq!((got.status, got.header("weft-error")), (503, "circuit-open"));
    }
    assert_eq!(app.count(), 5);
    // A failed probe opens it again, for longer.
    let mut probes = 0;
    while probes < 1 {
        probes += usize::from(get(caller.outbound, "orders").await.header("weft-error").is_empty());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((get(caller.outbound, "orders").await.header("weft-error"), app.count()), ("circuit-open", 6));
    is_well.store(true, Ordering::SeqCst);
    let outbound = caller.outbound;
    let mut status = 0;
    while status != 200 {
        status = get(outbound, "orders").await.status;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until("closed", || app.count() == 7).await;
    for _ in 0..10 {
        assert_eq!(get(outbound, "orders").await.status, 200);
    }
}
