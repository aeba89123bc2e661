//! When a connection to an HTTP/2 upstream is used again, and when it makes room for another one.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use weft_model::policy::{LimitPolicy, Policy};
use weft_sidecar::config::SidecarConfig;

use crate::{
    edges::send_h2,
    mesh::{App, Sidecar, config, endpoint, text},
};

/// An unsafe request takes no connection that was idle for longer than a second.
const TOO_LONG: Duration = Duration::from_millis(1_100);

/// In front of one application, with at most one connection to it.
fn caller(app: &App) -> Sidecar {
    let limits = LimitPolicy { connections_per_endpoint: Some(1), ..LimitPolicy::default() };
    let policy = Policy { limits, ..Policy::default() };
    let caller = Sidecar::start(SidecarConfig { policy, ..config() });
    caller.publish("orders", vec![endpoint("orders", "1", app.address, None)]);
    caller
}

fn post() -> Request<Full<Bytes>> {
    Request::post("http://orders/").body(Full::from("work")).unwrap()
}

#[tokio::test]
async fn a_connection_is_idle_from_the_end_of_its_last_stream_on() {
    let app = App::start(|_| {
        Box::pin(async {
            tokio::time::sleep(TOO_LONG).await;
            text(StatusCode::OK, "slow")
        })
    })
    .await;
    let caller = caller(&app);
    for _ in 0..2 {
        assert_eq!(send_h2(caller.outbound, post()).await.status, 200);
    }
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn one_that_was_idle_for_too_long_makes_room_for_another() {
    let app = App::named("orders").await;
    let caller = caller(&app);
    assert_eq!(send_h2(caller.outbound, post()).await.status, 200);
    tokio::time::sleep(TOO_LONG).await;
    let second = send_h2(caller.outbound, post()).await;
    assert_eq!((second.status, second.header("weft-error")), (200, ""));
    assert_eq!(app.connections(), 2);
}
