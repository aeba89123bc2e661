//! The backend behind a proxy under test: it keeps every byte that it is sent, reads it strictly, and answers as the
//! case says. One case at a time; connections of an earlier case are not counted for the next.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

use super::{
    Answer, Part,
    h2::{self, backend::Event},
    strict::{self, Message},
};

/// What answers where the case has nothing else to say.
pub const USUAL: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfine";
/// The answer to a next request on a connection that a case kept open.
const NEXT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnext";
/// What is read at once.
const READ_SIZE: usize = 16 * 1_024;

/// A running backend.
#[derive(Debug)]
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    answer: Answer,
    /// The case's number: a connection counts for the case in which it began.
    round: usize,
    seen: Vec<Seen>,
}

/// What came on one connection.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Whole requests, in order.
    pub messages: Vec<Message>,
    /// What made the strict reader stop.
    pub ambiguity: Option<String>,
    /// Bytes of a request that did not get whole.
    pub rest: Vec<u8>,
    /// The proxy has ended it.
    pub ended: bool,
}

impl Backend {
    /// Starts one on a port of the system's choice.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for a backend")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State { answer: Answer::Usual, round: 0, seen: Vec::new() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, Arc::clone(&shared)));
            }
        });
        Ok(Self { address, state, task })
    }

    /// Forgets all and answers so from here on.
    pub async fn begin(&self, answer: Answer) {
        let mut state = self.state.lock().await;
        state.answer = answer;
        state.round += 1;
        state.seen.clear();
    }

    /// What came since: after all connections that brought anything have ended, or `patience` is over.
    pub async fn seen(&self, patience: Duration) -> Vec<Seen> {
        let start = Instant::now();
        loop {
            let seen: Vec<Seen> =
                self.state.lock().await.seen.iter().filter(|seen| seen.is_used()).cloned().collect();
            if seen.iter().all(|seen| seen.ended) || start.elapsed() > patience {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn is_used(&self) -> bool {
        !self.messages.is_empty() || !self.rest.is_empty() || self.ambiguity.is_some()
    }
}

async fn connection(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut preface = [0; 4];
    // A proxy that checks the port, and says nothing, is not counted.
    if !matches!(stream.peek(&mut preface).await, Ok(1..)) {
        return;
    }
    if preface.starts_with(b"PRI ") {
        return connection_h2(stream, state).await;
    }
    let (round, place, answer) = {
        let mut state = state.lock().await;
        state.seen.push(Seen::default());
        (state.round, state.seen.len() - 1, state.answer)
    };
    let mut bytes = Vec::new();
    let mut answered = 0;
    let mut is_continued = false;
    loop {
        let read = match strict::request(&bytes) {
            Ok(Some((message, length))) => {
                bytes.drain(..length);
                is_continued = false;
                note(&state, (round, place), |seen| {
                    seen.rest.clear();
                    seen.messages.push(message);
                })
                .await;
                respond(&mut stream, answer, answered).await;
                answered += 1;
                continue;
            }
            Ok(None) => {
                let rest = bytes.clone();
                note(&state, (round, place), |seen| seen.rest = rest).await;
                if !is_continued && asks_to_continue(&bytes) {
                    is_continued = true;
                    let _gone = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
                }
                read_more(&mut stream, &mut bytes).await
            }
            Err(why) => {
                note(&state, (round, place), |seen| seen.ambiguity = Some(why)).await;
                let _gone = stream.write_all(USUAL).await;
                let _gone = stream.shutdown().await;
                while read_more(&mut stream, &mut bytes).await {}
                false
            }
        };
        if !read {
            return note(&state, (round, place), |seen| seen.ended = true).await;
        }
    }
}

/// Streams of one connection come in different rounds.
async fn connection_h2(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut connection = h2::backend::Connection::default();
    let mut places = BTreeMap::new();
    let mut bytes = Vec::new();
    while read_more(&mut stream, &mut bytes).await {
        for event in connection.push(&std::mem::take(&mut bytes)) {
            match event {
                Event::Begun(number) => {
                    let mut state = state.lock().await;
                    // Until it is whole, or gone, it is something that reached the backend.
                    state.seen.push(Seen { rest: b"a stream".to_vec(), ..Seen::default() });
                    places.insert(number, (state.round, state.seen.len() - 1));
                }
                Event::Whole(number, read) => {
                    let Some(place) = places.remove(&number) else { continue };
                    note(&state, place, |seen| {
                        seen.rest.clear();
                        seen.ended = true;
                        match read {
                            Ok(message) => seen.messages.push(message),
                            Err(why) => seen.ambiguity = Some(why),
                        }
                    })
                    .await;
                }
                Event::Gone(number) => {
                    let Some(place) = places.remove(&number) else { continue };
                    note(&state, place, |seen| seen.ended = true).await;
                }
            }
        }
        if stream.write_all(&std::mem::take(&mut connection.output)).await.is_err() {
            break;
        }
    }
    for place in places.into_values() {
        note(&state, place, |seen| seen.ended = true).await;
    }
}

async fn note(state: &Mutex<State>, (round, place): (usize, usize), change: impl FnOnce(&mut Seen)) {
    let mut state = state.lock().await;
    if state.round == round
        && let Some(seen) = state.seen.get_mut(place)
    {
        change(seen);
    }
}

async fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    bytes.reserve(READ_SIZE);
    matches!(stream.read_buf(bytes).await, Ok(1..))
}

/// The proxy may be gone at any time.
async fn respond(stream: &mut TcpStream, answer: Answer, answered: usize) {
    let (bytes, closes) = match answer {
        Answer::Usual => (USUAL.to_vec(), false),
        _ if answered > 0 => (NEXT.to_vec(), false),
        Answer::Keep(parts) => (Part::bytes(parts), false),
        Answer::Close(parts) => (Part::bytes(parts), true),
    };
    let _gone = stream.write_all(&bytes).await;
    if closes {
        let _gone = stream.shutdown().await;
    }
}

fn asks_to_continue(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    head.contains("\r\nexpect: 100-continue\r\n") && head.contains("\r\n\r\n")
}
