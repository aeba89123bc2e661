//! HTTP/1 servers on a thread of the test, for load: one of a fixed capacity, whose queue grows without a bound, as
//! that of most applications does; and one that is down.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context;
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n0123456789abcdef";
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// One of so many workers takes it in its turn, and takes so long for it, whether its client waits or not.
    Works(usize, Duration),
    /// It is answered at once.
    Answers,
    /// It is read, and the connection is closed.
    Dies,
}

/// A running server; it ends with its owner.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    received: Arc<AtomicU64>,
    end: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Starts one on loopback.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(manner: Manner) -> anyhow::Result<Self> {
        let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (received, end): (Arc<AtomicU64>, Arc<Notify>) = Default::default();
        let (counted, ended) = (Arc::clone(&received), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    // The end first, whatever else there is to do.
                    biased;
                    () = ended.notified() => {}
                    result = accept(socket, manner, counted) => result.expect("a bound socket accepts"),
                }
            });
        });
        Ok(Self { address, received, end, thread: Some(thread) })
    }

    /// Requests that have come so far.
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.end.notify_one();
        let _told_by_its_output = self.thread.take().map(JoinHandle::join);
    }
}

async fn accept(
    socket: std::net::TcpListener,
    manner: Manner,
    received: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(socket)?;
    let workers = match manner {
        Manner::Works(workers, _) => workers,
        Manner::Answers | Manner::Dies => 0,
    };
    let workers = Arc::new(Semaphore::new(workers));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, manner, Arc::clone(&workers), Arc::clone(&received)));
    }
}

async fn serve(
    mut stream: TcpStream,
    manner: Manner,
    workers: Arc<Semaphore>,
    received: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = BytesMut::new();
    while stream.read_buf(&mut bytes).await? > 0 {
        // One request a time is on its way, and none has a body.
        if !bytes.ends_with(HEAD_END) {
            continue;
        }
        bytes.clear();
        received.fetch_add(1, Relaxed);
        match manner {
            Manner::Dies => return Ok(()),
            Manner::Answers => {}
            Manner::Works(_, time) => {
                let _worker = workers.acquire().await.context("the workers never end")?;
                tokio::time::sleep(time).await;
            }
        }
        stream.write_all(ANSWER).await?;
    }
    Ok(())
}
