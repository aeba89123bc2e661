//! When requests are due at a fixed rate. Timed by a timer of the kernel, for the runtime's own has a grain of a
//! millisecond; what is due while all connections are busy waits here, and its latency with it.

use std::{
    cell::RefCell,
    collections::VecDeque,
    fs::File,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use tokio::{io::AsyncReadExt, net::unix::pipe, sync::Notify};

/// See the module.
#[derive(Debug)]
pub(crate) struct Schedule {
    interval: Duration,
    timer: TimerFd,
    /// At most what a round asks for.
    due: RefCell<VecDeque<Instant>>,
    ready: Notify,
}

impl Schedule {
    /// So many a second.
    pub(crate) fn new(rate: u32) -> anyhow::Result<Self> {
        anyhow::ensure!(rate > 0, "a rate of 0 is none: leave --rate out");
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self {
            interval: Duration::from_secs(1) / rate,
            timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?,
            due: RefCell::default(),
            ready: Notify::new(),
        })
    }

    /// Waits until a request is due; when it was.
    pub(crate) async fn next(&self) -> Instant {
        loop {
            if let Some(due) = self.try_next() {
                return due;
            }
            self.ready.notified().await;
        }
    }

    /// When a request was due that is due already.
    pub(crate) fn try_next(&self) -> Option<Instant> {
        self.due.borrow_mut().pop_front()
    }

    /// Makes requests due, for ever.
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let interval = Expiration::Interval(TimeSpec::from_duration(self.interval));
        self.timer.set(interval, TimerSetTimeFlags::empty())?;
        let mut at = Instant::now();
        let file = File::from(self.timer.as_fd().try_clone_to_owned()?);
        // It is read as a pipe is: eight bytes, once there are expirations.
        let mut timer = pipe::Receiver::from_file_unchecked(file)?;
        loop {
            let mut count = [0; size_of::<u64>()];
            timer.read_exact(&mut count).await?;
            for _ in 0..u64::from_ne_bytes(count) {
                at += self.interval;
                self.due.borrow_mut().push_back(at);
                self.ready.notify_one();
            }
        }
    }
}
