//! Calls into sled: its errors and its panics come out as one [`Fault`]. sled panics on files that are not as it
//! left them (and on an fsync that fails while it closes); for us both are answers of the disk, so they are caught,
//! and not printed as if the process were dying.

use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
};

use tracing::debug;

use super::{directory::Directory, record::BadRecord};
use crate::store::StoreError;

thread_local! {
    /// Whether this thread is in a call that [`guarded`] looks after.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// What went wrong in sled, or with what it gave us.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Sled(#[from] sled::Error),
    #[error(transparent)]
    Record(#[from] BadRecord),
    #[error("{0}")]
    Damaged(String),
    #[error("sled cannot make sense of it: {0}")]
    Panicked(String),
}

impl Fault {
    pub(super) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged(reason.into())
    }

    /// What it means for an opening.
    pub(super) fn on_open(self, directory: &Directory) -> StoreError {
        match self {
            Self::Sled(sled::Error::Io(error)) if error.raw_os_error().is_some() => directory.refused(&error),
            Self::Sled(error) if is_locked(&error) => {
                StoreError::InUse { path: directory.path().display().to_string(), pid: None }
            }
            fault => directory.damaged(fault.to_string()),
        }
    }
}

/// Makes a call into sled. What it leaves behind after a panic must not be used again: a store that fails to open is
/// dropped, one that fails to write is poisoned.
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    quieten();
    let before = GUARDED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(before);
    outcome.unwrap_or_else(|panic| Err(Fault::Panicked(message(panic.as_ref()))))
}

/// Whether sled could not have its lock, which it says in words only.
pub(super) fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// Keeps the panics of guarded calls off the standard error; all others are told as before.
fn quieten() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let tell = take_hook();
        set_hook(Box::new(move |panic| {
            if GUARDED.try_with(Cell::get).unwrap_or(false) {
                debug!(%panic, "sled panicked");
            } else {
                tell(panic);
            }
        }));
    });
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_fault() {
        let fault = guarded(|| -> Result<(), Fault> { panic!("at the {}", "disco") })
            .map_err(|fault| fault.to_string());
        assert_eq!(fault, Err("sled cannot make sense of it: at the disco".to_owned()));
        assert!(!GUARDED.get(), "and later panics are told again");
    }
}
