//! Probes against real listeners on loopback.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

/// Answers one request with `answer`; its address, and the request's text when it was answered.
async fn answering(answer: String) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let read = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.ok();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    (address, served)
}

fn http(address: &str) -> Probe {
    Probe::Http {
        url: format!("http://{address}/health?deep=1"),
        method: String::new(),
        headers: vec![("x-check".to_owned(), "yes".to_owned())],
    }
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn http_is_judged_by_its_status_as_consul_does() {
    for (status, passes, warns) in [
        ("200 OK", true, false),
        ("204 No Content", true, false),
        ("429 Too Many Requests", false, true),
        ("302 Found", false, false),
        ("503 Service Unavailable", false, false),
    ] {
        let (address, served) = answering(answer(status, "")).await;
        let result = run(&http(&address), LIMIT).await;
        assert_eq!(matches!(result, ProbeResult::Pass(_)), passes, "{status}: {result:?}");
        assert_eq!(matches!(result, ProbeResult::Warn(_)), warns, "{status}: {result:?}");
        let request = served.await.unwrap();
        assert!(request.starts_with("GET /health?deep=1 HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains(&format!("host: {address}")) && request.contains("x-check: yes"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_body_is_part_of_the_output_and_an_endless_one_does_no_harm() {
    let (address, _served) = answering(answer("200 OK", "all is well")).await;
    let ProbeResult::Pass(output) = run(&http(&address), LIMIT).await else { panic!("passes") };
    assert!(output.ends_with("200 OK Output: all is well"), "{output}");
    let (address, _served) = answering(answer("200 OK", &"x".repeat(1 << 20))).await;
    assert!(matches!(run(&http(&address), LIMIT).await, ProbeResult::Pass(_)));
}

#[tokio::test]
async fn silence_a_closed_port_and_nonsense_fail_with_the_reason() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let result = run(&http(&address), Duration::from_millis(50)).await;
    assert_eq!(result, ProbeResult::Fail("no answer within 50ms".to_owned()));
    drop(silent);
    for probe in [http(&address), Probe::Tcp { address: address.clone() }] {
        let ProbeResult::Fail(reason) = run(&probe, LIMIT).await else { panic!("fails") };
        assert!(reason.starts_with(&format!("cannot connect to {address}: ")), "{reason}");
    }
    let (address, _served) = answering("* nonsense *\r\n\r\n".to_owned()).await;
    let ProbeResult::Fail(reason) = run(&http(&address), LIMIT).await else { panic!("fails") };
    assert!(reason.starts_with("no HTTP answer"), "{reason}");
    let https = Probe::Http { url: "https://a/".to_owned(), method: String::new(), headers: vec![] };
    assert!(matches!(run(&https, LIMIT).await, ProbeResult::Fail(reason) if reason.contains("must be http")));
}

#[tokio::test]
async fn an_accepted_connection_passes_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let result = run(&Probe::Tcp { address: address.clone() }, LIMIT).await;
    assert_eq!(result, ProbeResult::Pass(format!("TCP connect {address}: success")));
}

#[tokio::test]
async fn grpc_health_passes_only_when_serving() {
    let (reporter, service) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let server = tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, async move { stopped.cancelled().await }),
    );
    let probe = |service: &str| Probe::Grpc { address: address.clone(), service: service.to_owned() };
    reporter.set_service_status("orders", tonic_health::ServingStatus::Serving).await;
    assert!(matches!(run(&probe("orders"), LIMIT).await, ProbeResult::Pass(_)));
    reporter.set_service_status("orders", tonic_health::ServingStatus::NotServing).await;
    let ProbeResult::Fail(output) = run(&probe("orders"), LIMIT).await else { panic!("fails") };
    assert!(output.ends_with("NOT_SERVING"), "{output}");
    let ProbeResult::Fail(output) = run(&probe("nobody"), LIMIT).await else { panic!("fails") };
    assert!(output.starts_with("gRPC health: "), "{output}");
    stop.cancel();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_runner_probes_again_and_again_until_it_is_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut spec = CheckSpec::new(Probe::Tcp { address });
    spec.interval = Duration::from_millis(10);
    let (results, mut received) = mpsc::channel(8);
    let runner = Runner::new(spec).with_permits(Arc::new(Semaphore::new(1)));
    let task = tokio::spawn(runner.run(move |result| {
        let results = results.clone();
        async move { drop(results.send(result).await) }
    }));
    for _ in 0..3 {
        assert!(matches!(received.recv().await, Some(ProbeResult::Pass(_))));
    }
    task.abort();
    while received.recv().await.is_some() {}
}
