//! What a caller sees when a replica fails, is slow, is the wrong one, or stops.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use http_body_util::{BodyExt, Full};
use weft_model::policy::Policy;
use weft_sidecar::config::SidecarConfig;

use crate::mesh::{
    App, BREAK, DEADLINE, Replica, Sidecar, config, endpoint, get, post, request, send, text, until,
};

async fn breaking() -> App {
    App::start(|_| Box::pin(async { text(BREAK, "") })).await
}

async fn hanging() -> App {
    App::start(|_| Box::pin(std::future::pending())).await
}

#[tokio::test]
async fn a_post_never_reaches_an_application_twice() {
    let broken = Replica::http("orders", "1", breaking().await);
    let other = Replica::http("orders", "2", breaking().await);
    let caller = Sidecar::calling("orders", &[&broken, &other]);
    for sent in 1..=20 {
        let got = post(caller.outbound, "orders").await;
        assert_eq!((got.status, got.header("weft-error")), (502, "upstream-reset"));
        assert_eq!(broken.app.count() + other.app.count(), sent);
    }
}

#[tokio::test]
async fn an_idempotent_request_moves_on_when_its_replica_breaks_off() {
    let broken = Replica::http("orders", "1", breaking().await);
    let well = Replica::http("orders", "2", App::named("well").await);
    let caller = Sidecar::calling("orders", &[&broken, &well]);
    for _ in 0..10 {
        assert_eq!(get(caller.outbound, "orders").await.status, 200);
        let keyed =
            request("POST", "orders").header("idempotency-key", "1").body(Full::from("work")).unwrap();
        assert_eq!(send(caller.outbound, keyed).await.status, 200);
    }
    assert!(broken.app.count() > 0);
}

#[tokio::test]
async fn a_body_is_sent_again_whole() {
    let broken = Replica::http("orders", "1", breaking().await);
    let echo = App::start(|request| {
        Box::pin(async move { text(StatusCode::OK, request.into_body().collect().await.unwrap().to_bytes()) })
    })
    .await;
    let well = Replica::http("orders", "2", echo);
    let caller = Sidecar::calling("orders", &[&broken, &well]);
    let body = "0123456789".repeat(5_000);
    for _ in 0..10 {
        let put = request("PUT", "orders").body(Full::from(body.clone())).unwrap();
        let got = send(caller.outbound, put).await;
        assert!(got.status == 200 && got.body == body, "{}", got.status);
    }
    assert!(broken.app.count() > 0);
}

#[tokio::test]
async fn a_post_goes_elsewhere_when_nobody_is_there_and_the_endpoint_is_ejected() {
    let dead = Replica::http("orders", "1", App::named("dead").await);
    let well = Replica::http("orders", "2", App::named("well").await);
    dead.app.kill();
    let caller = Sidecar::calling("orders", &[&dead, &well]);
    for _ in 0..50 {
        assert_eq!(post(caller.outbound, "orders").await.status, 200);
    }
    assert_eq!(well.app.count(), 50);
    let metrics = caller.scrape();
    assert!(metrics.contains(
        r#"weft_endpoint_ejections_total{service="orders.default",endpoint="node/1",kind="unreachable"} 1"#
    ));
    assert!(
        metrics.contains(r#"weft_endpoint_requests_total{service="orders.default",endpoint="node/1"} 1"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_post_is_not_lost_to_a_sidecar_that_hosts_another_service() {
    let stranger = Replica::http("billing", "1", App::named("stranger").await);
    let well = Replica::http("orders", "2", App::named("well").await);
    let caller = Sidecar::start(config());
    let moved = endpoint("orders", "1", stranger.app.address, Some(stranger.sidecar.inbound));
    caller.publish("orders", vec![moved, well.endpoint.clone()]);
    for _ in 0..20 {
        assert_eq!(&post(caller.outbound, "orders").await.body[..], b"well");
    }
    assert_eq!(stranger.app.count(), 0);
}

#[tokio::test]
async fn a_hung_endpoint_loses_its_pending_gets_when_it_turns_critical() {
    let hung = Replica::http("orders", "1", hanging().await);
    let well = Replica::http("orders", "2", App::named("well").await);
    let caller = Sidecar::calling("orders", &[&hung]);
    let pending: Vec<_> = (0..5).map(|_| tokio::spawn(get_from(caller.outbound))).collect();
    until("all wait", || hung.app.count() == 5).await;
    caller.publish("orders", vec![hung.critical(), well.endpoint.clone()]);
    for answer in pending {
        let got = tokio::time::timeout(Duration::from_secs(2), answer).await.unwrap().unwrap();
        assert_eq!(&got.body[..], b"well");
    }
}

async fn get_from(outbound: std::net::SocketAddr) -> crate::mesh::Got {
    get(outbound, "orders").await
}

#[tokio::test]
async fn no_callable_replica_has_a_name_of_its_own() {
    let replica = Replica::http("orders", "1", App::named("x").await);
    let caller = Sidecar::start(config());
    caller.publish("orders", vec![replica.critical()]);
    let got = get(caller.outbound, "orders").await;
    assert_eq!((got.status, got.header("weft-error")), (503, "no-healthy-endpoint"));
    assert_eq!(replica.app.count(), 0);
}

#[tokio::test]
async fn a_callers_deadline_ends_the_call_and_travels_on() {
    let left = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&left);
    let app = App::start(move |request| {
        let header = request.headers()["weft-deadline"].to_str().unwrap().parse().unwrap();
        seen.store(header, Ordering::SeqCst);
        Box::pin(std::future::pending())
    })
    .await;
    let replica = Replica::http("orders", "1", app);
    let caller = Sidecar::calling("orders", &[&replica]);
    let begun = Instant::now();
    let got = send(
        caller.outbound,
        request("GET", "orders").header("weft-deadline", "200").body(Full::default()).unwrap(),
    )
    .await;
    assert_eq!((got.status, got.header("weft-error")), (504, "deadline-exceeded"));
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!((1..=200).contains(&left.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn the_policys_timeouts_have_their_name() {
    let replica = Replica::http("orders", "1", hanging().await);
    let mut policy = Policy::default();
    policy.timeouts.total = Some(Duration::from_millis(200));
    let caller = Sidecar::start(SidecarConfig { policy, ..config() });
    caller.publish("orders", vec![replica.endpoint.clone()]);
    let got = get(caller.outbound, "orders").await;
    assert_eq!((got.status, got.header("weft-error")), (504, "upstream-timeout"));
}

#[tokio::test]
async fn a_spent_budget_lets_the_last_answer_through_and_says_so() {
    let broken = Replica::http("orders", "1", breaking().await);
    let mut policy = Policy::default();
    policy.retry.budget.percent = 0;
    policy.retry.budget.floor_per_second = 1;
    let caller = Sidecar::start(SidecarConfig { policy, ..config() });
    caller.publish("orders", vec![broken.endpoint.clone()]);
    for (attempts, told) in [(2, "budget-exhausted"), (3, "budget-exhausted")] {
        let got = get(caller.outbound, "orders").await;
        assert_eq!((got.status, got.header("weft-error")), (502, "upstream-reset"));
        assert_eq!((broken.app.count(), got.header("weft-retry")), (attempts, told));
    }
}

#[tokio::test]
async fn an_application_that_dies_in_the_middle_of_its_answer_breaks_the_response_off() {
    use hyper::body::Frame;
    let app = App::start(|_| {
        Box::pin(async {
            let frames = tokio_stream::StreamExt::chain(
                tokio_stream::iter([Ok(Frame::data("part".into()))]),
                tokio_stream::pending(),
            );
            http::Response::new(http_body_util::StreamBody::new(frames).boxed())
        })
    })
    .await;
    let replica = Replica::http("orders", "1", app);
    let caller = Sidecar::calling("orders", &[&replica]);
    let io = tokio::net::TcpStream::connect(caller.outbound).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    let response =
        sender.send_request(request("GET", "orders").body(Full::<bytes::Bytes>::default()).unwrap()).await;
    let mut body = response.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "part");
    replica.app.kill();
    assert!(tokio::time::timeout(DEADLINE, body.frame()).await.unwrap().unwrap().is_err());
    until("counted by its name", || caller.scrape().contains(r#"error="upstream-reset"} 1"#)).await;
}

#[tokio::test]
async fn posts_are_served_without_a_failure_while_a_replica_drains() {
    let first = Replica::http("orders", "1", App::named("first").await);
    let second = Replica::http("orders", "2", App::named("second").await);
    let caller = Sidecar::calling("orders", &[&first, &second]);
    let outbound = caller.outbound;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let load = tokio::spawn(async move {
        let mut sent = 0;
        while !told.load(Ordering::SeqCst) {
            let got = post(outbound, "orders").await;
            assert_eq!(got.status, 200, "{:?}", got.headers);
            sent += 1;
        }
        sent
    });
    until("both are used", || first.app.count() > 10 && second.app.count() > 10).await;
    let threads = first.sidecar.threads.as_ref().unwrap();
    // The registry hears of it a moment after the drain has begun, the worst of both orders.
    threads.begin_drain();
    until("refuses to be kept", || second.app.count() > 20).await;
    caller.publish("orders", vec![second.endpoint.clone()]);
    tokio::time::timeout(DEADLINE, threads.drained()).await.unwrap();
    first.app.kill();
    let before = second.app.count();
    until("the other serves on", || second.app.count() > before + 10).await;
    stop.store(true, Ordering::SeqCst);
    let sent: usize = load.await.unwrap();
    assert_eq!(first.app.count() + second.app.count(), sent);
}

#[tokio::test]
async fn http2_posts_are_served_without_a_failure_while_a_replica_drains_and_dies() {
    let first = Replica::http("orders", "1", App::named("first").await);
    let second = Replica::http("orders", "2", App::named("second").await);
    let caller = Sidecar::calling("orders", &[&first, &second]);
    let io = hyper_util::rt::TokioIo::new(tokio::net::TcpStream::connect(caller.outbound).await.unwrap());
    let (sender, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    // Eight at a time on one connection, so that many streams are open when the replica asks to go.
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (mut sender, stop) = (sender.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut sent = 0;
                while !stop.load(Ordering::SeqCst) {
                    let post = http::Request::post("http://orders/")
                        .body(Full::<bytes::Bytes>::from("work"))
                        .unwrap();
                    let got = crate::mesh::collect(sender.send_request(post).await.unwrap()).await;
                    assert_eq!(got.status, 200, "{:?}", got.headers);
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    until("both are used", || first.app.count() > 50 && second.app.count() > 50).await;
    let Replica { app, mut sidecar, .. } = first;
    let threads = sidecar.threads.take().unwrap();
    threads.begin_drain();
    let before = second.app.count();
    until("the drain goes on", || second.app.count() > before + 50).await;
    caller.publish("orders", vec![second.endpoint.clone()]);
    tokio::time::timeout(DEADLINE, threads.drained()).await.unwrap();
    app.kill();
    tokio::time::timeout(DEADLINE, threads.shutdown()).await.unwrap();
    let before = second.app.count();
    until("the other serves on", || second.app.count() > before + 50).await;
    stop.store(true, Ordering::SeqCst);
    let mut sent = 0;
    for worker in workers {
        sent += worker.await.unwrap();
    }
    assert_eq!(app.count() + second.app.count(), sent);
}
