//! Heartbeats on a socket that is never quiet.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout_at},
};

use super::{Running, client::Client};
use crate::amqp::frame::HEARTBEAT;

#[tokio::test]
async fn a_client_that_never_stops_talking_is_sent_heartbeats() {
    let running = Running::start();
    let mut client = Client::try_open(running.amqp, "/", 1).await.expect("it is let in");
    let talk = HEARTBEAT.repeat(8 * 1024);
    let until = Instant::now() + Duration::from_secs(8);
    let (mut reads, mut writes) = client.socket.split();
    let heard = async {
        let mut heard = [0; HEARTBEAT.len()];
        reads.read_exact(&mut heard).await.expect("the broker writes");
        heard
    };
    let talking = async { while writes.write_all(&talk).await.is_ok() {} };
    let first = async {
        tokio::select! {
            biased;
            heard = heard => heard,
            () = talking => panic!("the broker has closed"),
        }
    };
    assert_eq!(timeout_at(until, first).await, Ok(HEARTBEAT));
}
