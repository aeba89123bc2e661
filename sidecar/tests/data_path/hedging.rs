//! A second attempt beside a slow first one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use weft_model::policy::{HedgePolicy, Policy};
use weft_sidecar::config::SidecarConfig;

use crate::mesh::{App, DEADLINE, Replica, Sidecar, collect, config, get, post, request, send, text, until};

/// Never answers, and counts those that were waited for in vain.
async fn hanging(cancelled: &Arc<AtomicUsize>) -> App {
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let cancelled = Arc::clone(cancelled);
    App::start(move |request| {
        let count = Count(Arc::clone(&cancelled));
        Box::pin(async move {
            let _count = count;
            // A server that has not read the request does not look for the end of its connection.
            let _body = request.into_body().collect().await;
            std::future::pending().await
        })
    })
    .await
}

fn hedging(delay_ms: u64) -> Policy {
    let delay = Duration::from_millis(delay_ms);
    Policy { hedge: Some(HedgePolicy { delay, attempts_max: 2 }), ..Policy::default() }
}

struct Pair {
    slow: Replica,
    quick: Replica,
    caller: Sidecar,
    cancelled: Arc<AtomicUsize>,
}

async fn pair(policy: Policy) -> Pair {
    let cancelled = Arc::new(AtomicUsize::new(0));
    let slow = Replica::http("orders", "1", hanging(&cancelled).await);
    let echo = App::start(|request| {
        Box::pin(async move { text(StatusCode::OK, request.into_body().collect().await.unwrap().to_bytes()) })
    })
    .await;
    let quick = Replica::http("orders", "2", echo);
    let caller = Sidecar::start(SidecarConfig { policy, ..config() });
    caller.publish("orders", vec![slow.endpoint.clone(), quick.endpoint.clone()]);
    Pair { slow, quick, caller, cancelled }
}

/// Waits until a request has reached the slow one.
async fn send_until_slow(pair: &Pair, send: impl AsyncFn() -> u16) {
    for _ in 0..200 {
        assert_eq!(send().await, 200);
        if pair.slow.app.count() > 0 {
            return;
        }
    }
    panic!("the slow replica was never asked");
}

#[tokio::test]
async fn the_second_attempt_wins_and_the_first_is_cancelled_and_not_blamed() {
    let pair = pair(hedging(30)).await;
    let body = "x".repeat(10_000);
    send_until_slow(&pair, async || {
        let put = request("PUT", "orders").body(Full::from(body.clone())).unwrap();
        let got = send(pair.caller.outbound, put).await;
        assert_eq!(got.body, body);
        got.status
    })
    .await;
    until("the loser is cancelled", || pair.cancelled.load(Ordering::SeqCst) == pair.slow.app.count()).await;
    let metrics = pair.caller.scrape();
    for line in [
        r#"weft_hedges_total{direction="outbound",service="orders.default"}"#,
        r#"weft_hedges_won_total{direction="outbound",service="orders.default"}"#,
        r#"weft_endpoint_failures_total{service="orders.default",endpoint="node/1"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn the_loser_of_an_http2_race_is_reset_and_its_connection_stays() {
    let pair = pair(hedging(30)).await;
    let io = TokioIo::new(TcpStream::connect(pair.caller.outbound).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    send_until_slow(&pair, async || {
        let get = http::Request::get("http://orders/").body(Full::<bytes::Bytes>::default()).unwrap();
        let sent = sender.clone().send_request(get);
        collect(tokio::time::timeout(DEADLINE, sent).await.unwrap().unwrap()).await.status
    })
    .await;
    until("the loser is cancelled", || pair.cancelled.load(Ordering::SeqCst) == pair.slow.app.count()).await;
}

#[tokio::test]
async fn a_post_is_not_hedged_and_neither_is_a_request_that_is_answered_in_time() {
    let mut policy = hedging(30);
    policy.timeouts.total = Some(Duration::from_millis(300));
    let pair = pair(policy).await;
    let mut late = 0;
    for _ in 0..20 {
        late += usize::from(post(pair.caller.outbound, "orders").await.status == 504);
    }
    assert!(late > 0);
    assert_eq!((pair.slow.app.count(), pair.quick.app.count()), (late, 20 - late));
    assert!(!pair.caller.scrape().contains("weft_hedges_total{"));
}

#[tokio::test]
async fn a_hedge_is_paid_for_by_the_retry_budget() {
    let mut policy = hedging(10);
    policy.retry.budget.floor_per_second = 0;
    policy.retry.budget.percent = 0;
    policy.timeouts.total = Some(Duration::from_millis(300));
    let pair = pair(policy).await;
    let mut late = 0;
    for _ in 0..20 {
        late += usize::from(get(pair.caller.outbound, "orders").await.status == 504);
    }
    assert!(late > 0);
    assert!(!pair.caller.scrape().contains("weft_hedges_total{"));
}
