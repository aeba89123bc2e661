//! Instances that a sidecar holds by its lease.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use weft_model::{endpoint::Health, lease::HOLD};

use super::support::{Bench, attached, node};
use crate::registry::{DEREGISTER_AFTER_DEFAULT, LEASE_DEFAULT, Lease, RegistryError};

const A: &str = "orders.default/n1/a";
const SECOND: Duration = Duration::from_secs(1);

async fn attach(bench: &Bench, incarnation: u64) -> Lease {
    bench.registry.attach(attached(A), incarnation, Health::Passing, String::new()).await.expect("attaches")
}

/// Past the hold after the start, so that leases end.
async fn past_hold(bench: &Bench, lease: &Lease) {
    for _ in 0..=HOLD.as_secs() {
        assert!(lease.renew());
        sleep(SECOND).await;
    }
    assert_eq!(bench.instance(A).expect("still there").health, Health::Passing);
    assert!(lease.renew());
}

#[tokio::test(start_paused = true)]
async fn an_attached_instance_lives_as_long_as_it_is_heard() {
    let bench = Bench::new().await;
    let lease = attach(&bench, 1).await;
    past_hold(&bench, &lease).await;
    let revision = bench.store.revision();
    let silent = Instant::now();
    drop(lease);
    let dead = bench.until_instance(A, |held| held.health == Health::Critical).await;
    assert_eq!(dead.reason, "lease expired");
    let after = silent.elapsed();
    assert!(after >= LEASE_DEFAULT && after < LEASE_DEFAULT + SECOND, "{after:?}");
    assert_eq!(bench.store.revision(), revision + 1, "renewals are never commits, the transition is one");
    bench.until(|catalog| catalog.services.is_empty()).await;
    let gone = silent.elapsed();
    assert!(gone >= LEASE_DEFAULT + DEREGISTER_AFTER_DEFAULT && gone < Duration::from_secs(65), "{gone:?}");
    assert!(bench.registry.catalog().nodes.is_empty());
    assert_eq!(bench.registry.stats().lease_expiries.value(), 1);
    assert_eq!(bench.registry.stats().deregistrations.value(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_after_the_lease_ran_out_brings_the_instance_back() {
    let bench = Bench::new().await;
    let lease = attach(&bench, 1).await;
    past_hold(&bench, &lease).await;
    bench.until_instance(A, |held| held.health == Health::Critical).await;
    assert!(lease.renew());
    bench.until_instance(A, |held| held.health == Health::Passing && held.reason.is_empty()).await;
    sleep(LEASE_DEFAULT - SECOND).await;
    assert_eq!(bench.instance(A).expect("there").health, Health::Passing);
}

#[tokio::test(start_paused = true)]
async fn what_the_sidecar_says_is_shown_when_it_is_answered() {
    let bench = Bench::new().await;
    let lease = attach(&bench, 1).await;
    let before = bench.instance(A).expect("there");
    lease.report(Health::Critical, "check failed".to_owned()).await.expect("is taken");
    let after = bench.instance(A).expect("there");
    assert_eq!((after.health, after.reason.as_str()), (Health::Critical, "check failed"));
    assert!(after.modify_revision > before.modify_revision);
    assert_eq!(after.create_revision, before.create_revision);
    lease.deregister().await.expect("goes");
    assert_eq!(bench.instance(A), None);
    let catalog = bench.registry.catalog();
    assert_eq!(catalog.service_index(&super::support::key(A).service), catalog.revision);
}

#[tokio::test(start_paused = true)]
async fn the_same_or_a_higher_incarnation_takes_over_and_a_lower_is_refused() {
    let bench = Bench::new().await;
    let first = attach(&bench, 5).await;
    let second = attach(&bench, 5).await;
    assert!(!first.renew(), "the old stream's lease is over");
    assert!(matches!(
        first.report(Health::Passing, String::new()).await,
        Err(RegistryError::LeaseLost { .. })
    ));
    let third = attach(&bench, 6).await;
    assert!(!second.renew());
    let refused = bench.registry.attach(attached(A), 4, Health::Passing, String::new()).await;
    assert!(matches!(refused, Err(RegistryError::OldIncarnation { held: 6, offered: 4, .. })));
    assert!(matches!(second.deregister().await, Err(RegistryError::LeaseLost { .. })));
    assert!(third.renew());
    assert!(bench.instance(A).is_some());
}

#[tokio::test(start_paused = true)]
async fn attaching_again_with_nothing_new_is_no_commit() {
    let bench = Bench::new().await;
    let lease = attach(&bench, 1).await;
    let revision = bench.store.revision();
    drop(lease);
    let lease = attach(&bench, 1).await;
    assert_eq!(bench.store.revision(), revision);
    assert!(lease.renew());
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_sidecars_have_ten_seconds_to_come_back() {
    let bench = Bench::new().await;
    let lease = attach(&bench, 1).await;
    let before = bench.instance(A).expect("there");
    let bench = bench.restart().await;
    let started = Instant::now();
    assert_eq!(bench.instance(A), Some(before), "it comes back from the store as it was");
    assert!(matches!(lease.report(Health::Passing, String::new()).await, Err(RegistryError::Closed)));
    bench.until_instance(A, |held| held.health == Health::Critical).await;
    let after = started.elapsed();
    assert!(after >= HOLD && after < HOLD + SECOND, "{after:?}");
    let lease = attach(&bench, 1).await;
    assert_eq!(bench.instance(A).expect("there").health, Health::Passing);
    sleep(Duration::from_secs(2)).await;
    assert!(lease.renew());
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_comes_back_in_the_window_is_never_critical() {
    let bench = Bench::new().await;
    drop(attach(&bench, 1).await);
    let bench = bench.restart().await;
    sleep(Duration::from_secs(9)).await;
    let lease = attach(&bench, 1).await;
    for _ in 0..10 {
        sleep(SECOND).await;
        assert!(lease.renew());
        assert_eq!(bench.instance(A).expect("there").health, Health::Passing);
    }
    assert_eq!(bench.registry.stats().transitions.value(), 0);
}

#[tokio::test(start_paused = true)]
async fn many_that_fall_silent_at_once_are_held() {
    let bench = Bench::new().await;
    for number in 0..20 {
        let one = attached(&format!("orders.default/n1/i{number}"));
        drop(bench.registry.attach(one, 1, Health::Passing, String::new()).await.expect("attaches"));
    }
    let started = Instant::now();
    bench
        .until(|catalog| {
            catalog
                .services
                .values()
                .all(|service| service.instances.iter().all(|instance| instance.health == Health::Critical))
        })
        .await;
    assert!(started.elapsed() >= HOLD * 2 - SECOND, "the start's hold, then that of the mass");
    assert_eq!(bench.registry.stats().mass_protections.value(), 1);
}

#[tokio::test(start_paused = true)]
async fn maintenance_outlives_an_attach_and_wins_over_passing() {
    let bench = Bench::new().await;
    drop(attach(&bench, 1).await);
    bench.registry.maintenance(node("n1"), "a", Some("disk swap".to_owned())).await.expect("is taken");
    let _lease = attach(&bench, 2).await;
    let held = bench.instance(A).expect("there");
    assert_eq!((held.health, held.reason.as_str()), (Health::Critical, "disk swap"));
    bench.registry.maintenance(node("n1"), "a", None).await.expect("is taken");
    assert_eq!(bench.instance(A).expect("there").health, Health::Passing);
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_stops_does_not_take_its_successor_with_it() {
    let bench = Bench::new().await;
    let first = attach(&bench, 1).await;
    // Both wait for one commit, the successor before the farewell.
    let (second, farewell) = tokio::join!(
        bench.registry.attach(attached(A), 2, Health::Passing, String::new()),
        first.deregister()
    );
    assert!(matches!(farewell, Err(RegistryError::LeaseLost { .. })), "{farewell:?}");
    assert!(second.expect("attaches").renew());
    assert_eq!(bench.instance(A).expect("there").incarnation, 2);
}

#[tokio::test(start_paused = true)]
async fn who_asks_after_a_service_that_went_before_a_restart_does_not_wait_for_it_to_go_again() {
    let bench = Bench::new().await;
    let lease = attach(&bench, 1).await;
    let service = super::support::key(A).service;
    let seen = bench.registry.catalog().service_index(&service);
    lease.deregister().await.expect("goes");
    let bench = bench.restart().await;
    let catalog = bench.registry.catalog();
    assert!(catalog.service_index(&service) > seen && catalog.changed > seen);
}
