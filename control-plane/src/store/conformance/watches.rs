//! Watches: whole transactions, in order, from any kept revision, without a hole.

use super::*;

pub(crate) async fn watch_delivers_whole_transactions_in_order(store: &dyn Store) {
    let mut watch = store.watch(&key("in"), store.revision() + 1).expect("from now on");
    write(store, [put("in-b", "1"), put("out", "1"), put("in-a", "1")]).await;
    write(store, [put("out", "2")]).await;
    write(store, [delete("in-a"), put("in-b", "3")]).await;
    let first = next(&mut watch).await;
    let changed: Vec<_> = first.changes.iter().map(|change| Arc::clone(&change.key)).collect();
    assert_eq!((first.revision, changed), (1, vec![key("in-a"), key("in-b")]));
    let third = next(&mut watch).await;
    assert_eq!((third.revision, third.changes.len()), (3, 2));
    assert_eq!(third.changes[0], Change { key: key("in-a"), entry: None });
    assert_eq!(third.changes[1].entry, get(store, "in-b").await);
}

pub(crate) async fn watch_starts_in_the_past(store: &dyn Store) {
    for value in ["1", "2", "3"] {
        write(store, [put("a", value)]).await;
    }
    for from in 0..=3 {
        let mut watch = store.watch(&key("a"), from).expect("all is kept");
        for revision in from.max(1)..=3 {
            assert_eq!(next(&mut watch).await.revision, revision);
        }
        let more = timeout(Duration::from_millis(5), watch.next()).await;
        assert!(more.is_err(), "nothing more has happened: {more:?}");
    }
}

pub(crate) async fn watch_of_the_future_waits(store: &dyn Store) {
    let mut watch = store.watch(&key(""), 3).expect("it may come");
    for value in ["1", "2", "3"] {
        write(store, [put("a", value)]).await;
    }
    assert_eq!(next(&mut watch).await.revision, 3);
}

pub(crate) async fn compacted_watch_names_the_oldest(store: &dyn Store) {
    let mut slow = store.watch(&key(""), 1).expect("from now on");
    let transactions = u64::try_from(HISTORY_CHANGES_MAX / TXN_OPERATIONS_MAX).expect("small") + 2;
    for _ in 0..transactions {
        write(store, (0..TXN_OPERATIONS_MAX).map(|number| put(&number.to_string(), "1"))).await;
    }
    let oldest = match store.watch(&key(""), 1).map(|_| ()) {
        Err(WatchError::Compacted { from: 1, oldest }) => oldest,
        other => panic!("revision 1 is gone, but: {other:?}"),
    };
    assert!(oldest > 1 && oldest <= store.revision());
    let fell_behind = timeout(SOON, slow.next()).await.expect("it is told at once");
    assert_eq!(fell_behind, Err(WatchError::Compacted { from: 1, oldest }));
    let mut watch = store.watch(&key(""), oldest).expect("the oldest can be watched from");
    assert_eq!(next(&mut watch).await.revision, oldest);
}

pub(crate) async fn watchers_miss_and_repeat_nothing_under_concurrent_writers(store: &dyn Store) {
    const WRITERS: usize = 6;
    const WRITES: u64 = 60;
    let last = Revision::try_from(WRITERS).expect("small") * WRITES;
    let write_some = |writer: usize| async move {
        for number in 0..WRITES {
            // Two keys at once: a watcher that sees one must see both.
            let value = number.to_string();
            write(store, [put(&format!("{writer}-a"), value.clone()), put(&format!("{writer}-b"), value)])
                .await;
            tokio::task::yield_now().await;
        }
    };
    let follow = |from: Revision| async move {
        let mut watch = store.watch(&key(""), from).expect("all is kept");
        for revision in from..=last {
            let event = next(&mut watch).await;
            assert_eq!((event.revision, event.changes.len()), (revision, 2), "from {from}");
            tokio::task::yield_now().await;
        }
    };
    let writers = futures_util::future::join_all((0..WRITERS).map(write_some));
    let watchers = futures_util::future::join_all([1, 2, 50, last / 2, last].map(follow));
    futures_util::future::join(writers, watchers).await;
    assert_eq!(store.revision(), last);
}

pub(crate) async fn list_then_watch_rebuilds_the_store(store: &dyn Store) {
    const WRITES: u64 = 300;
    let write_some = async {
        for number in 0..WRITES {
            let name = (number * 7 % 31).to_string();
            if number % 3 == 0 {
                write(store, [delete(&name), put("tick", number.to_string())]).await;
            } else {
                write(store, [put(&name, number.to_string())]).await;
            }
            tokio::task::yield_now().await;
        }
    };
    let follow = async {
        eventually("some writes", || async { store.revision() > 40 }).await;
        let page = store.range(&key(""), None, PAGE_KEYS_MAX).await.expect("the store is open");
        let mut seen: std::collections::BTreeMap<_, _> =
            page.entries.into_iter().map(|entry| (Arc::clone(&entry.key), entry)).collect();
        let mut watch = store.watch(&key(""), page.revision + 1).expect("it is kept");
        for _ in page.revision..WRITES {
            for change in next(&mut watch).await.changes {
                match change.entry {
                    Some(entry) => seen.insert(change.key, entry),
                    None => seen.remove(&change.key),
                };
            }
        }
        seen
    };
    let ((), seen) = futures_util::future::join(write_some, follow).await;
    let page = store.range(&key(""), None, PAGE_KEYS_MAX).await.expect("the store is open");
    assert_eq!(seen.into_values().collect::<Vec<_>>(), page.entries);
}
