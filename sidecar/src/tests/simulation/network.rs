//! The simulated network: a pure core of events. It takes the time and what sockets do, and delivers what is under
//! way when its time has come; it knows no tokio, and all that happens by chance comes from one seed.
//!
//! ```text
//!  dial  ─▶ Syn ──────────▶ a listener? ─┬─ yes: Accepted ─▶ the dialler is connected
//!                                        └─ no:  Refused
//!  write ─▶ Bytes ─▶ the other end's inbox; an end that is gone answers with Reset
//!  close ─▶ Fin, or Reset where bytes were left unread
//! ```
//! What is lost comes again later, as TCP sends it again. What meets a cut link waits for its mending: a partition
//! is a black hole, never an error.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
    task::Waker,
};

use super::{
    connection::{End, EndOf, Found, Number, State},
    control_plane,
    trace::Trace,
};

/// What one end may have under way, in bytes: beyond it a writer waits.
const WINDOW: usize = 64 * 1_024;
/// What a segment holds, at most.
const SEGMENT: usize = 1_460;
/// Before something that was lost is sent again; twice that the next time.
const RESEND_MS: u64 = 200;
/// One in so many small writes travels in two pieces.
const SPLIT_ONE_IN: u32 = 16;

/// How well the bytes between two hosts travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quality {
    pub(super) delay_ms_max: u64,
    pub(super) loss_percent: u32,
}

/// See the module. Times are milliseconds since the simulation began.
#[derive(Debug)]
pub(super) struct Network {
    rng: fastrand::Rng,
    queue: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    ends: Vec<[End; 2]>,
    listeners: BTreeMap<SocketAddr, Listener>,
    /// Links that carry nothing, both ways.
    cut: BTreeSet<(IpAddr, IpAddr)>,
    /// What waits for them.
    held: Vec<(IpAddr, IpAddr, Event)>,
    quality: BTreeMap<(IpAddr, IpAddr), Quality>,
    /// Of all links about which nothing else is said.
    usual: Quality,
    driver: Option<Waker>,
    trace: Trace,
}

#[derive(Debug, Clone, Hash)]
enum Event {
    Syn(Number),
    Accepted(Number),
    Refused(Number),
    Bytes(EndOf, Vec<u8>),
    Fin(EndOf),
    Reset(EndOf),
}

#[derive(Debug, Default)]
struct Listener {
    backlog: VecDeque<Number>,
    waker: Option<Waker>,
}

impl Event {
    fn to(&self) -> EndOf {
        match *self {
            Self::Syn(number) => EndOf { number, side: 1 },
            Self::Accepted(number) | Self::Refused(number) => EndOf { number, side: 0 },
            Self::Bytes(to, _) | Self::Fin(to) | Self::Reset(to) => to,
        }
    }
}

impl Network {
    pub(super) fn new(seed: u64, usual: Quality) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            queue: BTreeMap::new(),
            sequence: 0,
            ends: Vec::new(),
            listeners: BTreeMap::new(),
            cut: BTreeSet::new(),
            held: Vec::new(),
            quality: BTreeMap::new(),
            usual,
            driver: None,
            trace: Trace::default(),
        }
    }

    pub(super) fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }

    /// When [`Network::step`] has something to do next. Who waits for it is woken when that changes.
    pub(super) fn next_at(&mut self, driver: &Waker) -> Option<u64> {
        self.driver = Some(driver.clone());
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// Delivers all that is due.
    pub(super) fn step(&mut self, now: u64) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let event = entry.remove();
            let (from, to) = self.way(&event);
            if self.cut.contains(&link(from, to)) {
                self.held.push((from, to, event));
                continue;
            }
            self.note(now, &event, from, to);
            self.deliver(now, event);
        }
    }

    pub(super) fn cut(&mut self, now: u64, one: IpAddr, other: IpAddr) {
        self.trace.note(now, ("cut", one, other), || format!("cut {one} {other}"));
        self.cut.insert(link(one, other));
    }

    pub(super) fn mend(&mut self, now: u64, one: IpAddr, other: IpAddr) {
        self.trace.note(now, ("mend", one, other), || format!("mend {one} {other}"));
        self.cut.remove(&link(one, other));
        for (from, to, event) in std::mem::take(&mut self.held) {
            if link(from, to) == link(one, other) {
                let later = self.rng.u64(1..=RESEND_MS);
                self.send(now + later, event);
            } else {
                self.held.push((from, to, event));
            }
        }
    }

    /// How the link is from now on; `None` = as all others.
    pub(super) fn degrade(&mut self, now: u64, one: IpAddr, other: IpAddr, quality: Option<Quality>) {
        self.trace.note(now, ("degrade", one, other), || format!("degrade {one} {other} {quality:?}"));
        match quality {
            Some(quality) => self.quality.insert(link(one, other), quality),
            None => self.quality.remove(&link(one, other)),
        };
    }

    pub(super) fn listen(&mut self, address: SocketAddr) {
        self.listeners.insert(address, Listener::default());
    }

    pub(super) fn stop_listening(&mut self, now: u64, address: SocketAddr) {
        let Some(listener) = self.listeners.remove(&address) else { return };
        for number in listener.backlog {
            self.close(now, EndOf { number, side: 1 }, true);
        }
    }

    /// The next connection that was made to a listener.
    pub(super) fn accept(&mut self, address: SocketAddr, waker: &Waker) -> Option<(EndOf, SocketAddr)> {
        let listener = self.listeners.get_mut(&address)?;
        let Some(number) = listener.backlog.pop_front() else {
            listener.waker = Some(waker.clone());
            return None;
        };
        Some((EndOf { number, side: 1 }, self.ends[number][0].address))
    }

    pub(super) fn dial(&mut self, now: u64, from: IpAddr, to: SocketAddr) -> EndOf {
        let number = self.ends.len();
        let port = u16::try_from(40_000 + number % 20_000).unwrap_or_default();
        let near = End::new(SocketAddr::new(from, port), State::Dialling);
        self.ends.push([near, End::new(to, State::Dialling)]);
        self.send(now, Event::Syn(number));
        EndOf { number, side: 0 }
    }

    /// Whether a dial has come to something: `Some(true)` is a connection.
    pub(super) fn is_connected(&mut self, end: EndOf, waker: &Waker) -> Option<bool> {
        let end = self.end(end);
        match end.state {
            State::Dialling => {
                end.writer = Some(waker.clone());
                None
            }
            State::Open => Some(true),
            State::Refused | State::Gone => Some(false),
        }
    }

    /// What there is to read; who finds nothing is woken by it.
    pub(super) fn peek(&mut self, end: EndOf, waker: &Waker) -> Option<Found> {
        let end = self.end(end);
        if end.state == State::Gone {
            return Some(Found::Reset);
        }
        if !end.inbox.is_empty() {
            return Some(Found::Bytes(end.inbox.len()));
        }
        if end.is_reset || end.is_ended {
            return Some(if end.is_reset { Found::Reset } else { Found::End });
        }
        end.reader = Some(waker.clone());
        None
    }

    /// Takes the first `length` bytes.
    pub(super) fn take(&mut self, end: EndOf, length: usize) -> Vec<u8> {
        let bytes: Vec<u8> = self.end(end).inbox.drain(..length).collect();
        let other = self.end(end.other());
        other.under_way = other.under_way.saturating_sub(bytes.len());
        other.writer.take().into_iter().for_each(Waker::wake);
        bytes
    }

    /// How many of the bytes were sent; none = there is no room. An error is a connection that is no more.
    pub(super) fn write(&mut self, now: u64, end: EndOf, bytes: &[u8], waker: &Waker) -> Result<usize, ()> {
        let own = self.end(end);
        if own.is_reset || own.has_said_all || own.state == State::Gone {
            return Err(());
        }
        let length = bytes.len().min(WINDOW.saturating_sub(own.under_way));
        if length == 0 {
            own.writer = Some(waker.clone());
            return Ok(0);
        }
        own.under_way += length;
        let mut rest = bytes.get(..length).unwrap_or_default();
        if length > 1 && self.rng.u32(..SPLIT_ONE_IN) == 0 {
            let (first, second) = rest.split_at(self.rng.usize(1..length.min(SEGMENT)));
            self.send(now, Event::Bytes(end.other(), first.to_vec()));
            rest = second;
        }
        for piece in rest.chunks(SEGMENT) {
            self.send(now, Event::Bytes(end.other(), piece.to_vec()));
        }
        Ok(length)
    }

    /// Says no more.
    pub(super) fn shut(&mut self, now: u64, end: EndOf) {
        if !std::mem::replace(&mut self.end(end).has_said_all, true) {
            self.send(now, Event::Fin(end.other()));
        }
    }

    /// The host loses its power: it forgets all connections, and nobody hears of it until somebody writes.
    pub(super) fn forget(&mut self, now: u64, host: IpAddr) {
        self.trace.note(now, ("forget", host), || format!("forget {host}"));
        self.listeners.retain(|address, _| address.ip() != host);
        for end in self.ends.iter_mut().flatten().filter(|end| end.address.ip() == host) {
            end.state = State::Gone;
            end.wake();
        }
    }

    /// All processes of the host end at once, and the system closes their connections.
    pub(super) fn kill(&mut self, now: u64, host: IpAddr) {
        for number in 0..self.ends.len() {
            for side in 0..2 {
                if self.ends[number][side].address.ip() == host {
                    self.close(now, EndOf { number, side }, false);
                    self.ends[number][side].wake();
                }
            }
        }
    }

    /// The owner lets go of its end, and the other one hears of it.
    pub(super) fn close(&mut self, now: u64, end: EndOf, is_abrupt: bool) {
        let own = self.end(end);
        if own.state == State::Gone {
            return;
        }
        let was = std::mem::replace(&mut own.state, State::Gone);
        let has_unread = !own.inbox.is_empty();
        // A dial that is given up says nothing: its first packet is not sent again.
        if was != State::Open || own.is_reset {
            return;
        }
        if has_unread || is_abrupt {
            self.send(now, Event::Reset(end.other()));
        } else {
            self.shut(now, end);
        }
    }

    fn end(&mut self, end: EndOf) -> &mut End {
        &mut self.ends[end.number][end.side]
    }

    /// Writes the trace. Of what goes to and from the control plane only the length counts: a sidecar tells it the
    /// time of day, as its incarnation.
    fn note(&mut self, now: u64, event: &Event, from: IpAddr, to: IpAddr) {
        let Event::Bytes(end, bytes) = event else {
            return self.trace.note(now, event, || format!("{from} -> {to} {event:?}"));
        };
        let is_dated = self.ends[end.number][1].address.port() == control_plane::PORT;
        let content = if is_dated { &[][..] } else { bytes };
        self.trace.note(now, (end, bytes.len(), content), || {
            let text: String = String::from_utf8_lossy(content).chars().take(60).collect();
            format!("{from} -> {to} #{}.{} {} bytes {text:?}", end.number, end.side, bytes.len())
        });
    }

    /// From where to where an event travels.
    fn way(&self, event: &Event) -> (IpAddr, IpAddr) {
        let to = event.to();
        let [one, other] = &self.ends[to.number];
        let (near, far) = (one.address.ip(), other.address.ip());
        if to.side == 1 { (near, far) } else { (far, near) }
    }

    fn send(&mut self, now: u64, event: Event) {
        let (from, to) = self.way(&event);
        let at = if from == to { now } else { now + self.travel(from, to) };
        let end = self.end(event.to());
        end.last_at = end.last_at.max(at);
        let at = end.last_at;
        self.sequence += 1;
        self.queue.insert((at, self.sequence), event);
        self.driver.take().into_iter().for_each(Waker::wake);
    }

    /// How long the next thing takes on this link.
    fn travel(&mut self, from: IpAddr, to: IpAddr) -> u64 {
        let Quality { delay_ms_max, loss_percent } =
            self.quality.get(&link(from, to)).copied().unwrap_or(self.usual);
        let mut time = self.rng.u64(1..=delay_ms_max.max(1));
        let mut resend = RESEND_MS;
        while loss_percent > 0 && self.rng.u32(..100) < loss_percent {
            time += resend;
            resend = (resend * 2).min(4 * RESEND_MS);
        }
        time
    }

    fn deliver(&mut self, now: u64, event: Event) {
        match event {
            Event::Syn(number) => self.on_syn(now, number),
            Event::Accepted(number) => self.settle(now, number, State::Open),
            Event::Refused(number) => self.settle(now, number, State::Refused),
            Event::Bytes(to, bytes) => {
                let end = self.end(to);
                if end.state == State::Gone {
                    // Whoever writes to nobody is told so.
                    return self.send(now, Event::Reset(to.other()));
                }
                end.inbox.extend(bytes);
                end.reader.take().into_iter().for_each(Waker::wake);
            }
            Event::Fin(to) => {
                let end = self.end(to);
                end.is_ended = true;
                end.reader.take().into_iter().for_each(Waker::wake);
            }
            Event::Reset(to) => {
                let end = self.end(to);
                end.is_reset = true;
                end.wake();
            }
        }
    }

    fn on_syn(&mut self, now: u64, number: Number) {
        let [near, far] = &self.ends[number];
        if near.state == State::Gone {
            return;
        }
        let address = far.address;
        let Some(listener) = self.listeners.get_mut(&address) else {
            return self.send(now, Event::Refused(number));
        };
        listener.backlog.push_back(number);
        listener.waker.take().into_iter().for_each(Waker::wake);
        self.ends[number][1].state = State::Open;
        self.send(now, Event::Accepted(number));
    }

    /// A dial is settled. Where it was given up meanwhile, the other side is told.
    fn settle(&mut self, now: u64, number: Number, state: State) {
        let own = self.end(EndOf { number, side: 0 });
        match own.state {
            State::Dialling => {
                own.state = state;
                own.wake();
            }
            State::Gone if state == State::Open => self.send(now, Event::Reset(EndOf { number, side: 1 })),
            State::Gone | State::Refused | State::Open => {}
        }
    }
}

fn link(one: IpAddr, other: IpAddr) -> (IpAddr, IpAddr) {
    (one.min(other), one.max(other))
}
