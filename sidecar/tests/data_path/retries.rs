//! Which answers and failures are tried again, how long that waits, and what the budget leaves of a storm.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderValue, StatusCode};
use http_body_util::Full;
use weft_model::policy::Policy;
use weft_sidecar::config::SidecarConfig;

use crate::mesh::{App, Got, Replica, Sidecar, config, endpoint, get, post, request, send, text, until};

/// Fails so many times with `status` and what else the answer says, then answers 200.
async fn failing(times: usize, status: StatusCode, header: Option<(&'static str, &'static str)>) -> App {
    let count = Arc::new(AtomicUsize::new(0));
    App::start(move |_| {
        let fails = count.fetch_add(1, Ordering::SeqCst) < times;
        Box::pin(async move {
            let mut answer = text(if fails { status } else { StatusCode::OK }, "body");
            if let (Some((name, value)), true) = (header, fails) {
                answer.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            answer
        })
    })
    .await
}

/// A sidecar that calls `app` plainly as `orders`, by this policy.
fn caller(app: &App, change: impl FnOnce(&mut Policy)) -> Sidecar {
    let mut policy = Policy::default();
    change(&mut policy);
    let sidecar = Sidecar::start(SidecarConfig { policy, ..config() });
    sidecar.publish("orders", vec![endpoint("orders", "1", app.address, None)]);
    sidecar
}

#[tokio::test]
async fn a_listed_status_is_tried_again_for_an_idempotent_request_only() {
    let app = failing(3, StatusCode::SERVICE_UNAVAILABLE, None).await;
    let caller = caller(&app, |policy| policy.retry.on.statuses = vec![503]);
    assert_eq!((post(caller.outbound, "orders").await.status, app.count()), (503, 1));
    assert_eq!((get(caller.outbound, "orders").await.status, app.count()), (200, 4));
    assert!(
        caller.scrape().contains(
            r#"weft_retries_total{direction="outbound",service="orders.default",reason="status"} 2"#
        )
    );
    // Short answers that were thrown away gave their connection back.
    let opened = r#"weft_connections_opened_total{kind="upstream"} 1"#;
    assert!(caller.scrape().contains(opened), "{}", caller.scrape());
}

#[tokio::test]
async fn an_answer_is_passed_on_when_the_attempts_are_spent() {
    let app = failing(usize::MAX, StatusCode::TOO_MANY_REQUESTS, None).await;
    let caller = caller(&app, |policy| policy.retry.on.statuses = vec![429]);
    let got = get(caller.outbound, "orders").await;
    assert_eq!((got.status, &got.body[..], app.count()), (429, &b"body"[..], 3));
}

#[tokio::test]
async fn retry_after_is_waited_for_or_the_answer_is_passed_on() {
    let app = failing(1, StatusCode::SERVICE_UNAVAILABLE, Some(("retry-after", "1"))).await;
    let patient = caller(&app, |policy| policy.retry.on.statuses = vec![503]);
    let begun = Instant::now();
    assert_eq!((get(patient.outbound, "orders").await.status, app.count()), (200, 2));
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());

    let app = failing(1, StatusCode::SERVICE_UNAVAILABLE, Some(("retry-after", "2"))).await;
    let hurried = caller(&app, |policy| policy.retry.on.statuses = vec![503]);
    let got = get(hurried.outbound, "orders").await;
    assert_eq!((got.status, got.header("retry-after"), app.count()), (503, "2", 1));
}

#[tokio::test]
async fn a_listed_grpc_code_is_tried_again_where_the_head_says_it() {
    let app = failing(1, StatusCode::OK, Some(("grpc-status", "14"))).await;
    let caller = caller(&app, |policy| policy.retry.on.grpc_codes = vec![14]);
    let call = request("POST", "orders")
        .header("content-type", "application/grpc")
        .header("idempotency-key", "1")
        .body(Full::from("message"))
        .unwrap();
    let got = send(caller.outbound, call).await;
    assert_eq!((got.status, got.header("grpc-status"), app.count()), (200, "", 2));
}

#[tokio::test]
async fn a_retry_that_would_outlast_the_deadline_is_not_made() {
    let app = failing(1, StatusCode::SERVICE_UNAVAILABLE, Some(("retry-after", "1"))).await;
    let caller = caller(&app, |policy| policy.retry.on.statuses = vec![503]);
    let hurried = request("GET", "orders").header("weft-deadline", "500").body(Full::default()).unwrap();
    assert_eq!((send(caller.outbound, hurried).await.status, app.count()), (503, 1));
}

#[tokio::test]
async fn a_service_that_is_down_gets_at_most_a_fifth_more_than_was_asked_of_it() {
    let app = failing(usize::MAX, StatusCode::SERVICE_UNAVAILABLE, None).await;
    let caller = caller(&app, |policy| policy.retry.on.statuses = vec![503]);
    let (mut offered, mut told) = (0, 0);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        // So many at once that a fifth of them is more than the floor.
        let batch: Vec<_> = (0..20).map(|_| tokio::spawn(get(caller.outbound, "orders"))).collect();
        for answer in batch {
            let got: Got = answer.await.unwrap();
            assert_eq!(got.status, 503);
            told += usize::from(got.header("weft-retry") == "budget-exhausted");
            offered += 1;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let floor = 10 + 10 * (1 + usize::try_from(begun.elapsed().as_secs()).unwrap());
    let most = offered + (offered / 5).max(floor) + 1;
    assert!(app.count() <= most, "{} of {offered} offered", app.count());
    assert!(told > offered / 2, "{told} of {offered} were told of the budget");
}

#[tokio::test]
async fn the_budget_of_a_service_is_one_for_all_threads() {
    let app = failing(usize::MAX, StatusCode::SERVICE_UNAVAILABLE, None).await;
    let mut policy = Policy::default();
    policy.retry.on.statuses = vec![503];
    policy.retry.budget.floor_per_second = 0;
    let sidecar = Sidecar::start(SidecarConfig { policy, data_threads: 3, ..config() });
    sidecar.publish("orders", vec![endpoint("orders", "1", app.address, None)]);
    // Each on a connection of its own, which the kernel spreads over the threads.
    for _ in 0..100 {
        assert_eq!(get(sidecar.outbound, "orders").await.status, 503);
    }
    assert_eq!(app.count(), 120);
}

#[tokio::test]
async fn a_replica_that_is_full_is_left_for_another_one_and_not_asked_twice() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let waits = Arc::clone(&gate);
    let busy = App::start(move |_| {
        let waits = Arc::clone(&waits);
        Box::pin(async move {
            drop(waits.acquire().await);
            text(StatusCode::OK, "busy")
        })
    })
    .await;
    let full = Replica::limited("orders", "1", busy, 1, 0);
    let caller = Sidecar::calling("orders", &[&full]);
    let first = tokio::spawn(get(caller.outbound, "orders"));
    until("the only place is taken", || full.app.count() == 1).await;
    let got = get(caller.outbound, "orders").await;
    assert_eq!((got.status, got.header("weft-error"), got.header("weft-retry")), (503, "overloaded", ""));
    let other = Replica::http("orders", "2", App::named("free").await);
    caller.publish("orders", vec![full.endpoint.clone(), other.endpoint.clone()]);
    for _ in 0..20 {
        assert_eq!(post(caller.outbound, "orders").await.status, 200);
    }
    assert_eq!((full.app.count(), other.app.count()), (1, 20));
    gate.add_permits(1);
    assert_eq!(first.await.unwrap().status, 200);
}
