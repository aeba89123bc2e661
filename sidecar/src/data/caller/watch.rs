//! What the reader and writer of a connection note in passing: plain relaxed words with one writer. They are
//! atomics because a connection that changes protocols must be `Send`; nobody else looks at them but the sweep of
//! the same thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Bytes that came, so far.
    pub(crate) read: AtomicU64,
    /// The last read found nothing.
    pub(crate) read_waits: AtomicBool,
    /// Bytes that the client's socket took, so far.
    pub(crate) written: AtomicU64,
    /// The last write found no room.
    pub(crate) write_waits: AtomicBool,
    /// A call is under way.
    pub(crate) is_called: AtomicBool,
    /// A call was begun since everything was last flushed: what is written now may be ours.
    is_answering: AtomicBool,
}

impl Watch {
    pub(crate) fn begin_call(&self) {
        self.is_called.store(true, Relaxed);
        self.is_answering.store(true, Relaxed);
    }

    pub(crate) fn end_call(&self) {
        self.is_called.store(false, Relaxed);
    }

    /// All that was to be written is.
    pub(crate) fn flushed(&self) {
        if !self.is_called.load(Relaxed) {
            self.is_answering.store(false, Relaxed);
        }
    }

    /// Whether what is written now may come from a call.
    pub(crate) fn is_answering(&self) -> bool {
        self.is_answering.load(Relaxed)
    }

    pub(crate) fn note_read(&self, bytes: usize) {
        self.read.store(self.read.load(Relaxed).wrapping_add(bytes as u64), Relaxed);
        self.read_waits.store(false, Relaxed);
    }

    pub(crate) fn note_written(&self, bytes: usize) {
        self.written.store(self.written.load(Relaxed).wrapping_add(bytes as u64), Relaxed);
        self.write_waits.store(false, Relaxed);
    }
}
