//! Leases: what ends with them, and what keeps them.

use super::*;

/// A lease that runs out while a test waits.
const SHORT_TTL: Duration = Duration::from_millis(300);

pub(crate) async fn leases_take_their_keys_with_them(store: &dyn Store) {
    let lease = store.grant(SHORT_TTL).await.expect("a lease is granted");
    assert_ne!(lease, 0);
    assert_eq!(store.revision(), 0, "a lease is no transaction");
    write(store, [put_with("a", lease), put_with("b", lease), put("stays", "1")]).await;
    assert_eq!(get(store, "a").await.and_then(|entry| entry.lease), Some(lease));
    let mut watch = store.watch(&key(""), 2).expect("from now on");
    let event = next(&mut watch).await;
    let gone = |name| Change { key: key(name), entry: None };
    assert_eq!(event, WatchEvent { revision: 2, changes: vec![gone("a"), gone("b")] });
    assert_eq!(names(store).await, ["stays"]);
    eventually("the lease is gone", || async {
        matches!(store.keep_alive(lease).await, Err(StoreError::NoLease { .. }))
    })
    .await;
}

pub(crate) async fn leases_kept_alive_stay(store: &dyn Store) {
    let lease = store.grant(SHORT_TTL).await.expect("a lease is granted");
    write(store, [put_with("a", lease)]).await;
    let end = Instant::now() + 3 * SHORT_TTL;
    while Instant::now() < end {
        // A machine that stops for longer than the lease ends it, and rightly so.
        let since = Instant::now();
        let kept = store.keep_alive(lease).await;
        sleep(SHORT_TTL / 10).await;
        if since.elapsed() > SHORT_TTL / 2 {
            return;
        }
        kept.expect("it was kept alive in time");
    }
    assert!(get(store, "a").await.is_some());
}

pub(crate) async fn leases_revoked_end_at_once(store: &dyn Store) {
    let lease = store.grant(LEASE_TTL_MAX).await.expect("a lease is granted");
    // More keys than a transaction of a client may have.
    for first in [0, TXN_OPERATIONS_MAX] {
        let names = (first..first + TXN_OPERATIONS_MAX).map(|number| number.to_string());
        write(store, names.map(|name| put_with(&name, lease))).await;
    }
    store.revoke(lease).await.expect("it is there");
    assert_eq!((names(store).await.len(), store.revision()), (0, 3));
    let mut watch = store.watch(&key(""), 3).expect("it is kept");
    assert_eq!(next(&mut watch).await.changes.len(), 2 * TXN_OPERATIONS_MAX);
    assert!(matches!(store.revoke(lease).await, Err(StoreError::NoLease { .. })));
}

pub(crate) async fn keys_leave_a_lease_when_written_without_it(store: &dyn Store) {
    let first = store.grant(LEASE_TTL_MAX).await.expect("a lease is granted");
    let second = store.grant(LEASE_TTL_MAX).await.expect("a lease is granted");
    write(store, [put_with("free", first), put_with("moved", first), put_with("held", first)]).await;
    write(store, [put("free", "1"), put_with("moved", second)]).await;
    store.revoke(first).await.expect("it is there");
    assert_eq!(names(store).await, ["free", "moved"]);
    store.revoke(second).await.expect("it is there");
    assert_eq!(names(store).await, ["free"]);
}

pub(crate) async fn unknown_leases_are_errors(store: &dyn Store) {
    let no_lease = |error| matches!(error, StoreError::NoLease { lease: 99 });
    assert!(store.commit(txn([put("a", "1"), put_with("b", 99)])).await.is_err_and(no_lease));
    assert!(store.keep_alive(99).await.is_err_and(no_lease));
    assert!(store.revoke(99).await.is_err_and(no_lease));
    for ttl in [Duration::ZERO, LEASE_TTL_MAX + Duration::from_nanos(1)] {
        let refused = store.grant(ttl).await;
        assert!(matches!(refused, Err(StoreError::BadLease { .. })), "{refused:?}");
    }
    assert_eq!((names(store).await.len(), store.revision()), (0, 0));
}
