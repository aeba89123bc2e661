//! A store that refuses or stalls, and what a burst costs.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use weft_model::endpoint::Health;

use super::support::{Bench, attached, node, registration, ttl};
use crate::{
    registry::{Origin, RegistryError},
    store::{
        Committed, LeaseId, MemoryStore, Page, Revision, Store, StoreError, Txn, Versioned, Watch, WatchError,
    },
};

const A: &str = "orders.default/n1/a";

/// What the store does with commits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Refuses,
    Stalls,
}

/// A memory store whose commits can be made to fail or to hang.
struct MoodyStore {
    inner: Arc<MemoryStore>,
    mood: watch::Sender<Mood>,
}

impl MoodyStore {
    fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryStore::new(), mood: watch::Sender::new(Mood::Well) })
    }
}

#[async_trait]
impl Store for MoodyStore {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn revision(&self) -> Revision {
        self.inner.revision()
    }

    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.inner.get(key).await
    }

    async fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, StoreError> {
        self.inner.range(prefix, after, limit).await
    }

    async fn commit(&self, txn: Txn) -> Result<Committed, StoreError> {
        let mut mood = self.mood.subscribe();
        let mood = *mood.wait_for(|mood| *mood != Mood::Stalls).await.expect("the sender is in self");
        if mood == Mood::Refuses {
            return Err(StoreError::Disk { path: "data".to_owned(), reason: "no space left".to_owned() });
        }
        self.inner.commit(txn).await
    }

    fn watch(&self, prefix: &str, from: Revision) -> Result<Box<dyn Watch>, WatchError> {
        self.inner.watch(prefix, from)
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.inner.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.revoke(lease).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_changes_but_hides_no_transition() {
    let store = MoodyStore::new();
    let bench = Bench::over(store.clone()).await;
    let lease =
        bench.registry.attach(attached(A), 1, Health::Passing, String::new()).await.expect("attaches");
    let before = bench.instance(A).expect("there");
    store.mood.send_replace(Mood::Refuses);
    let other = registration("web.default/n1/b", Origin::Agent, vec![]);
    let refused = bench.registry.register(other.clone()).await;
    assert!(matches!(refused, Err(RegistryError::Store(StoreError::Disk { .. }))));
    assert_eq!(bench.registry.catalog().services.len(), 1);
    lease.report(Health::Critical, "down".to_owned()).await.expect("is shown");
    let shown = bench.instance(A).expect("there");
    assert_eq!((shown.health, shown.reason.as_str()), (Health::Critical, "down"));
    assert_eq!(shown.modify_revision, before.modify_revision);
    assert!(bench.registry.stats().store_errors.value() >= 2);
    store.mood.send_replace(Mood::Well);
    let stored = bench.until_instance(A, |held| held.modify_revision > before.modify_revision).await;
    assert_eq!(stored.health, Health::Critical);
    bench.registry.register(other).await.expect("registers");
    let bench = bench.restart().await;
    assert_eq!(bench.instance(A), Some(stored));
    assert_eq!(bench.registry.catalog().services.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_the_store_refuses_is_tried_again() {
    let store = MoodyStore::new();
    let bench = Bench::over(store.clone()).await;
    let mut doomed = ttl("t", 5);
    doomed.deregister_after = Some(Duration::from_secs(10));
    bench.registry.register(registration(A, Origin::Agent, vec![doomed])).await.expect("registers");
    store.mood.send_replace(Mood::Refuses);
    sleep(Duration::from_secs(60)).await;
    assert!(bench.instance(A).is_some());
    store.mood.send_replace(Mood::Well);
    bench.until(|catalog| catalog.services.is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_hangs_does_not_hold_back_health() {
    let store = MoodyStore::new();
    let bench = Bench::over(store.clone()).await;
    let lease =
        bench.registry.attach(attached(A), 1, Health::Passing, String::new()).await.expect("attaches");
    store.mood.send_replace(Mood::Stalls);
    let registry = bench.registry.clone();
    let waiting = tokio::spawn(async move {
        registry.register(registration("web.default/n1/b", Origin::Agent, vec![])).await
    });
    tokio::task::yield_now().await;
    let started = Instant::now();
    lease.report(Health::Critical, "down".to_owned()).await.expect("is shown");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(bench.instance(A).expect("there").health, Health::Critical);
    assert!(bench.instance("web.default/n1/b").is_none(), "a registration is shown only when stored");
    store.mood.send_replace(Mood::Well);
    waiting.await.expect("no panic").expect("registers");
    let bench = bench.restart().await;
    assert_eq!(bench.instance(A).expect("there").health, Health::Critical);
    assert!(bench.instance("web.default/n1/b").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_transitions_costs_a_handful_of_commits() {
    let bench = Bench::new().await;
    for number in 0..300 {
        let one = registration(&format!("orders.default/n1/i{number}"), Origin::Catalog, vec![]);
        bench.registry.register(one).await.expect("registers");
    }
    bench.registry.register_check(node("n1"), None, ttl("mem", 60)).await.expect("registers");
    let all = |health| {
        move |catalog: &crate::registry::Catalog| {
            catalog.services.values().flat_map(|service| &service.instances).all(|held| held.health == health)
        }
    };
    bench.until(all(Health::Critical)).await;
    let revision = bench.store.revision();
    bench.registry.report_check(node("n1"), "mem", Health::Passing, String::new()).await.expect("is taken");
    bench.until(all(Health::Passing)).await;
    let commits = bench.store.revision() - revision;
    assert!(commits <= 5, "{commits} commits for 300 transitions");
}
