//! An application behind a sidecar: HTTP/1 by hand, since most of what it does no library would do. It notes each
//! request head that reaches it, before it does anything else.

use std::{
    cell::Cell,
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Duration, sleep, timeout},
};

use super::{
    history::{History, Seen},
    plan::Behaviour,
    socket::{Place, Socket},
};

/// Where it listens.
pub(super) const PORT: u16 = 8_080;

/// The id of a request that has none.
const HEALTH_CHECK: u64 = 0;

/// What all connections of one application share.
#[derive(Debug, Clone)]
pub(super) struct Application {
    pub(super) place: Place,
    pub(super) replica: usize,
    /// What it does with so many requests of a hundred; it answers the others.
    pub(super) behaviour: Rc<Cell<(Behaviour, u32)>>,
    pub(super) history: History,
}

/// The head of a request.
struct Head {
    id: u64,
    body_length: usize,
}

impl Application {
    /// Serves until it is dropped.
    pub(super) async fn serve(self) {
        let listener = self.place.listen(PORT);
        loop {
            let Ok((socket, _)) = listener.accept().await else { return };
            tokio::task::spawn_local(self.clone().connection(socket));
        }
    }

    async fn connection(self, mut socket: Socket) {
        let mut read = Vec::new();
        loop {
            let Some(head) = read_head(&mut socket, &mut read).await else { return };
            let at = self.place.shared.now();
            if head.id != HEALTH_CHECK {
                self.history.see(Seen { id: head.id, replica: self.replica, at });
            }
            let (behaviour, percent) = self.behaviour.get();
            // Which ones is a matter of the request alone, so that a repetition meets the same fate.
            let is_struck = fastrand::Rng::with_seed(head.id).u32(..100) < percent;
            match if is_struck { behaviour } else { Behaviour::Answers } {
                Behaviour::ResetsUnread => return socket.reset(),
                Behaviour::Hangs => return std::future::pending().await,
                behaviour => {
                    if !read_body(&mut socket, &mut read, head.body_length).await {
                        return;
                    }
                    if !answer(&mut socket, head.id, behaviour).await {
                        return socket.reset();
                    }
                }
            }
        }
    }
}

async fn read_head(socket: &mut Socket, read: &mut Vec<u8>) -> Option<Head> {
    loop {
        if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head: Vec<u8> = read.drain(..end + 4).collect();
            let text = String::from_utf8(head).unwrap();
            let number = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|value| value.trim().parse().ok())
            };
            let id = number("sim-id:").unwrap_or(HEALTH_CHECK);
            let body_length = number("content-length:").and_then(|length| usize::try_from(length).ok());
            return Some(Head { id, body_length: body_length.unwrap_or(0) });
        }
        if !matches!(socket.read_buf(read).await, Ok(1..)) {
            return None;
        }
    }
}

async fn read_body(socket: &mut Socket, read: &mut Vec<u8>, length: usize) -> bool {
    while read.len() < length {
        if !matches!(socket.read_buf(read).await, Ok(1..)) {
            return false;
        }
    }
    drop(read.drain(..length));
    true
}

/// Whether the connection goes on.
async fn answer(socket: &mut Socket, id: u64, behaviour: Behaviour) -> bool {
    let body = body(id);
    let answer = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let answer = match behaviour {
        Behaviour::ResetsRead => return false,
        Behaviour::BreaksOff => {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-").await;
            // On its way before the end is.
            sleep(Duration::from_millis(1)).await;
            return false;
        }
        Behaviour::Declines => answer("503 Service Unavailable"),
        Behaviour::IsSlow(time) => {
            sleep(Duration::from_millis(time)).await;
            answer("200 OK")
        }
        Behaviour::Answers | Behaviour::ResetsUnread | Behaviour::Hangs => answer("200 OK"),
    };
    socket.write_all(answer.as_bytes()).await.is_ok()
}

/// What a request is answered with.
pub(super) fn body(id: u64) -> String {
    format!("the answer to {id}")
}

/// A health check: whether the application of this host answers in time.
pub(super) async fn probe(from: &Place, host: IpAddr, time: Duration) -> bool {
    let check = async {
        let mut socket = from.connect(SocketAddr::new(host, PORT)).await?;
        socket.write_all(b"GET /health HTTP/1.1\r\nhost: check\r\n\r\n").await?;
        let mut status = [0; 12];
        socket.read_exact(&mut status).await?;
        Ok::<_, io::Error>(&status == b"HTTP/1.1 200")
    };
    matches!(timeout(time, check).await, Ok(Ok(true)))
}
