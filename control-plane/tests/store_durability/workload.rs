//! What the writers write, so that a reader can tell from the keys alone whether anything is missing, is half there,
//! or is there though it should not be.
//!
//! Task `t` commits its transactions 1, 2, 3, … one after the other; number `n` puts two keys for `n`, overwrites
//! the task's `last` with `n`, and deletes the two keys of `n - KEPT`. So after any number of whole transactions
//! the task has exactly `last` and the pairs of the `KEPT` numbers up to it.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use weft_control_plane::store::{Operation, PAGE_KEYS_MAX, Store, Txn, Versioned};

/// Tasks that write at the same time, so that groups form.
pub(crate) const TASKS: u64 = 4;
/// Transactions whose pair of keys is there at a time.
const KEPT: u64 = 20;
const PREFIX: &str = "/weft/1/durability/default/";

/// By task, the last number; 0 = none.
pub(crate) type Last = BTreeMap<u64, u64>;

/// Transaction `number` of `task`.
pub(crate) fn txn(task: u64, number: u64) -> Txn {
    let put = |name: &str, value: Bytes| Operation::Put { key: key(task, name), value, lease: None };
    let mut operations = vec![
        put("last", number.to_string().into()),
        put(&format!("{number}-x"), value(task, number)),
        put(&format!("{number}-y"), value(task, number)),
    ];
    if let Some(old) = number.checked_sub(KEPT).filter(|old| *old > 0) {
        operations.push(Operation::Delete { key: key(task, &format!("{old}-x")) });
        operations.push(Operation::Delete { key: key(task, &format!("{old}-y")) });
    }
    Txn { guards: Vec::new(), operations }
}

/// Reads the whole store, and checks that it is what whole transactions make.
///
/// # Errors
/// Names the first key that is wrong.
pub(crate) async fn read(store: &dyn Store) -> anyhow::Result<Last> {
    let mut entries = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.range(PREFIX, after.as_deref(), PAGE_KEYS_MAX).await?;
        entries.extend(page.entries.into_iter().map(|entry| (Arc::clone(&entry.key), entry)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut last = Last::new();
    for task in 0..TASKS {
        last.insert(task, take_task(&mut entries, task).with_context(|| format!("task {task}"))?);
    }
    ensure!(entries.is_empty(), "not written by whole transactions: {:?}", entries.keys());
    Ok(last)
}

/// Takes out what belongs to one task.
fn take_task(entries: &mut BTreeMap<Arc<str>, Versioned>, task: u64) -> anyhow::Result<u64> {
    let Some(entry) = entries.remove(&key(task, "last")) else { return Ok(0) };
    let last: u64 = std::str::from_utf8(&entry.value)?.parse()?;
    for number in last.saturating_sub(KEPT - 1).max(1)..=last {
        let mut half = |side| entries.remove(&key(task, &format!("{number}-{side}")));
        let (x, y) = (half("x"), half("y"));
        let (Some(x), Some(y)) = (x, y) else { anyhow::bail!("{number} of {last} is missing or half there") };
        ensure!(x.mod_revision == y.mod_revision, "{number}: {} and {}", x.mod_revision, y.mod_revision);
        ensure!(number != last || x.mod_revision == entry.mod_revision, "{number}: the last is half there");
        ensure!(x.value == value(task, number) && y.value == x.value, "{number}: not the value written");
    }
    Ok(last)
}

fn key(task: u64, name: &str) -> Arc<str> {
    format!("{PREFIX}{task}-{name}").into()
}

/// Mostly small, now and then large enough to be cut into many chunks.
fn value(task: u64, number: u64) -> Bytes {
    let size = match number {
        // Twice this is nearly all a transaction may have, and more than a segment of sled's log.
        _ if number.is_multiple_of(101) => 500_000,
        _ if number.is_multiple_of(17) => 30_000,
        _ => 300,
    };
    let mut value = vec![0; size];
    fastrand::Rng::with_seed(task << 32 | number).fill(&mut value);
    value.into()
}
