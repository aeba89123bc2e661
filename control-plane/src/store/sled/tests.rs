//! What is sled's alone: what survives, what is refused, and how few fdatasyncs are needed.

use std::{fs, ops::Deref};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::store::{Operation, conformance::conformance_suite};

/// A store in a directory that goes with it.
struct Opened {
    store: Arc<SledStore>,
    _dir: TempDir,
}

impl Opened {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        Self { store: SledStore::open(dir.path()).expect("a new store opens"), _dir: dir }
    }
}

impl Deref for Opened {
    type Target = SledStore;

    fn deref(&self) -> &SledStore {
        &self.store
    }
}

conformance_suite!(async { Opened::new() });

fn put(name: &str, value: impl Into<Bytes>, lease: Option<LeaseId>) -> Txn {
    let operation = Operation::Put { key: key(name), value: value.into(), lease };
    Txn { guards: Vec::new(), operations: vec![operation] }
}

fn delete(name: &str) -> Txn {
    Txn { guards: Vec::new(), operations: vec![Operation::Delete { key: key(name) }] }
}

fn key(name: &str) -> Arc<str> {
    format!("/weft/1/test/default/{name}").into()
}

async fn all(store: &SledStore) -> Vec<Versioned> {
    store.range("/weft/1/", None, usize::MAX).await.expect("the store is open").entries
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let dir = TempDir::new().expect("a temporary directory");
    let store = SledStore::open(dir.path()).expect("a new store opens");
    for (name, size) in [("a", 10), ("big", 300_000), ("shrinks", 100_000), ("gone", 9_000), ("empty", 0)] {
        store.commit(put(name, vec![7; size], None)).await.expect("it is written");
    }
    store.commit(put("shrinks", vec![8; 5_000], None)).await.expect("it is written");
    store.commit(delete("gone")).await.expect("it is written");
    let (id, revision, before) = (store.id().to_owned(), store.revision(), all(&store).await);
    store.close().await;
    drop(store);

    let store = SledStore::open(dir.path()).expect("it opens again");
    assert_eq!((store.id(), store.revision()), (&*id, revision));
    assert_eq!(all(&store).await, before);
    let compacted = store.watch("/weft/1/", revision).map(|_| ());
    assert_eq!(compacted, Err(WatchError::Compacted { from: revision, oldest: revision + 1 }));
    let next = store.commit(put("a", "again", None)).await.expect("it is written");
    assert_eq!(next, Committed::At(revision + 1));
}

#[tokio::test]
async fn a_lease_has_its_whole_time_after_a_restart() {
    let dir = TempDir::new().expect("a temporary directory");
    let ttl = Duration::from_millis(700);
    let store = SledStore::open(dir.path()).expect("a new store opens");
    let lease = store.grant(ttl).await.expect("a lease is granted");
    let ended = store.grant(ttl).await.expect("a lease is granted");
    store.revoke(ended).await.expect("it is there");
    store.commit(put("a", "1", Some(lease))).await.expect("it is written");
    drop(store);

    let store = SledStore::open(dir.path()).expect("it opens again");
    let opened = std::time::Instant::now();
    let mut watch = store.watch("/weft/1/", 2).expect("from now on");
    assert!(matches!(store.keep_alive(ended).await, Err(StoreError::NoLease { .. })));
    let event = watch.next().await.expect("the lease runs out");
    assert_eq!((event.revision, event.changes[0].entry.clone()), (2, None));
    // The store began counting before we did.
    assert!(opened.elapsed() > ttl - Duration::from_millis(100), "ended after {:?}", opened.elapsed());
    drop(store);
    let store = SledStore::open(dir.path()).expect("it opens again");
    assert_eq!(all(&store).await, []);
}

#[tokio::test]
async fn a_second_opening_is_refused_until_the_first_closes() {
    let dir = TempDir::new().expect("a temporary directory");
    let store = SledStore::open(dir.path()).expect("a new store opens");
    let refused = SledStore::open(dir.path()).map(|_| ());
    assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
    store.close().await;
    SledStore::open(dir.path()).expect("the first has closed");
}

#[tokio::test]
async fn closing_finishes_what_is_queued() {
    let opened = Opened::new();
    let mut watch = opened.watch("/weft/1/", 1).expect("from now on");
    let commits = (0..50).map(|number| opened.commit(put(&number.to_string(), "1", None)));
    let (answers, ()) = tokio::join!(futures_util::future::join_all(commits), opened.close());
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(u64::try_from(answered).expect("small"), opened.revision());
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(StoreError::Closed))), "{answers:?}");
    for _ in 0..answered {
        watch.next().await.expect("what happened before is told");
    }
    assert_eq!(watch.next().await, Err(WatchError::Closed));
    assert!(matches!(opened.get("/weft/1/a").await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let dir = TempDir::new().expect("a temporary directory");
    drop(SledStore::open(dir.path()).expect("a new store opens"));
    fs::write(dir.path().join("identity"), r#"{"format":2,"id":"x","news":1}"#).expect("it is written");
    let refused = SledStore::open(dir.path()).map(|_| ());
    assert!(matches!(refused, Err(StoreError::NewerFormat { found: 2, known: 1, .. })), "{refused:?}");
}

#[tokio::test]
async fn missing_parts_are_damage_and_nothing_is_deleted() {
    for part in ["identity", "sled/db"] {
        let dir = TempDir::new().expect("a temporary directory");
        let store = SledStore::open(dir.path()).expect("a new store opens");
        store.commit(put("a", "1", None)).await.expect("it is written");
        drop(store);
        let (path, aside) = (dir.path().join(part), dir.path().join("aside"));
        fs::rename(&path, &aside).expect("it is there");
        let refused = SledStore::open(dir.path()).map(|_| ());
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "without {part}: {refused:?}");
        fs::rename(&aside, &path).expect("it is there");
        let store = SledStore::open(dir.path()).expect("with its part back it opens");
        assert_eq!(all(&store).await.len(), 1);
    }
}

#[tokio::test]
async fn an_interrupted_creation_begins_again() {
    let dir = TempDir::new().expect("a temporary directory");
    drop(SledStore::open(dir.path()).expect("a new store opens"));
    fs::remove_file(dir.path().join("identity")).expect("it is there");
    let store = SledStore::open(dir.path()).expect("nobody had an answer from the first");
    store.commit(put("a", "1", None)).await.expect("it is written");
}

#[tokio::test]
async fn an_older_copy_of_the_keys_is_noticed() {
    let dir = TempDir::new().expect("a temporary directory");
    drop(SledStore::open(dir.path()).expect("a new store opens"));
    let (db, older) = (dir.path().join("sled/db"), dir.path().join("older"));
    fs::copy(&db, &older).expect("it is copied");
    let store = SledStore::open(dir.path()).expect("it opens again");
    store.commit(put("a", "1", None)).await.expect("it is written");
    drop(store);
    fs::remove_dir_all(dir.path().join("sled")).expect("it is there");
    fs::create_dir(dir.path().join("sled")).expect("it is made");
    fs::copy(&older, &db).expect("it is copied");
    let refused = SledStore::open(dir.path()).map(|_| ()).expect_err("revision 1 is missing").to_string();
    assert!(refused.contains("revision 1 was acknowledged"), "{refused}");
}

#[tokio::test]
async fn large_values_never_reach_the_files_that_sled_does_not_sync() {
    let opened = Opened::new();
    let longest = "k".repeat(1_900);
    for round in 0..4_u8 {
        for number in 0..20_usize {
            let value = vec![round; 90_000 * (number % 5) + usize::from(round)];
            let committed = opened.commit(put(&format!("{longest}{number}"), value, None)).await;
            committed.expect("it is written");
        }
    }
    let blobs = fs::read_dir(opened._dir.path().join("sled/blobs")).expect("sled makes it").count();
    assert_eq!(blobs, 0);
}
