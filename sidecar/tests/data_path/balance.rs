//! Who gets a call, as a policy of its service says, and for how long a connection is used.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use weft_model::{
    endpoint::{Endpoint, Protocol},
    policy::{Balance, BalancePolicy, HashKey, Policy, ZonePolicy, patch::PolicyPatch},
    traffic::{Item, Origin, Spec, Traffic},
};
use weft_sidecar::{config::SidecarConfig, table::ServiceState};

use crate::mesh::{
    App, DEADLINE, Got, Replica, Sidecar, collect, config, endpoint, get, hosting, request, send, text,
};

/// Long enough that nothing else ends a connection, short enough to wait for.
const AGE: Duration = Duration::from_millis(300);

/// What a ServicePolicy with this balancing says.
fn traffic(balance: BalancePolicy) -> Arc<Traffic> {
    let origin = Origin {
        created_ms: 1,
        namespace: "default".into(),
        name: "orders".into(),
        kind: "ServicePolicy".into(),
        generation: 1,
    };
    let patch = PolicyPatch { balance: Some(balance), ..PolicyPatch::default() };
    Arc::new(Traffic::new(vec![Item { origin, spec: Spec::Policy(Box::new(patch)) }]))
}

fn publish(caller: &Sidecar, endpoints: Vec<Endpoint>, balance: BalancePolicy) {
    let state = ServiceState { endpoints, traffic: traffic(balance) };
    caller.publisher.update([("orders".parse().unwrap(), Some(state))]);
}

async fn fleet(names: [&'static str; 3]) -> Vec<App> {
    let mut apps = Vec::new();
    for name in names {
        apps.push(App::named(name).await);
    }
    apps
}

fn bare(apps: &[App]) -> Vec<Endpoint> {
    apps.iter().zip(["1", "2", "3"]).map(|(app, id)| endpoint("orders", id, app.address, None)).collect()
}

async fn body_of(caller: &Sidecar, user: &str) -> Bytes {
    let request = request("GET", "orders").header("x-user", user);
    send(caller.outbound, request.body(Full::default()).unwrap()).await.body
}

async fn http2(to: std::net::SocketAddr) -> SendRequest<Full<Bytes>> {
    let io = TokioIo::new(TcpStream::connect(to).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>) -> Option<Got> {
    let request = Request::builder().uri("http://orders/").body(Full::default()).unwrap();
    sender.ready().await.ok()?;
    Some(collect(tokio::time::timeout(DEADLINE, sender.send_request(request)).await.unwrap().ok()?).await)
}

#[tokio::test]
async fn a_key_stays_with_its_endpoint_and_comes_back_to_it() {
    for algorithm in [Balance::RingHash, Balance::Maglev] {
        let apps = fleet(["a", "b", "c"]).await;
        let caller = Sidecar::start(config());
        let balance = BalancePolicy {
            algorithm: algorithm(HashKey::Header("x-user".into())),
            ..BalancePolicy::default()
        };
        publish(&caller, bare(&apps), balance.clone());
        let users = ["ada", "bob", "cyd", "dot", "eve", "fay", "gus", "hal", "ivy", "joe", "kim", "lou"];
        let mut owners = Vec::new();
        for user in users {
            owners.push(body_of(&caller, user).await);
            assert_eq!(body_of(&caller, user).await, owners[owners.len() - 1]);
        }
        let found: BTreeSet<_> = owners.iter().cloned().collect();
        assert_eq!(found.len(), 3, "all have keys: {owners:?}");
        // One goes: its keys move, the others do not; it comes back, and so do they.
        publish(&caller, bare(&apps)[..2].to_vec(), balance.clone());
        for (user, owner) in users.iter().zip(&owners) {
            let now = body_of(&caller, user).await;
            assert!(now == *owner || &owner[..] == b"c", "{user} moved from {owner:?} to {now:?}");
        }
        publish(&caller, bare(&apps), balance);
        for (user, owner) in users.iter().zip(&owners) {
            assert_eq!(&body_of(&caller, user).await, owner);
        }
    }
}

#[tokio::test]
async fn calls_stay_in_the_callers_zone_and_leave_it_when_nobody_is_there() {
    let apps = fleet(["near", "far", "farther"]).await;
    let caller = Sidecar::start(SidecarConfig { zone: "eu-1".into(), ..config() });
    let mut endpoints = bare(&apps);
    for (endpoint, zone) in endpoints.iter_mut().zip(["eu-1", "eu-2", "us"]) {
        endpoint.zone = zone.into();
    }
    let balance =
        BalancePolicy { zone: ZonePolicy::Prefer { spill_percent: 70 }, ..BalancePolicy::default() };
    publish(&caller, endpoints.clone(), balance.clone());
    for _ in 0..20 {
        assert_eq!(&get(caller.outbound, "orders").await.body[..], b"near");
    }
    // Its connections are refused: ejected, and the others take over without a failure.
    apps[0].kill();
    for _ in 0..20 {
        assert_eq!(get(caller.outbound, "orders").await.status, 200);
    }
    assert!(apps[1].count() > 0 && apps[2].count() > 0);
}

#[tokio::test]
async fn a_subset_without_an_endpoint_is_an_error_with_a_name() {
    let apps = fleet(["a", "b", "c"]).await;
    let caller = Sidecar::start(config());
    let mut endpoints = bare(&apps);
    endpoints[1].tags = vec!["v2".into()];
    let subset = |tag: &str| BalancePolicy { subset: vec![tag.into()], ..BalancePolicy::default() };
    publish(&caller, endpoints.clone(), subset("v2"));
    for _ in 0..10 {
        assert_eq!(&get(caller.outbound, "orders").await.body[..], b"b");
    }
    publish(&caller, endpoints, subset("v3"));
    let got = get(caller.outbound, "orders").await;
    assert_eq!((got.status, got.header("weft-error")), (503, "no-healthy-endpoint"));
}

#[tokio::test]
async fn http2_calls_reach_a_replica_that_was_added_later() {
    let (old, new) = (App::named("old").await, App::named("new").await);
    let old = Replica::start("orders", "1", old, Protocol::Http2);
    let new = Replica::start("orders", "2", new, Protocol::Http2);
    let caller = Sidecar::calling("orders", &[&old]);
    let mut client = http2(caller.outbound).await;
    for _ in 0..20 {
        assert_eq!(&ask(&mut client).await.unwrap().body[..], b"old");
    }
    caller.publish("orders", vec![old.endpoint.clone(), new.endpoint.clone()]);
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { ask(&mut client).await.unwrap().body })
        })
        .collect();
    let mut spread = [0, 0];
    for call in calls {
        spread[usize::from(&call.await.unwrap()[..] == b"new")] += 1;
    }
    assert!(spread.iter().all(|got| *got > 10), "one connection, two replicas: {spread:?}");
}

#[tokio::test]
async fn a_bare_http2_client_is_asked_to_connect_anew_and_nothing_of_its_fails() {
    let app = App::start(|_| {
        Box::pin(async {
            tokio::time::sleep(2 * AGE).await;
            text(StatusCode::OK, "late")
        })
    })
    .await;
    let config =
        SidecarConfig { connection_age_max: Some(AGE), ..hosting("orders", app.address, Protocol::Http2) };
    let replica = Sidecar::start(config);
    let mut client = http2(replica.inbound).await;
    // Begun before the age is over, answered after it.
    assert_eq!(&ask(&mut client).await.unwrap().body[..], b"late");
    assert!(ask(&mut client).await.is_none(), "the connection takes no more");
    assert_eq!(&ask(&mut http2(replica.inbound).await).await.unwrap().body[..], b"late");
}

#[tokio::test]
async fn a_bare_http1_client_hears_close_once_its_connection_is_old() {
    let app = App::named("orders").await;
    let config =
        SidecarConfig { connection_age_max: Some(AGE), ..hosting("orders", app.address, Protocol::Http) };
    let replica = Sidecar::start(config);
    let io = TokioIo::new(TcpStream::connect(replica.inbound).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let begun = tokio::time::Instant::now();
    loop {
        let request = request("GET", "orders").body(Full::<Bytes>::default()).unwrap();
        sender.ready().await.unwrap();
        let got = collect(sender.send_request(request).await.unwrap()).await;
        assert_eq!(got.status, 200);
        if got.header("connection") == "close" {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "never told to close");
    }
    assert!(begun.elapsed() >= AGE * 9 / 10, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_old_connection_of_the_pool_gets_no_new_request() {
    for is_http2 in [false, true] {
        let app = App::named("orders").await;
        let mut policy = Policy::default();
        policy.balance.connection_age_max = Some(AGE);
        let caller = Sidecar::start(SidecarConfig { policy, ..config() });
        caller.publish("orders", vec![endpoint("orders", "1", app.address, None)]);
        let begun = tokio::time::Instant::now();
        let mut client = http2(caller.outbound).await;
        while begun.elapsed() < 4 * AGE {
            if is_http2 {
                assert_eq!(ask(&mut client).await.unwrap().status, 200);
            } else {
                assert_eq!(get(caller.outbound, "orders").await.status, 200);
            }
        }
        let made = app.connections();
        assert!((3..=6).contains(&made), "{made} connections in four ages (http/2: {is_http2})");
    }
}
