//! HTTP/1, HTTP/2 and gRPC through two sidecars, when nothing fails.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use weft_sidecar::config::AccessLog;

use crate::mesh::{App, Replica, Sidecar, config, endpoint, get, post, request, send, text, until};

#[tokio::test]
async fn a_call_by_any_form_of_its_name_reaches_the_application() {
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let caller = Sidecar::calling("orders", &[&replica]);
    for host in ["orders", "orders.default", "Orders.default.mesh:8080"] {
        let got = get(caller.outbound, host).await;
        assert_eq!((got.status, &got.body[..]), (200, &b"orders"[..]), "{host}");
    }
    let proxied =
        Request::get("http://orders.default/a").header("host", "orders").body(Full::default()).unwrap();
    assert_eq!(send(caller.outbound, proxied).await.status, 200);
    assert_eq!(replica.app.count(), 4);
}

#[tokio::test]
async fn an_application_without_a_sidecar_is_called_plainly() {
    let app = App::start(|request| {
        let is_plain = request.headers().get("host").is_some_and(|host| host == "orders");
        Box::pin(async move { text(StatusCode::OK, format!("{is_plain}")) })
    })
    .await;
    let caller = Sidecar::start(config());
    caller.publish("orders", vec![endpoint("orders", "1", app.address, None)]);
    assert_eq!(&get(caller.outbound, "orders").await.body[..], b"true");
}

#[tokio::test]
async fn headers_for_one_hop_do_not_travel_and_only_weft_names_failures() {
    let app = App::start(|request| {
        let headers = request.headers();
        let stayed = ["x-hop", "connection", "keep-alive", "weft-error"]
            .iter()
            .any(|name| headers.contains_key(*name));
        Box::pin(async move {
            let mut response = text(StatusCode::SERVICE_UNAVAILABLE, format!("{stayed}"));
            response.headers_mut().insert("weft-error", "connect-failed".parse().unwrap());
            response
        })
    })
    .await;
    let replica = Replica::http("orders", "1", app);
    let caller = Sidecar::calling("orders", &[&replica]);
    let request =
        request("GET", "orders").header("connection", "x-hop").header("x-hop", "1").header("weft-error", "x");
    let got = send(caller.outbound, request.body(Full::default()).unwrap()).await;
    assert_eq!((got.status, got.header("weft-error"), &got.body[..]), (503, "", &b"false"[..]));
    assert_eq!(replica.app.count(), 1, "an application's own answer is not retried");
}

#[tokio::test]
async fn names_outside_the_mesh_are_refused_by_host_and_forwarded_by_absolute_uri() {
    let outside = App::named("outside").await;
    let caller = Sidecar::start(config());
    let got = get(caller.outbound, "nowhere").await;
    assert_eq!((got.status, got.header("weft-error")), (404, "no-route"));
    let uri = format!("http://{}/x", outside.address);
    let got =
        send(caller.outbound, Request::get(uri).header("host", "outside").body(Full::default()).unwrap())
            .await;
    assert_eq!(&got.body[..], b"outside");
}

#[tokio::test]
async fn bodies_of_any_length_pass_both_ways() {
    let app = App::start(|request| {
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            text(StatusCode::OK, body)
        })
    })
    .await;
    let replica = Replica::http("orders", "1", app);
    let caller = Sidecar::calling("orders", &[&replica]);
    for length in [0, 1, 64 * 1024, 64 * 1024 + 1, 3_000_000] {
        let body: Bytes = (0..=250).cycle().take(length).collect::<Vec<u8>>().into();
        let sent = request("POST", "orders").body(Full::new(body.clone())).unwrap();
        let got = send(caller.outbound, sent).await;
        assert!(got.status == 200 && got.body == body, "{length}");
    }
}

#[tokio::test]
async fn a_head_keeps_its_content_length() {
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let caller = Sidecar::calling("orders", &[&replica]);
    let got = send(caller.outbound, request("HEAD", "orders").body(Full::default()).unwrap()).await;
    assert_eq!((got.status, got.header("content-length"), got.body.len()), (200, "6", 0));
}

#[tokio::test]
async fn trailers_of_a_chunked_response_arrive() {
    let app = App::start(|_| {
        Box::pin(async {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("x-sum", "7".parse().unwrap());
            let frames = [Ok(Frame::data(Bytes::from("a"))), Ok(Frame::trailers(trailers))];
            let body = StreamBody::new(tokio_stream::iter(frames)).boxed();
            Response::builder().header("trailer", "x-sum").body(body).unwrap()
        })
    })
    .await;
    let replica = Replica::http("orders", "1", app);
    let caller = Sidecar::calling("orders", &[&replica]);
    let got = send(
        caller.outbound,
        request("GET", "orders").header("te", "trailers").body(Full::default()).unwrap(),
    )
    .await;
    assert_eq!(got.trailers.unwrap()["x-sum"], "7");
}

#[tokio::test]
async fn a_grpc_stream_flows_both_ways_at_once_and_ends_with_its_trailers() {
    let app = App::start(|request| {
        Box::pin(async move {
            assert_eq!(request.headers()["te"], "trailers");
            let mut body = request.into_body();
            let (frames, answer) = mpsc::channel(1);
            tokio::spawn(async move {
                while let Some(Ok(frame)) = body.frame().await {
                    if let Ok(data) = frame.into_data() {
                        frames.send(Ok(Frame::data(data))).await.unwrap();
                    }
                }
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", "0".parse().unwrap());
                frames.send(Ok(Frame::trailers(trailers))).await.unwrap();
            });
            let body = StreamBody::new(ReceiverStream::new(answer)).boxed();
            Response::builder().header("content-type", "application/grpc").body(body).unwrap()
        })
    })
    .await;
    let replica = Replica::http("echo", "1", app);
    let caller = Sidecar::calling("echo", &[&replica]);
    let io = TokioIo::new(TcpStream::connect(caller.outbound).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let (frames, sent) = mpsc::channel::<Bytes>(1);
    let body = StreamBody::new(
        ReceiverStream::new(sent).map(|data| Ok::<_, std::convert::Infallible>(Frame::data(data))),
    );
    let request = Request::post("http://echo/Echo/Stream")
        .header("te", "trailers")
        .header("content-type", "application/grpc");
    let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
    let mut answer = response.into_body();
    for word in ["one", "two", "three"] {
        frames.send(word.into()).await.unwrap();
        let frame = answer.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), word, "each message is answered before the next is sent");
    }
    drop(frames);
    let trailers = answer.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test]
async fn a_grpc_caller_gets_a_made_up_error_as_a_trailers_only_response() {
    let caller = Sidecar::start(config());
    let request = request("POST", "nowhere").header("content-type", "application/grpc");
    let got = send(caller.outbound, request.body(Full::default()).unwrap()).await;
    assert_eq!((got.status, got.header("grpc-status"), got.header("weft-error")), (200, "12", "no-route"));
}

#[tokio::test]
async fn each_call_leaves_one_record_on_each_side_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let caller = Sidecar::start(weft_sidecar::config::SidecarConfig {
        access_log: AccessLog::File(path.clone()),
        ..config()
    });
    caller.publish("orders", vec![replica.endpoint.clone()]);
    post(caller.outbound, "orders").await;
    get(caller.outbound, "nowhere").await;
    let lines = || std::fs::read_to_string(&path).unwrap_or_default();
    until("two records", || lines().lines().count() == 2).await;
    let records: Vec<serde_json::Value> =
        lines().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records[0]["service"], "orders.default");
    assert_eq!(records[0]["endpoint"], "node/1");
    assert_eq!((&records[0]["method"], &records[0]["status"]), (&"POST".into(), &200.into()));
    assert_eq!((&records[0]["received_bytes"], &records[0]["sent_bytes"]), (&4.into(), &6.into()));
    assert_eq!(records[1]["weft-error"], "no-route");
    let metrics = caller.scrape();
    assert!(metrics.contains(r#"weft_requests_total{direction="outbound",service="orders.default",code_class="2xx",error=""} 1"#), "{metrics}");
    assert!(metrics.contains(r#"code_class="4xx",error="no-route"} 1"#), "{metrics}");
    assert!(
        metrics.contains(r#"weft_endpoint_requests_total{service="orders.default",endpoint="node/1"} 1"#),
        "{metrics}"
    );
    assert!(replica.sidecar.scrape().contains(
        r#"weft_requests_total{direction="inbound",service="orders.default",code_class="2xx",error=""} 1"#
    ));
}
