//! How many streams a shared connection carries, and since when it carries none.

use std::{cell::Cell, rc::Rc};

use crate::clock;

/// The streams of one connection.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    in_use: Cell<usize>,
    /// When the last of them began or ended, on the process's clock.
    used_at: Cell<u64>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct StreamSlot(Rc<Streams>);

impl Streams {
    pub(super) fn in_use(&self) -> usize {
        self.in_use.get()
    }

    pub(super) fn used_at(&self) -> u64 {
        self.used_at.get()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_use() == 0
    }
}

impl StreamSlot {
    pub(super) fn take(streams: &Rc<Streams>, now: u64) -> Self {
        streams.in_use.set(streams.in_use.get() + 1);
        streams.used_at.set(now);
        Self(Rc::clone(streams))
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.0.in_use.set(self.0.in_use.get().saturating_sub(1));
        if self.0.is_idle() {
            self.0.used_at.set(clock::now());
        }
    }
}
