//! How many connections there may be.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

use super::{Running, client::Client};
use crate::{
    amqp::handshake::{Product, Tuning, sasl::Mechanism, server::ServerConfig, server_properties},
    server::front::accept,
};

/// The place of a connection that is gone.
const FREE_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_connection_takes_its_place_until_it_ends() {
    let running = Running::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("bound");
    let properties = server_properties(&Product::default());
    let config = Arc::new(ServerConfig::new(&properties, &[Mechanism::Plain], Tuning::default()));
    let accepting = tokio::spawn(accept(listener, config, Arc::clone(running.broker.shared()), 1));
    let first = Client::open(at).await;
    assert!(Client::try_open(at, "/", 0).await.is_none(), "there is one place");
    drop(first);
    let free = async {
        while Client::try_open(at, "/", 0).await.is_none() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(FREE_WITHIN, free).await.expect("the place is free");
    accepting.abort();
}
