//! Bytes through fixed local ports.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use weft_model::endpoint::{Endpoint, Protocol};
use weft_sidecar::config::SidecarConfig;

use crate::mesh::{App, DEADLINE, Replica, Sidecar, config, endpoint, get, hosting, post, upstream};

/// A caller with one fixed port to `service`.
fn caller(service: &str, protocol: Protocol, endpoints: Vec<Endpoint>) -> Sidecar {
    let sidecar = Sidecar::start(SidecarConfig { upstreams: vec![upstream(service, protocol)], ..config() });
    sidecar.publish(service, endpoints);
    sidecar
}

/// An application that greets, reads to the end, and then answers what it has read.
async fn greeter(greeting: &'static str) -> (TcpListenerTask, Sidecar, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut io, _)) = listener.accept().await {
            tokio::spawn(async move {
                io.write_all(greeting.as_bytes()).await.unwrap();
                let mut read = Vec::new();
                io.read_to_end(&mut read).await.unwrap();
                read.reverse();
                io.write_all(&read).await.unwrap();
            });
        }
    });
    let sidecar = Sidecar::start(hosting("db", address, Protocol::Tcp));
    let endpoint = endpoint("db", "1", address, Some(sidecar.inbound));
    (TcpListenerTask(task), sidecar, endpoint)
}

struct TcpListenerTask(tokio::task::JoinHandle<()>);

impl Drop for TcpListenerTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test]
async fn one_side_may_end_while_the_other_goes_on() {
    let (_app, _sidecar, endpoint) = greeter("").await;
    let caller = caller("db", Protocol::Tcp, vec![endpoint]);
    let mut client = TcpStream::connect(caller.upstreams[0]).await.unwrap();
    client.write_all(b"abc").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, client.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, "cba");
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard_at_once_where_the_protocol_is_found_out() {
    let (_app, _sidecar, endpoint) = greeter("hello\n").await;
    let caller = caller("db", Protocol::Auto, vec![endpoint]);
    let mut client = TcpStream::connect(caller.upstreams[0]).await.unwrap();
    let mut greeting = [0; 6];
    timeout(DEADLINE, client.read_exact(&mut greeting)).await.unwrap().unwrap();
    client.write_all(b"abc").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, client.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!((&greeting, &*answer), (b"hello\n", "cba"));
}

#[tokio::test]
async fn http_on_a_fixed_port_goes_to_its_service_whatever_the_host() {
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let caller = caller("orders", Protocol::Auto, vec![replica.endpoint.clone()]);
    assert_eq!(&get(caller.upstreams[0], "example.com").await.body[..], b"orders");
    assert_eq!(&post(caller.upstreams[0], "localhost:1").await.body[..], b"orders");
}

#[tokio::test]
async fn a_connection_is_made_elsewhere_when_an_application_does_not_accept() {
    let (_app, _sidecar, well) = greeter("").await;
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let dead_sidecar = Sidecar::start(hosting("db", dead, Protocol::Tcp));
    let dead = endpoint("db", "0", dead, Some(dead_sidecar.inbound));
    let caller = Arc::new(caller("db", Protocol::Tcp, vec![dead, well]));
    for _ in 0..10 {
        let mut client = TcpStream::connect(caller.upstreams[0]).await.unwrap();
        client.write_all(b"ab").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        timeout(DEADLINE, client.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer, "ba");
    }
}

#[tokio::test]
async fn a_bare_client_of_inbound_reaches_the_application() {
    let (_app, sidecar, _) = greeter("hello\n").await;
    let mut client = TcpStream::connect(sidecar.inbound).await.unwrap();
    let mut greeting = [0; 6];
    timeout(DEADLINE, client.read_exact(&mut greeting)).await.unwrap().unwrap();
    assert_eq!(&greeting, b"hello\n");
    let replica = Replica::http("orders", "1", App::named("orders").await);
    assert_eq!(&get(replica.sidecar.inbound, "anything").await.body[..], b"orders");
}
