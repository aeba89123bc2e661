//! The client of a hostile case: it sends what it is given, and keeps what comes back until nothing more can.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedReadHalf},
    time::{Instant, timeout_at},
};

use super::{
    Part,
    strict::{self, Message},
};

/// After the answers that are due, how long one is waited for that is not.
const QUIET: Duration = Duration::from_millis(25);
/// What is read at once.
const READ_SIZE: usize = 16 * 1_024;

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Final answers, in order.
    pub answers: Vec<Message>,
    /// Answers with 1xx before them.
    pub interim: usize,
    /// What made the strict reader stop.
    pub ambiguity: Option<String>,
    /// Bytes of an answer that did not get whole.
    pub rest: Vec<u8>,
    /// The proxy ended the connection before the client's own end.
    pub closed: bool,
}

/// How long to listen.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    /// So many final answers; `None`: until the proxy ends the connection.
    pub answers: Option<usize>,
    /// But no longer than this.
    pub patience: Duration,
}

/// Sends `input` and listens.
///
/// # Errors
/// When there is no connection.
pub async fn exchange(address: SocketAddr, input: &[Part], listen: Listen) -> anyhow::Result<Heard> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("{address} does not accept"))?;
    let (mut read, mut write) = stream.into_split();
    let (bytes, ends) = (Part::bytes(input), Part::end(input));
    let methods = methods(&bytes);
    let sending = tokio::spawn(async move {
        // A proxy that refuses may stop reading before it has all.
        let _refused = write.write_all(&bytes).await;
        if ends {
            let _refused = write.shutdown().await;
        }
        write
    });
    let mut heard = Listener { bytes: Vec::new(), methods, heard: Heard::default() };
    let deadline = Instant::now() + listen.patience;
    let mut open = true;
    while open && listen.answers.is_none_or(|due| heard.heard.answers.len() < due) {
        open = heard.read(&mut read, deadline).await;
        if Instant::now() >= deadline {
            break;
        }
    }
    let quiet = Instant::now() + QUIET;
    while open && Instant::now() < quiet {
        open = heard.read(&mut read, quiet).await;
    }
    heard.heard.closed = !open;
    let write = sending.await;
    drop(write);
    heard.heard.rest = heard.bytes;
    Ok(heard.heard)
}

/// The methods of the requests as they were meant: the answers to some have no body.
fn methods(bytes: &[u8]) -> Vec<&'static str> {
    vec![match bytes {
        [b'H', b'E', b'A', b'D', b' ', ..] => "HEAD",
        [b'C', b'O', b'N', b'N', b'E', b'C', b'T', b' ', ..] => "CONNECT",
        _ => "GET",
    }]
}

struct Listener {
    bytes: Vec<u8>,
    methods: Vec<&'static str>,
    heard: Heard,
}

impl Listener {
    /// Whether more may come.
    async fn read(&mut self, read: &mut OwnedReadHalf, deadline: Instant) -> bool {
        self.bytes.reserve(READ_SIZE);
        let open = match timeout_at(deadline, read.read_buf(&mut self.bytes)).await {
            Ok(Ok(length)) => length > 0,
            Ok(Err(_)) => false,
            Err(_) => return true,
        };
        while self.heard.ambiguity.is_none() && !self.bytes.is_empty() {
            let method = self.methods.get(self.heard.answers.len()).copied().unwrap_or("GET");
            match strict::response(&self.bytes, method, !open) {
                Ok(Some((message, length))) => {
                    self.bytes.drain(..length);
                    // 101 is final: what comes after it is no HTTP.
                    match message.status() {
                        100 | 102..200 => self.heard.interim += 1,
                        _ => self.heard.answers.push(message),
                    }
                }
                Ok(None) => break,
                Err(why) => self.heard.ambiguity = Some(why),
            }
        }
        open
    }
}
