//! Bodies that stand still once the response head is there.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};
use tokio_stream::StreamExt;
use weft_model::policy::{Policy, Timeouts};
use weft_sidecar::config::SidecarConfig;

use crate::mesh::{App, DEADLINE, Sidecar, config, endpoint, request, until};

/// Sends a chunk so many times, each after `pause`, and then nothing any more.
async fn stalling(chunks: usize, pause: Duration) -> App {
    App::start(move |_| {
        Box::pin(async move {
            let chunk = || Ok(Frame::data(Bytes::from_static(b"chunk")));
            let frames = tokio_stream::iter((0..chunks).map(move |_| chunk())).throttle(pause);
            Response::new(StreamBody::new(frames.chain(tokio_stream::pending())).boxed())
        })
    })
    .await
}

fn caller(app: &App) -> Sidecar {
    let timeouts = Timeouts { idle: Some(Duration::from_millis(600)), ..Timeouts::default() };
    let sidecar =
        Sidecar::start(SidecarConfig { policy: Policy { timeouts, ..Policy::default() }, ..config() });
    sidecar.publish("orders", vec![endpoint("orders", "1", app.address, None)]);
    sidecar
}

/// Chunks until the body breaks off, and the time since the last one.
async fn read(response: Response<Incoming>) -> (usize, Duration) {
    let mut body = response.into_body();
    let (mut chunks, mut last) = (0, Instant::now());
    while let Some(Ok(frame)) = timeout(DEADLINE, body.frame()).await.unwrap() {
        let has_data = frame.data_ref().is_some_and(|data| !data.is_empty());
        (chunks, last) = (chunks + usize::from(has_data), Instant::now());
    }
    (chunks, last.elapsed())
}

const NAMED: &str = r#"weft_requests_total{direction="outbound",service="orders.default",code_class="5xx",error="upstream-timeout"} 1"#;

#[tokio::test]
async fn a_response_that_stands_still_breaks_off_and_one_that_moves_does_not() {
    let app = stalling(6, Duration::from_millis(200)).await;
    let caller = caller(&app);
    let io = TokioIo::new(TcpStream::connect(caller.outbound).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let get = request("GET", "orders").body(Full::<Bytes>::default()).unwrap();
    let (chunks, still) = read(sender.send_request(get).await.unwrap()).await;
    assert_eq!(chunks, 6);
    assert!(still >= Duration::from_millis(500) && still < Duration::from_secs(5), "{still:?}");
    until("counted by its name", || caller.scrape().contains(NAMED)).await;
    assert!(caller.scrape().contains("weft_idle_timeouts_total{"));
}

#[tokio::test]
async fn a_grpc_stream_that_stands_still_is_reset() {
    let app = stalling(1, Duration::ZERO).await;
    let caller = caller(&app);
    let io = TokioIo::new(TcpStream::connect(caller.outbound).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let call = http::Request::post("http://orders/echo.Echo/Watch")
        .header("content-type", "application/grpc")
        .body(Full::<Bytes>::from("message"))
        .unwrap();
    assert_eq!(read(sender.send_request(call).await.unwrap()).await.0, 1);
    until("counted by its name", || caller.scrape().contains(NAMED)).await;
}

#[tokio::test]
async fn a_request_that_moves_keeps_its_silent_response_open() {
    let app = App::start(|request| {
        Box::pin(async move {
            let mut body = request.into_body();
            let (sender, receiver) = tokio::sync::mpsc::channel(1);
            tokio::spawn(async move {
                while let Some(Ok(_)) = body.frame().await {}
                let _ = sender.send(Ok(Frame::data(Bytes::from_static(b"all of it")))).await;
            });
            let frames = tokio_stream::wrappers::ReceiverStream::new(receiver);
            Response::builder().status(StatusCode::OK).body(StreamBody::new(frames).boxed()).unwrap()
        })
    })
    .await;
    let caller = caller(&app);
    let io = TokioIo::new(TcpStream::connect(caller.outbound).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let chunks = (0..8).map(|_| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(b"part"))));
    let upload = StreamBody::new(tokio_stream::iter(chunks).throttle(Duration::from_millis(250)));
    let call = http::Request::put("http://orders/").body(upload.boxed()).unwrap();
    assert_eq!(read(sender.send_request(call).await.unwrap()).await.0, 1);
}
