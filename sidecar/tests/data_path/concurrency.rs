//! Limits on requests under way, the queue before them, and the one that finds itself out.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use tokio::sync::Semaphore;
use weft_model::policy::{Concurrency, LimitPolicy, Policy, QueuePolicy};
use weft_sidecar::config::SidecarConfig;

use crate::mesh::{App, Replica, Sidecar, config, endpoint, get, text, until};

/// Answers as many as the gate has permits for.
async fn gated(gate: &Arc<Semaphore>) -> App {
    let gate = Arc::clone(gate);
    App::start(move |_| {
        let gate = Arc::clone(&gate);
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            text(StatusCode::OK, "ok")
        })
    })
    .await
}

/// Counts how many are served at once, at most.
async fn counting(most: &Arc<AtomicUsize>) -> App {
    let (most, now) = (Arc::clone(most), Arc::new(AtomicUsize::new(0)));
    App::start(move |_| {
        let (most, now) = (Arc::clone(&most), Arc::clone(&now));
        Box::pin(async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            text(StatusCode::OK, "ok")
        })
    })
    .await
}

fn caller(app: &App, concurrency: Concurrency, queue: QueuePolicy, data_threads: usize) -> Sidecar {
    let limits = LimitPolicy { concurrency, queue, connections_per_endpoint: None };
    let policy = Policy { limits, ..Policy::default() };
    let sidecar = Sidecar::start(SidecarConfig { policy, data_threads, ..config() });
    sidecar.publish("orders", vec![endpoint("orders", "1", app.address, None)]);
    sidecar
}

fn queue(length_max: u32, timeout_ms: u64) -> QueuePolicy {
    QueuePolicy { length_max, timeout: Duration::from_millis(timeout_ms) }
}

#[tokio::test]
async fn who_finds_the_queue_full_is_answered_at_once_and_who_waits_in_vain_after_its_time() {
    let gate = Arc::new(Semaphore::new(0));
    let app = gated(&gate).await;
    let caller = caller(&app, Concurrency::Fixed(1), queue(1, 500), 1);
    let first = tokio::spawn(get(caller.outbound, "orders"));
    until("the place is taken", || app.count() == 1).await;
    let begun = Instant::now();
    let waits = tokio::spawn(get(caller.outbound, "orders"));
    until("one waits", || {
        caller
            .scrape()
            .contains(r#"weft_queued_requests_total{direction="outbound",service="orders.default"} 1"#)
    })
    .await;
    let refused = get(caller.outbound, "orders").await;
    assert_eq!((refused.status, refused.header("weft-error")), (503, "overloaded"));
    assert!(begun.elapsed() < Duration::from_millis(450), "{:?}", begun.elapsed());
    let waited = waits.await.unwrap();
    assert_eq!((waited.status, waited.header("weft-error")), (503, "overloaded"));
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    gate.add_permits(1);
    assert_eq!((first.await.unwrap().status, app.count()), (200, 1));
    let metrics = caller.scrape();
    for line in [
        r#"weft_queue_overflows_total{direction="outbound",service="orders.default"} 1"#,
        r#"weft_queue_timeouts_total{direction="outbound",service="orders.default"} 1"#,
        r#"weft_concurrency_limit{direction="outbound",service="orders.default"} 1"#,
        r#"weft_queue_length{direction="outbound",service="orders.default"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_place_that_comes_free_on_one_thread_wakes_who_waits_on_another() {
    let most = Arc::new(AtomicUsize::new(0));
    let app = counting(&most).await;
    let caller = caller(&app, Concurrency::Fixed(2), queue(200, 8_000), 3);
    let calls: Vec<_> = (0..100).map(|_| tokio::spawn(get(caller.outbound, "orders"))).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
    assert_eq!(app.count(), 100);
    assert!(most.load(Ordering::SeqCst) <= 2, "{} at once", most.load(Ordering::SeqCst));
}

#[tokio::test]
async fn no_more_connections_are_made_to_an_endpoint_than_the_policy_says() {
    let most = Arc::new(AtomicUsize::new(0));
    let app = counting(&most).await;
    let limits = LimitPolicy { connections_per_endpoint: Some(2), ..LimitPolicy::default() };
    let policy = Policy { limits, ..Policy::default() };
    let caller = Sidecar::start(SidecarConfig { policy, ..config() });
    caller.publish("orders", vec![endpoint("orders", "1", app.address, None)]);
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(get(caller.outbound, "orders"))).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
    assert_eq!((app.count(), most.load(Ordering::SeqCst)), (20, 2));
}

#[tokio::test]
async fn the_application_is_protected_by_its_own_sidecar() {
    let gate = Arc::new(Semaphore::new(0));
    let full = Replica::limited("orders", "1", gated(&gate).await, 2, 1);
    // A bare client.
    let inbound = full.sidecar.inbound;
    let calls: Vec<_> = (0..2).map(|_| tokio::spawn(get(inbound, "orders"))).collect();
    until("both places are taken", || full.app.count() == 2).await;
    let refused = get(inbound, "orders").await;
    assert_eq!((refused.status, refused.header("weft-error"), full.app.count()), (503, "overloaded", 2));
    gate.add_permits(2);
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
}

/// An application with so many workers, each busy for so long with one request.
async fn workers(count: usize, busy: Duration, waiting_max: &Arc<AtomicUsize>) -> App {
    let (workers, waiting_max) = (Arc::new(Semaphore::new(count)), Arc::clone(waiting_max));
    let waiting = Arc::new(AtomicUsize::new(0));
    App::start(move |_| {
        let (workers, waiting, most) = (Arc::clone(&workers), Arc::clone(&waiting), Arc::clone(&waiting_max));
        Box::pin(async move {
            most.fetch_max(waiting.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let worker = workers.acquire().await.unwrap();
            waiting.fetch_sub(1, Ordering::SeqCst);
            tokio::time::sleep(busy).await;
            drop(worker);
            text(StatusCode::OK, "ok")
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adaptive_limit_keeps_an_overloaded_application_busy_and_its_queue_short() {
    let queued = Arc::new(AtomicUsize::new(0));
    let app = workers(8, Duration::from_millis(40), &queued).await;
    let caller = caller(&app, Concurrency::Adaptive { min: 4, max: 500 }, queue(0, 10), 1);
    // Many more than it can serve at once, who come back a moment after they were refused.
    let outbound = caller.outbound;
    let (served, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..24)
        .map(|_| {
            let (served, done) = (Arc::clone(&served), Arc::clone(&done));
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    let got = get(outbound, "orders").await;
                    assert!(got.status == 200 || got.header("weft-error") == "overloaded", "{got:?}");
                    served.fetch_add(usize::from(got.status == 200), Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(if got.status == 200 { 0 } else { 100 })).await;
                }
            })
        })
        .collect();
    let limit = || {
        let name = r#"weft_concurrency_limit{direction="outbound",service="orders.default"} "#;
        let metrics = caller.scrape();
        metrics.lines().find_map(|line| line.strip_prefix(name)?.parse::<u32>().ok()).unwrap_or(0)
    };
    until("the limit has grown to what it can serve", || limit() >= 8).await;
    let before = served.load(Ordering::SeqCst);
    until("it serves on", || served.load(Ordering::SeqCst) > before + 200).await;
    done.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(limit() <= 40, "{} at once", limit());
    assert!(queued.load(Ordering::SeqCst) <= 40, "{} waited inside", queued.load(Ordering::SeqCst));
}
