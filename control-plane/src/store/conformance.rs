//! What every store must do, whatever it keeps its keys in. Each check is a plain async function of `&dyn Store`
//! (a fresh, empty one); [`conformance_suite!`] makes one test of each for a backend.

mod leases;
mod watches;

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

pub(crate) use self::{leases::*, watches::*};
use super::*;

/// How long anything that must happen may take on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// Makes the tests of one backend. `$open` is a future of something that dereferences to the store and keeps alive
/// what the store needs, such as its directory.
macro_rules! conformance_suite {
    ($open:expr) => {
        $crate::store::conformance::conformance_suite! { @tests $open;
            puts_gets_and_deletes,
            revisions_are_one_more_a_transaction,
            delete_of_an_absent_key_changes_nothing,
            ranges_are_by_prefix_in_byte_order,
            pages_join_without_gap_or_repeat,
            guards_decide_on_revisions,
            refused_transactions_do_nothing,
            compare_and_set_lets_one_of_many_win,
            limits_of_a_transaction_are_errors,
            bad_keys_are_errors,
            values_of_every_size_come_back,
            watch_delivers_whole_transactions_in_order,
            watch_starts_in_the_past,
            watch_of_the_future_waits,
            compacted_watch_names_the_oldest,
            watchers_miss_and_repeat_nothing_under_concurrent_writers,
            list_then_watch_rebuilds_the_store,
            leases_take_their_keys_with_them,
            leases_kept_alive_stay,
            leases_revoked_end_at_once,
            keys_leave_a_lease_when_written_without_it,
            unknown_leases_are_errors,
        }
    };
    (@tests $open:expr; $($name:ident,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let opened = $open.await;
                $crate::store::conformance::$name(&*opened).await;
            }
        )*
    };
}
pub(crate) use conformance_suite;

fn key(name: &str) -> Arc<str> {
    format!("/weft/1/test/default/{name}").into()
}

fn put(name: &str, value: impl Into<Bytes>) -> Operation {
    Operation::Put { key: key(name), value: value.into(), lease: None }
}

fn put_with(name: &str, lease: LeaseId) -> Operation {
    Operation::Put { key: key(name), value: Bytes::from_static(b"leased"), lease: Some(lease) }
}

fn delete(name: &str) -> Operation {
    Operation::Delete { key: key(name) }
}

fn txn(operations: impl IntoIterator<Item = Operation>) -> Txn {
    Txn { guards: Vec::new(), operations: operations.into_iter().collect() }
}

fn guarded(name: &str, expect: Expect, operations: impl IntoIterator<Item = Operation>) -> Txn {
    Txn { guards: vec![Guard { key: key(name), expect }], ..txn(operations) }
}

/// Commits what must succeed.
async fn write(store: &dyn Store, operations: impl IntoIterator<Item = Operation>) -> Revision {
    match store.commit(txn(operations)).await.expect("the store takes writes") {
        Committed::At(revision) => revision,
        refused @ Committed::Refused { .. } => panic!("refused without a guard: {refused:?}"),
    }
}

async fn get(store: &dyn Store, name: &str) -> Option<Versioned> {
    store.get(&key(name)).await.expect("the store is open")
}

async fn names(store: &dyn Store) -> Vec<String> {
    let page = store.range(&key(""), None, PAGE_KEYS_MAX).await.expect("the store is open");
    page.entries.iter().map(|entry| entry.key.rsplit('/').next().unwrap_or_default().to_owned()).collect()
}

async fn next(watch: &mut Box<dyn Watch>) -> WatchEvent {
    timeout(SOON, watch.next()).await.expect("the event comes").expect("the watch goes on")
}

/// Waits for a condition, with a deadline.
async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + SOON;
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn puts_gets_and_deletes(store: &dyn Store) {
    assert_eq!(get(store, "a").await, None);
    let first = write(store, [put("a", "1")]).await;
    let second = write(store, [put("a", "2")]).await;
    let expected = Versioned {
        key: key("a"),
        value: Bytes::from_static(b"2"),
        create_revision: first,
        mod_revision: second,
        lease: None,
    };
    assert_eq!(get(store, "a").await, Some(expected));
    write(store, [delete("a")]).await;
    assert_eq!(get(store, "a").await, None);
    let third = write(store, [put("a", "3")]).await;
    let entry = get(store, "a").await.expect("it was put again");
    assert_eq!((entry.create_revision, entry.mod_revision), (third, third), "a new life begins");
}

pub(crate) async fn revisions_are_one_more_a_transaction(store: &dyn Store) {
    assert_eq!(store.revision(), 0);
    assert_eq!(write(store, [put("a", "1"), put("b", "1"), put("c", "1")]).await, 1);
    assert_eq!(write(store, [put("b", "1"), delete("a")]).await, 2, "an equal value is a write too");
    assert_eq!(store.revision(), 2);
    assert_eq!(get(store, "c").await.map(|entry| entry.mod_revision), Some(1));
    assert_eq!(get(store, "b").await.map(|entry| entry.mod_revision), Some(2));
}

pub(crate) async fn delete_of_an_absent_key_changes_nothing(store: &dyn Store) {
    write(store, [put("a", "1")]).await;
    assert_eq!(write(store, [delete("b")]).await, 1);
    assert_eq!(write(store, []).await, 1);
    let mut watch = store.watch(&key(""), 1).expect("revision 1 is kept");
    assert_eq!(write(store, [delete("b"), put("c", "1")]).await, 2);
    assert_eq!(next(&mut watch).await.revision, 1);
    let event = next(&mut watch).await;
    assert_eq!(event.changes.len(), 1, "the absent key is no change: {event:?}");
}

pub(crate) async fn ranges_are_by_prefix_in_byte_order(store: &dyn Store) {
    write(store, ["b", "a0", "a", "ab", "a/x", "é", "A", "a-"].map(|name| put(name, "1"))).await;
    let page = store.range(&key("a"), None, 10).await.expect("the store is open");
    let keys: Vec<_> = page.entries.iter().map(|entry| Arc::clone(&entry.key)).collect();
    assert_eq!(keys, ["a", "a-", "a/x", "a0", "ab"].map(key));
    assert_eq!((page.revision, page.next), (1, None));
    assert_eq!(names(store).await.last().map(String::as_str), Some("é"));
    let nothing = store.range(&key("zz"), None, 10).await.expect("the store is open");
    assert_eq!(nothing, Page { entries: Vec::new(), revision: 1, next: None });
}

pub(crate) async fn pages_join_without_gap_or_repeat(store: &dyn Store) {
    let all: Vec<_> = (0..25).map(|number| format!("{number:03}")).collect();
    write(store, all.iter().map(|name| put(name, "1"))).await;
    for limit in [1, 5, 7, 25, 26] {
        let (mut after, mut read) = (None, Vec::new());
        loop {
            let page = store.range(&key(""), after.as_deref(), limit).await.expect("the store is open");
            assert!(page.entries.len() <= limit && page.revision == 1);
            read.extend(page.entries.into_iter().map(|entry| entry.key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(read, all.iter().map(|name| key(name)).collect::<Vec<_>>(), "pages of {limit}");
    }
    let page = store.range(&key(""), Some(&key("011a")), 1).await.expect("the store is open");
    assert_eq!(
        page.entries.first().map(|entry| Arc::clone(&entry.key)),
        Some(key("012")),
        "`after` may be absent"
    );
}

pub(crate) async fn guards_decide_on_revisions(store: &dyn Store) {
    write(store, [put("a", "1")]).await;
    write(store, [put("a", "2")]).await;
    let cases = [
        ("a", Expect::ModRevision(2), true),
        ("a", Expect::ModRevision(1), false),
        ("a", Expect::ModRevision(0), false),
        ("a", Expect::CreateRevision(1), true),
        ("a", Expect::CreateRevision(2), false),
        ("a", Expect::Present, true),
        ("absent", Expect::ModRevision(0), true),
        ("absent", Expect::CreateRevision(0), true),
        ("absent", Expect::ModRevision(1), false),
        ("absent", Expect::Present, false),
    ];
    for (name, expect, holds) in cases {
        let committed = store.commit(guarded(name, expect, [])).await.expect("the store takes writes");
        let expected = if holds {
            Committed::At(2)
        } else {
            Committed::Refused { guard: 0, current: get(store, name).await }
        };
        assert_eq!(committed, expected, "{name} {expect:?}");
    }
}

pub(crate) async fn refused_transactions_do_nothing(store: &dyn Store) {
    write(store, [put("a", "1")]).await;
    let mut refused = guarded("a", Expect::Present, [put("a", "2"), put("b", "2"), delete("a0")]);
    refused.guards.push(Guard { key: key("b"), expect: Expect::Present });
    let committed = store.commit(refused).await.expect("the store takes writes");
    assert_eq!(committed, Committed::Refused { guard: 1, current: None });
    assert_eq!((store.revision(), names(store).await), (1, vec!["a".to_owned()]));
    assert_eq!(get(store, "a").await.map(|entry| entry.value), Some(Bytes::from_static(b"1")));
}

pub(crate) async fn compare_and_set_lets_one_of_many_win(store: &dyn Store) {
    const WRITERS: u64 = 8;
    const ROUNDS: u64 = 20;
    write(store, [put("counter", "0")]).await;
    let increment = |_| async move {
        let mut refusals = 0_u64;
        for _ in 0..ROUNDS {
            loop {
                let entry = get(store, "counter").await.expect("it was put");
                let count: u64 = std::str::from_utf8(&entry.value).expect("digits").parse().expect("digits");
                let expect = Expect::ModRevision(entry.mod_revision);
                let txn = guarded("counter", expect, [put("counter", (count + 1).to_string())]);
                match store.commit(txn).await.expect("the store takes writes") {
                    Committed::At(_) => break,
                    Committed::Refused { .. } => refusals += 1,
                }
                tokio::task::yield_now().await;
            }
        }
        refusals
    };
    futures_util::future::join_all((0..WRITERS).map(increment)).await;
    let entry = get(store, "counter").await.expect("it was put");
    assert_eq!(entry.value, (WRITERS * ROUNDS).to_string());
}

pub(crate) async fn limits_of_a_transaction_are_errors(store: &dyn Store) {
    let most: Vec<_> = (0..TXN_OPERATIONS_MAX).map(|number| put(&number.to_string(), "1")).collect();
    assert_eq!(write(store, most.clone()).await, 1);
    let one_more = most.into_iter().chain([put("more", "1")]);
    let fitting = TXN_BYTES_MAX - key("big").len();
    assert_eq!(write(store, [put("big", vec![7; fitting])]).await, 2);
    let bad =
        [txn(one_more), txn([put("big", vec![7; fitting + 1])]), txn([put("twice", "1"), delete("twice")])];
    for txn in bad {
        let refused = store.commit(txn).await;
        assert!(matches!(refused, Err(StoreError::BadTxn { .. })), "{refused:?}");
    }
    assert_eq!(store.revision(), 2);
    assert_eq!(get(store, "big").await.map(|entry| entry.value.len()), Some(fitting));
}

pub(crate) async fn bad_keys_are_errors(store: &dyn Store) {
    let long = format!("{KEY_PREFIX}{}", "é".repeat(KEY_LENGTH_MAX / 2));
    for bad in ["", "/", "/weft/2/x", KEY_PREFIX, &long] {
        let operation = Operation::Delete { key: bad.into() };
        let refused = store.commit(txn([operation])).await;
        assert!(matches!(refused, Err(StoreError::BadKey { .. })), "{bad}: {refused:?}");
        assert_eq!(store.get(bad).await.expect("reading it is no error"), None);
    }
    let longest = format!("{KEY_PREFIX}{}", "k".repeat(KEY_LENGTH_MAX - KEY_PREFIX.len()));
    let operation = Operation::Put { key: longest.into(), value: Bytes::new(), lease: None };
    assert_eq!(write(store, [operation]).await, 1);
}

pub(crate) async fn values_of_every_size_come_back(store: &dyn Store) {
    let sizes = [0, 1, 255, 4_000, 4_096, 4_097, 70_000, 131_072, 524_288];
    for size in sizes {
        let value: Vec<u8> = (0..size).map(|at: usize| at.to_le_bytes()[0] ^ 0x5a).collect();
        write(store, [put("a", value.clone())]).await;
        assert_eq!(get(store, "a").await.map(|entry| entry.value), Some(Bytes::from(value)), "{size} bytes");
    }
}
