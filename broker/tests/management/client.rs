//! A broker on a free port with its data in a directory of its own, and the requests of a client.

use std::{net::TcpListener, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_broker::{
    server::{Broker, BrokerConfig, VhostHandle, Watermarks},
    vhost::VhostLimits,
};

/// A broker that ends on a thread that may block.
struct Running(Option<Broker>);

impl Running {
    fn stop(&mut self) {
        if let Some(broker) = self.0.take() {
            std::thread::spawn(move || broker.stop()).join().expect("it stops");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A broker, and where it is.
pub(crate) struct Api {
    /// Before its directory.
    broker: Running,
    data: tempfile::TempDir,
    http: std::net::SocketAddr,
    amqp: std::net::SocketAddr,
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).expect("the body is text")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket that does not block");
    listener
}

fn run(data_dir: &Path) -> (Broker, std::net::SocketAddr, std::net::SocketAddr) {
    let (amqp, management) = (listen(), listen());
    let addresses = (management.local_addr().expect("bound"), amqp.local_addr().expect("bound"));
    let config = BrokerConfig {
        data_dir: data_dir.to_owned(),
        amqp,
        management: Some(management),
        node: "weft@test".to_owned(),
        version: "0.0.0".to_owned(),
        limits: VhostLimits::default(),
        watermarks: Watermarks { memory_bytes: u64::MAX, disk_free_bytes: 0 },
    };
    (Broker::start(config).expect("the broker starts"), addresses.0, addresses.1)
}

impl Api {
    pub(crate) async fn start() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        Self::over(data).await
    }

    async fn over(data: tempfile::TempDir) -> Self {
        let path = data.path().to_owned();
        let started = tokio::task::spawn_blocking(move || run(&path)).await;
        let (broker, http, amqp) = started.expect("the broker starts");
        Self { broker: Running(Some(broker)), data, http, amqp }
    }

    /// The same directory in a new broker.
    pub(crate) async fn restart(mut self) -> Self {
        self.broker.stop();
        Self::over(self.data).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.as_guest("GET", path, Bytes::new(), None).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.ask("PUT", path, body).await
    }

    pub(crate) async fn put_text(&self, path: &str, body: &'static str) -> Reply {
        self.as_guest("PUT", path, Bytes::from_static(body.as_bytes()), None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.as_guest("DELETE", path, Bytes::new(), None).await
    }

    pub(crate) async fn delete_because(&self, path: &str, reason: &str) -> Reply {
        self.as_guest("DELETE", path, Bytes::new(), Some(reason)).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Reply {
        self.as_guest(method, path, Bytes::from(body.to_string()), None).await
    }

    /// As a user whose password is `p`, with an empty object.
    pub(crate) async fn by(&self, user: &str, method: &str, path: &str) -> Reply {
        self.with(user, "p", method, path).await
    }

    pub(crate) async fn with(&self, user: &str, password: &str, method: &str, path: &str) -> Reply {
        let request = request(method, path).header("authorization", basic(user, password));
        self.send(request, Bytes::from_static(b"{}")).await
    }

    pub(crate) async fn as_nobody(&self, method: &str, path: &str) -> Reply {
        self.send(request(method, path), Bytes::new()).await
    }

    async fn as_guest(&self, method: &str, path: &str, body: Bytes, reason: Option<&str>) -> Reply {
        let mut request = request(method, path).header("authorization", basic("guest", "guest"));
        if let Some(reason) = reason {
            request = request.header("x-reason", reason);
        }
        self.send(request, body).await
    }

    pub(crate) async fn publish(&self, exchange: &str, routing_key: &str, payload: &str) {
        let publish = json!({"routing_key": routing_key, "payload": payload, "payload_encoding": "string"});
        let path = format!("/api/exchanges/%2F/{exchange}/publish");
        assert_eq!(self.ask("POST", &path, publish).await.json(), json!({"routed": true}));
    }

    /// Takes one message from a queue.
    pub(crate) async fn take(&self, queue: &str, ackmode: &str) -> Value {
        let get = json!({"count": 1, "ackmode": ackmode, "encoding": "auto"});
        self.ask("POST", &format!("/api/queues/%2F/{queue}/get"), get).await.json()
    }

    /// Asks until the answer is as it should be.
    pub(crate) async fn eventually(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let until = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            let value = self.get(path).await.json();
            if is_so(&value) {
                return value;
            }
            assert!(tokio::time::Instant::now() < until, "{path} stays {value}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn send(&self, request: http::request::Builder, body: Bytes) -> Reply {
        let socket = TcpStream::connect(self.http).await.expect("the API listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.expect("HTTP/1.1");
        let connection = tokio::spawn(connection);
        let request = request.body(Full::new(body)).expect("a request");
        let response = sender.send_request(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        connection.abort();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// An AMQP client that has logged in, and says nothing more.
    pub(crate) async fn amqp(&self) -> Amqp {
        self.amqp_as("guest", "guest").await
    }

    /// The same for another user.
    pub(crate) async fn amqp_as(&self, user: &str, password: &str) -> Amqp {
        Amqp::open(self.amqp, user, password).await
    }

    /// A user with this tag, whose password is `p`.
    pub(crate) async fn add_user(&self, user: &str, tag: &str) {
        let added = self.put(&format!("/api/users/{user}"), json!({"password": "p", "tags": tag})).await;
        assert_eq!(added.status, 201, "{user}");
    }

    /// A virtual host from inside.
    pub(crate) fn vhost(&self, name: &str) -> VhostHandle {
        let broker = self.broker.0.as_ref().expect("it runs");
        broker.shared().vhost(name).expect("there is such a virtual host")
    }

    /// The first bytes of the answer to a request of which the head alone is sent.
    pub(crate) async fn answer_to_head(&self, user: &str, line: &str, length: usize) -> String {
        let mut socket = TcpStream::connect(self.http).await.expect("the API listens");
        let login = basic(user, "p");
        let head = format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {login}\r\nContent-Length: {length}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.expect("it reads");
        let mut answer = vec![0; 64];
        let count = socket.read(&mut answer).await.expect("it answers");
        answer.truncate(count);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn request(method: &str, path: &str) -> http::request::Builder {
    http::Request::builder().method(method).uri(path).header("host", "localhost")
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A component of a path.
pub(crate) fn encode(component: &str) -> String {
    component.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The bytes of an AMQP client.
pub(crate) struct Amqp {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Amqp {
    async fn open(address: std::net::SocketAddr, user: &str, password: &str) -> Self {
        let socket = TcpStream::connect(address).await.expect("the broker listens");
        let mut client = Self { socket, read: Vec::new() };
        client.write(b"AMQP\x00\x00\x09\x01").await;
        client.until(b"PLAIN").await;
        // connection.start-ok: no properties, PLAIN, user and password, en_US.
        let login = format!("\0{user}\0{password}");
        let mut start_ok = vec![0, 10, 0, 11, 0, 0, 0, 0, 5];
        start_ok.extend_from_slice(b"PLAIN");
        start_ok.extend_from_slice(&u32::try_from(login.len()).expect("short").to_be_bytes());
        start_ok.extend_from_slice(login.as_bytes());
        start_ok.extend_from_slice(b"\x05en_US");
        client.method(&start_ok).await;
        client.until(&[0, 10, 0, 30]).await;
        // connection.tune-ok: 10 channels, frames of 128 KiB, no heartbeat; connection.open of `/`.
        client.method(&[0, 10, 0, 31, 0, 10, 0, 2, 0, 0, 0, 0]).await;
        client.method(&[0, 10, 0, 40, 1, b'/', 0, 0]).await;
        client.until(&[0, 10, 0, 41]).await;
        client
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.expect("the broker reads");
    }

    async fn method(&mut self, payload: &[u8]) {
        self.method_on(0, payload).await;
    }

    /// Consumes from a queue with a channel of its own.
    pub(crate) async fn consume(&mut self, queue: &str) {
        self.method_on(1, &[0, 20, 0, 10, 0]).await;
        self.until(&[0, 20, 0, 11]).await;
        let mut consume = vec![0, 60, 0, 20, 0, 0, u8::try_from(queue.len()).expect("short")];
        consume.extend_from_slice(queue.as_bytes());
        // No tag, no flags, no arguments.
        consume.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
        self.method_on(1, &consume).await;
        self.until(&[0, 60, 0, 21]).await;
    }

    async fn method_on(&mut self, channel: u8, payload: &[u8]) {
        let mut frame = vec![1, 0, channel];
        frame.extend_from_slice(&u32::try_from(payload.len()).expect("short").to_be_bytes());
        frame.extend_from_slice(payload);
        frame.push(0xCE);
        self.write(&frame).await;
    }

    /// Reads until these bytes came.
    pub(crate) async fn until(&mut self, wanted: &[u8]) {
        while !self.read.windows(wanted.len()).any(|window| window == wanted) {
            let mut buffer = [0; 4096];
            let count = self.socket.read(&mut buffer).await.expect("the broker writes");
            assert!(count > 0, "the broker has closed");
            self.read.extend(buffer.iter().take(count));
        }
    }
}
