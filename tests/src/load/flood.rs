//! Open-loop load on many plain HTTP/1 connections, lean enough to overload a proxy from one core. Each request
//! starts when the schedule says, on the connection that has been idle for longest; an answer counts if it comes
//! within the client's patience, and who loses patience closes its connection, as clients do.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::LocalSet,
};

/// How often requests that are due are sent.
const TICK: Duration = Duration::from_millis(1);
/// Addresses of loopback that connections come from: one has too few ports, and looks for a free one for too long.
const ADDRESSES: u64 = 250;
/// The longest latency that the histogram tells apart, in microseconds.
const LATENCY_US_MAX: u64 = 60_000_000;
/// An answer's head and body fit.
const ANSWER_BYTES_MAX: usize = 4_096;

/// What to send.
#[derive(Debug, Clone)]
pub struct Flood {
    /// The sidecar's outbound listener.
    pub target: SocketAddr,
    /// The service, as Host.
    pub host: String,
    /// Requests a second.
    pub rate: f64,
    /// What comes before is not counted.
    pub warm_up: Duration,
    /// For so long.
    pub duration: Duration,
    /// Connections open at once, at most.
    pub connections: usize,
    /// For an answer.
    pub patience: Duration,
    /// Each connection carries one request.
    pub closes: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Tally {
    /// Requests that were due.
    pub offered: u64,
    /// Answered 2xx in time.
    pub good: u64,
    /// Answered otherwise in time.
    pub refused: u64,
    /// Not answered in time.
    pub late: u64,
    /// The connection was refused or broke.
    pub broken: u64,
    /// Why.
    pub reasons: BTreeMap<String, u64>,
    /// Never sent: all connections were taken.
    pub unsent: u64,
    /// Of good answers, in microseconds from the scheduled time.
    pub latency: Histogram<u64>,
    /// Of the time in which requests were counted.
    pub elapsed: Duration,
}

/// How one request ended.
enum End {
    Good,
    Refused,
    Late,
    Broken(String),
}

/// What the requests of one flood share.
struct Client {
    flood: Flood,
    request: String,
    idle: RefCell<VecDeque<TcpStream>>,
    open: RefCell<usize>,
    opened: RefCell<u64>,
    tally: RefCell<Tally>,
}

impl Flood {
    /// Sends it all, on a thread of its own, and waits for the answers.
    ///
    /// # Errors
    /// When the generator itself failed.
    pub async fn run(self) -> anyhow::Result<Tally> {
        let thread = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(LocalSet::new().run_until(self.send()))
        });
        thread.await?
    }

    async fn send(self) -> anyhow::Result<Tally> {
        let client = Rc::new(Client::new(self)?);
        client.open_all().await?;
        let Flood { rate, warm_up, duration, .. } = client.flood;
        let (start, end) = (Instant::now(), warm_up + duration);
        let mut requests = tokio::task::JoinSet::new();
        let mut number = 0_u64;
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            let elapsed = start.elapsed().min(end);
            loop {
                #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
                let due = Duration::from_secs_f64(number as f64 / rate);
                if due >= elapsed {
                    break;
                }
                number += 1;
                requests.spawn_local(Rc::clone(&client).one(start + due, due >= warm_up));
            }
            while requests.try_join_next().is_some() {}
            if elapsed >= end {
                break;
            }
        }
        client.tally.borrow_mut().elapsed = start.elapsed() - warm_up;
        while requests.join_next().await.is_some() {}
        drop(requests);
        let client = Rc::into_inner(client).context("every request has ended")?;
        Ok(client.tally.into_inner())
    }
}

impl Client {
    fn new(flood: Flood) -> anyhow::Result<Self> {
        let request = format!("GET /work HTTP/1.1\r\nhost: {}\r\n\r\n", flood.host);
        let tally = Tally {
            offered: 0,
            good: 0,
            refused: 0,
            late: 0,
            broken: 0,
            reasons: BTreeMap::new(),
            unsent: 0,
            latency: Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?,
            elapsed: Duration::ZERO,
        };
        let (idle, open, opened, tally) =
            (RefCell::default(), RefCell::default(), RefCell::default(), RefCell::new(tally));
        Ok(Self { flood, request, idle, open, opened, tally })
    }

    /// Before the clock runs, so that a load begins as it goes on.
    async fn open_all(&self) -> anyhow::Result<()> {
        let count = if self.flood.closes { 0 } else { self.flood.connections };
        for _ in 0..count {
            let io = self.connect().await?;
            self.idle.borrow_mut().push_back(io);
            *self.open.borrow_mut() += 1;
        }
        Ok(())
    }

    async fn one(self: Rc<Self>, due: Instant, counts: bool) {
        if *self.open.borrow() >= self.flood.connections && self.idle.borrow().is_empty() {
            let mut tally = self.tally.borrow_mut();
            tally.offered += u64::from(counts);
            tally.unsent += u64::from(counts);
            return;
        }
        let known = self.idle.borrow_mut().pop_front();
        if known.is_none() {
            *self.open.borrow_mut() += 1;
        }
        let left = (due + self.flood.patience).saturating_duration_since(Instant::now());
        let (end, io) = match tokio::time::timeout(left, self.exchange(known)).await {
            Err(_) => (End::Late, None),
            Ok(Err(error)) => (End::Broken(format!("{error:#}")), None),
            Ok(Ok((true, io))) => (End::Good, Some(io)),
            Ok(Ok((false, io))) => (End::Refused, Some(io)),
        };
        match io.filter(|_| !self.flood.closes) {
            Some(io) => self.idle.borrow_mut().push_back(io),
            None => *self.open.borrow_mut() -= 1,
        }
        if counts {
            self.tally.borrow_mut().count(end, due.elapsed());
        }
    }

    /// Whether the answer is a good one, and the connection.
    async fn exchange(&self, known: Option<TcpStream>) -> anyhow::Result<(bool, TcpStream)> {
        let mut io = match known {
            Some(io) => io,
            None => self.connect().await?,
        };
        io.write_all(self.request.as_bytes()).await?;
        let mut bytes = [0; ANSWER_BYTES_MAX];
        let mut length = 0;
        loop {
            let room = bytes.get_mut(length..).filter(|room| !room.is_empty()).context("a long answer")?;
            let read = io.read(room).await?;
            ensure!(read > 0, "closed");
            length += read;
            let whole = bytes.get(..length).unwrap_or_default();
            if let Some(status) = status_of(whole)? {
                return Ok((status == b'2', io));
            }
        }
    }

    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let number = {
            let mut opened = self.opened.borrow_mut();
            *opened += 1;
            *opened
        };
        let socket = TcpSocket::new_v4()?;
        let last = 2 + u8::try_from(number % ADDRESSES)?;
        socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
        let io = socket.connect(self.flood.target).await?;
        io.set_nodelay(true)?;
        Ok(io)
    }
}

impl Tally {
    fn count(&mut self, end: End, latency: Duration) {
        self.offered += 1;
        match end {
            End::Good => {
                self.good += 1;
                let micros = u64::try_from(latency.as_micros()).unwrap_or(LATENCY_US_MAX);
                self.latency.saturating_record(micros);
            }
            End::Refused => self.refused += 1,
            End::Late => self.late += 1,
            End::Broken(reason) => {
                self.broken += 1;
                *self.reasons.entry(reason).or_default() += 1;
            }
        }
    }

    /// Good answers a second.
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    pub fn goodput(&self) -> f64 {
        self.good as f64 / self.elapsed.as_secs_f64()
    }

    /// A quantile of the latency of good answers.
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.latency.value_at_quantile(quantile))
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let Self { offered, good, refused, late, broken, reasons, unsent, .. } = self;
        let (p50, p99, max) = (self.quantile(0.5), self.quantile(0.99), self.quantile(1.0));
        format!(
            "offered {offered} good {good} ({:.0}/s) refused {refused} late {late} broken {broken} {reasons:?} unsent {unsent} \
             p50 {p50:?} p99 {p99:?} max {max:?}",
            self.goodput()
        )
    }
}

/// The first digit of the status, once the answer is whole.
fn status_of(bytes: &[u8]) -> anyhow::Result<Option<u8>> {
    let text = std::str::from_utf8(bytes)?;
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
    let length = head
        .lines()
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        })
        .context("an answer has a length")??;
    Ok(if body.len() >= length { bytes.get(9).copied() } else { None })
}
