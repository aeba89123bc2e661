//! Moves the keys of a store between backends and machines: `weft store export|import`. Knows only the trait, so
//! every backend can be at either end.
//!
//! ```text
//!  {"weft_store":1,"id":"…","revision":42}                                    header
//!  {"key":"/weft/1/…","value":"text","create_revision":7,"mod_revision":9}    one a key, in order
//!  {"key":"/weft/1/…","base64":"…","create_revision":8,"mod_revision":8}      where the value is not UTF-8
//!  {"keys":2,"leased":1}                                                      trailer
//! ```
//!
//! - An export is the store at one revision, also while others write: pages that were read at an older revision are
//!   brought up to date from the watch.
//! - Keys that are held by a lease are left out and counted (`leased`): their holder is not there any more when
//!   they are imported, and without the lease they would stay for ever.
//! - The trailer tells a whole file from one that was cut off.
//! - An import goes into an empty store. Its keys get revisions of that store, which has an id, and so a history,
//!   of its own; the old ones stand in the file for people.

mod lines;

use std::{
    collections::BTreeMap,
    io::{BufRead, Write},
    sync::Arc,
};

use self::lines::{Header, KeyLine, Line, Trailer};
use super::{
    Committed, KEY_PREFIX, Operation, PAGE_KEYS_MAX, Revision, Store, StoreError, TXN_BYTES_MAX,
    TXN_OPERATIONS_MAX, Txn, Versioned, WatchError,
};

/// The format this program writes, and the newest it reads.
pub const TRANSFER_FORMAT: u32 = 1;
/// How often an export begins again when the history is too short to catch up.
const ATTEMPTS_MAX: u32 = 5;
/// The longest line that can be right: a value of a whole transaction in base64, or all of it JSON escapes.
const LINE_BYTES_MAX: u64 = 8 << 20;

/// Why an export or an import stopped.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store at either end.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// So much was written that an export never caught up.
    #[error("the store changes faster than it can be read; export it while less is written")]
    Busy,
    /// The file at either end.
    #[error("the file cannot be {action}: {source}")]
    File {
        /// `read` or `written`.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not what an export writes.
    #[error("line {line} is not of a store export: {reason}")]
    BadLine {
        /// From 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// Written by a later version.
    #[error("the export has format {found}; this program reads up to {TRANSFER_FORMAT}: use a newer weft")]
    NewerFormat {
        /// The number found.
        found: u32,
    },
    /// The end of the file is missing. What stood before it may be in the store.
    #[error("the export is cut off after {keys} keys: take a whole file, and an empty store")]
    CutOff {
        /// Keys read.
        keys: u64,
    },
    /// There is something in the store already.
    #[error("the store is not empty (`{key}` is there): import into an empty one")]
    NotEmpty {
        /// Its first key.
        key: String,
    },
}

/// Writes all keys of `store` that no lease holds; gives their number.
///
/// # Errors
/// The store's or the file's.
pub async fn export(store: &dyn Store, out: &mut dyn Write) -> Result<u64, TransferError> {
    export_with(store, out, &mut |_| ()).await
}

/// As [`export`], and tells after each key how many are written.
///
/// # Errors
/// The store's or the file's.
pub async fn export_with(
    store: &dyn Store,
    out: &mut dyn Write,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, TransferError> {
    let (revision, entries) = snapshot(store).await?;
    let header = Header { weft_store: TRANSFER_FORMAT, id: store.id().to_owned(), revision };
    lines::write(out, &header)?;
    let mut trailer = Trailer { keys: 0, leased: 0 };
    for entry in entries.into_values() {
        if entry.lease.is_some() {
            trailer.leased += 1;
            continue;
        }
        lines::write(out, &KeyLine::from(&entry))?;
        trailer.keys += 1;
        progress(trailer.keys);
    }
    lines::write(out, &trailer)?;
    out.flush().map_err(|source| TransferError::File { action: "written", source })?;
    Ok(trailer.keys)
}

/// Puts all keys of an export into an empty `store`; gives their number.
///
/// # Errors
/// The store's or the file's. What was read before an error may be in the store: start again with an empty one.
pub async fn import(store: &dyn Store, input: &mut dyn BufRead) -> Result<u64, TransferError> {
    import_with(store, input, &mut |_| ()).await
}

/// As [`import`], and tells after each transaction how many keys are in.
///
/// # Errors
/// The store's or the file's.
pub async fn import_with(
    store: &dyn Store,
    input: &mut dyn BufRead,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, TransferError> {
    if let Some(entry) = store.range(KEY_PREFIX, None, 1).await?.entries.first() {
        return Err(TransferError::NotEmpty { key: entry.key.to_string() });
    }
    let mut reader = lines::Reader::new(input, LINE_BYTES_MAX);
    reader.header()?;
    let (mut batch, mut bytes, mut keys) = (Vec::new(), 0, 0);
    loop {
        match reader.next()? {
            Some(Line::Key(line)) => {
                let operation = Operation::Put {
                    key: line.key.as_str().into(),
                    value: line.value().map_err(|reason| reader.bad(reason))?,
                    lease: None,
                };
                let size = operation.size();
                if batch.len() == TXN_OPERATIONS_MAX || bytes + size > TXN_BYTES_MAX {
                    keys += put(store, std::mem::take(&mut batch), &reader).await?;
                    progress(keys);
                    bytes = 0;
                }
                bytes += size;
                batch.push(operation);
            }
            Some(Line::Trailer(trailer)) => {
                keys += put(store, batch, &reader).await?;
                progress(keys);
                return if trailer.keys == keys { Ok(keys) } else { Err(TransferError::CutOff { keys }) };
            }
            None => return Err(TransferError::CutOff { keys: keys + batch.len() as u64 }),
        }
    }
}

/// Commits one batch; gives its number of keys.
async fn put(
    store: &dyn Store,
    operations: Vec<Operation>,
    reader: &lines::Reader<'_>,
) -> Result<u64, TransferError> {
    let keys = operations.len() as u64;
    match store.commit(Txn { guards: Vec::new(), operations }).await {
        // Without guards nothing is refused.
        Ok(Committed::At(_) | Committed::Refused { .. }) => Ok(keys),
        Err(error @ (StoreError::BadKey { .. } | StoreError::BadTxn { .. })) => {
            Err(reader.bad(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

type Entries = BTreeMap<Arc<str>, Versioned>;

/// The whole store at one revision. Entries share their bytes with the store where that is in memory.
async fn snapshot(store: &dyn Store) -> Result<(Revision, Entries), TransferError> {
    for _ in 0..ATTEMPTS_MAX {
        let (from, to, mut entries) = list(store).await?;
        if catch_up(store, from + 1, to, &mut entries).await? {
            return Ok((to, entries));
        }
    }
    Err(TransferError::Busy)
}

/// All pages, with the revisions of the first and of the last one.
async fn list(store: &dyn Store) -> Result<(Revision, Revision, Entries), TransferError> {
    let mut entries = Entries::new();
    let mut page = store.range(KEY_PREFIX, None, PAGE_KEYS_MAX).await?;
    let first = page.revision;
    loop {
        entries.extend(page.entries.into_iter().map(|entry| (Arc::clone(&entry.key), entry)));
        let Some(after) = page.next else { return Ok((first, page.revision, entries)) };
        page = store.range(KEY_PREFIX, Some(&after), PAGE_KEYS_MAX).await?;
    }
}

/// Applies what happened from `from` to `to`; `false` when the history does not go back so far.
async fn catch_up(
    store: &dyn Store,
    from: Revision,
    to: Revision,
    entries: &mut Entries,
) -> Result<bool, TransferError> {
    if from > to {
        return Ok(true);
    }
    let Ok(mut watch) = store.watch(KEY_PREFIX, from) else { return Ok(false) };
    loop {
        let event = match watch.next().await {
            Ok(event) => event,
            Err(WatchError::Compacted { .. }) => return Ok(false),
            Err(WatchError::Closed) => return Err(StoreError::Closed.into()),
        };
        // Every key is under the prefix, so each revision has its event, `to` among them.
        for change in event.changes {
            match change.entry {
                Some(entry) => entries.insert(change.key, entry),
                None => entries.remove(&change.key),
            };
        }
        if event.revision >= to {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests;
