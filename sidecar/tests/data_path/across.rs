//! What travels through an application by its trace: deadlines, request ids, retries that were spent; and calls
//! that go round in circles.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use http::{HeaderMap, StatusCode};
use http_body_util::Full;
use weft_model::{endpoint::Protocol, policy::Policy};
use weft_sidecar::config::SidecarConfig;

use crate::{
    edges::in_flight,
    mesh::{App, BREAK, Replica, Sidecar, config, endpoint, hosting, request, send, text},
};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const CHILD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01";

/// Where a front's own sidecar takes its calls; known once that has started.
type Outbound = Arc<OnceLock<SocketAddr>>;

/// An application that asks `orders` through its own sidecar, with these headers of its own, and passes the
/// status on.
async fn front(outbound: &Outbound, headers: &'static [(&'static str, &'static str)]) -> App {
    let outbound = Arc::clone(outbound);
    App::start(move |_| {
        let outbound = *outbound.get().unwrap();
        Box::pin(async move {
            let mut call = request("GET", "orders");
            for (name, value) in headers {
                call = call.header(*name, *value);
            }
            let got = send(outbound, call.body(Full::default()).unwrap()).await;
            text(StatusCode::from_u16(got.status).unwrap(), got.header("weft-error").to_owned())
        })
    })
    .await
}

/// A front with its sidecar, which knows `orders` at this application.
async fn front_of(orders: &App, headers: &'static [(&'static str, &'static str)], policy: Policy) -> Replica {
    let outbound = Outbound::default();
    let app = front(&outbound, headers).await;
    let sidecar = Sidecar::start(SidecarConfig { policy, ..hosting("front", app.address, Protocol::Http) });
    outbound.set(sidecar.outbound).unwrap();
    sidecar.publish("orders", vec![endpoint("orders", "1", orders.address, None)]);
    let endpoint = endpoint("front", "1", app.address, Some(sidecar.inbound));
    Replica { app, sidecar, endpoint }
}

/// Keeps the headers of the last request, and answers.
async fn remembering(seen: &Arc<Mutex<HeaderMap>>) -> App {
    let seen = Arc::clone(seen);
    App::start(move |request| {
        *seen.lock().unwrap() = request.headers().clone();
        Box::pin(async { text(StatusCode::OK, "ok") })
    })
    .await
}

async fn hanging() -> App {
    App::start(|_| Box::pin(std::future::pending())).await
}

#[tokio::test]
async fn a_deadline_goes_through_an_application_by_its_trace_and_only_by_it() {
    let orders = hanging().await;
    let policy = || Policy {
        timeouts: weft_model::policy::Timeouts { total: Some(Duration::from_secs(3)), ..Default::default() },
        ..Policy::default()
    };
    // The caller goes when its time is over, and what was done for it is cancelled: now and then before the inner call
    // has seen that its own time, the same, is over. So it has some tries.
    for (headers, tries, inherits) in [(&[("traceparent", CHILD)][..], 5, true), (&[][..], 1, false)] {
        let mut has_ended = false;
        for _ in 0..tries {
            has_ended |= inner_call_ends_with_its_caller(&orders, headers, policy()).await;
            if has_ended {
                break;
            }
        }
        assert_eq!(has_ended, inherits);
    }
}

/// Whether the call that a front makes for one with 400 ms ends `deadline-exceeded` when those are over.
async fn inner_call_ends_with_its_caller(
    orders: &App,
    headers: &'static [(&'static str, &'static str)],
    policy: Policy,
) -> bool {
    let front = front_of(orders, headers, policy).await;
    let caller = Sidecar::calling("front", &[&front]);
    let call = request("GET", "front").header("traceparent", TRACE).header("weft-deadline", "400");
    let got = send(caller.outbound, call.body(Full::default()).unwrap()).await;
    assert_eq!((got.status, got.header("weft-error")), (504, "deadline-exceeded"));
    // What the front's own call came to is in its sidecar's metrics, once nothing is under way.
    crate::mesh::until("the inner call ends", || in_flight(&front.sidecar, "orders") == 0).await;
    let named = r#"weft_requests_total{direction="outbound",service="orders.default",code_class="5xx",error="deadline-exceeded"} 1"#;
    front.sidecar.scrape().contains(named)
}

#[tokio::test]
async fn a_request_id_goes_through_an_application_by_its_trace() {
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let orders = Replica::http("orders", "1", remembering(&seen).await);
    let front = front_of(&orders.app, &[("traceparent", CHILD)], Policy::default()).await;
    front.sidecar.publish("orders", vec![orders.endpoint.clone()]);
    let caller = Sidecar::calling("front", &[&front]);
    let call = request("GET", "front").header("traceparent", TRACE).header("x-request-id", "mine");
    assert_eq!(send(caller.outbound, call.body(Full::default()).unwrap()).await.status, 200);
    let seen = seen.lock().unwrap();
    assert_eq!(
        (&seen["x-request-id"], &seen["weft-hops"]),
        (&"mine".parse().unwrap(), &"2".parse().unwrap())
    );
}

#[tokio::test]
async fn retries_that_were_spent_further_on_are_not_spent_again() {
    let broken = App::start(|_| Box::pin(async { text(BREAK, "") })).await;
    let mut policy = Policy::default();
    policy.retry.on.statuses = vec![502];
    for (headers, attempts) in [(&[("traceparent", CHILD)][..], 3), (&[][..], 9)] {
        let front = front_of(&broken, headers, policy.clone()).await;
        let caller = Sidecar::start(SidecarConfig { policy: policy.clone(), ..config() });
        caller.publish("front", vec![front.endpoint.clone()]);
        let before = broken.count();
        let call = request("GET", "front").header("traceparent", TRACE).body(Full::default()).unwrap();
        let got = send(caller.outbound, call).await;
        assert_eq!(got.status, 502);
        assert_eq!(broken.count() - before, attempts, "{headers:?}");
        assert_eq!(got.header("weft-retried"), if headers.is_empty() { "" } else { "2" });
    }
}

#[tokio::test]
async fn calls_that_go_round_in_circles_are_refused() {
    for headers in [&[("traceparent", CHILD)][..], &[]] {
        let outbound = Outbound::default();
        let (next, forwards_all) = (Arc::clone(&outbound), headers.is_empty());
        // Asks itself.
        let app = App::start(move |incoming| {
            let outbound = *next.get().unwrap();
            Box::pin(async move {
                let mut call = request("GET", "front");
                for (name, value) in headers {
                    call = call.header(*name, *value);
                }
                for (name, value) in incoming.headers() {
                    let is_forwarded =
                        forwards_all && name.as_str() != "host" && name.as_str() != "connection";
                    call = if is_forwarded { call.header(name, value) } else { call };
                }
                let got = send(outbound, call.body(Full::default()).unwrap()).await;
                let mut answer = text(StatusCode::from_u16(got.status).unwrap(), "");
                let name = got.header("weft-error").to_owned();
                answer.headers_mut().insert("x-inner-error", name.parse().unwrap());
                if let Some(inner) = got.headers.get("x-inner-error").filter(|inner| !inner.is_empty()) {
                    answer.headers_mut().insert("x-inner-error", inner.clone());
                }
                answer
            })
        })
        .await;
        let sidecar = Sidecar::start(hosting("front", app.address, Protocol::Http));
        outbound.set(sidecar.outbound).unwrap();
        sidecar.publish("front", vec![endpoint("front", "1", app.address, Some(sidecar.inbound))]);
        let call = request("GET", "front").header("traceparent", TRACE).header("x-request-id", "1");
        let got = send(sidecar.outbound, call.body(Full::default()).unwrap()).await;
        assert_eq!((got.status, got.header("x-inner-error")), (508, "loop-detected"));
        assert!(app.count() <= 33, "{}", app.count());
    }
}
