//! Whatever sidecars and people do in whatever order, the registry shows what a simple model says, and no index
//! that a blocking query was given is ever taken back.

use std::{collections::BTreeMap, time::Duration};

use proptest::{collection::vec, prelude::*};
use weft_model::endpoint::Health;

use super::support::{Bench, attached, key, node};
use crate::{
    registry::{Lease, RegistryError},
    store::Revision,
};

/// All leases have ended by then, and what they held is removed: the start's hold, that of a mass, the lease and
/// the time to the removal.
const SILENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone)]
enum Step {
    Attach { id: u8, incarnation: u64 },
    Leave(u8),
    Remove(u8),
    Silence,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    // Few ids, so that steps meet.
    prop_oneof![
        8 => (0..3_u8, 1..4_u64).prop_map(|(id, incarnation)| Step::Attach { id, incarnation }),
        3 => (0..3_u8).prop_map(Step::Leave),
        3 => (0..3_u8).prop_map(Step::Remove),
        1 => Just(Step::Silence),
        1 => Just(Step::Restart),
    ]
}

/// The registry, and what it ought to be.
struct Pair {
    bench: Bench,
    /// Incarnations by id.
    model: BTreeMap<u8, u64>,
    leases: BTreeMap<u8, Lease>,
    index: Revision,
}

impl Pair {
    async fn take(mut self, step: &Step) -> Self {
        match *step {
            Step::Attach { id, incarnation } => self.attach(id, incarnation).await,
            Step::Leave(id) => {
                if let Some(lease) = self.leases.remove(&id) {
                    lease.deregister().await.expect("it holds the lease");
                    self.model.remove(&id);
                }
            }
            Step::Remove(id) => {
                let removed = self.bench.registry.deregister(node("n1"), &format!("i{id}")).await;
                assert_eq!(removed.is_ok(), self.model.remove(&id).is_some(), "{removed:?}");
                assert!(self.leases.remove(&id).is_none_or(|lease| !lease.renew()), "its lease is over");
            }
            Step::Silence => {
                tokio::time::sleep(SILENCE).await;
                self.model.clear();
                self.leases.clear();
            }
            Step::Restart => {
                self.leases.clear();
                self.bench = self.bench.restart().await;
            }
        }
        self.compare();
        self
    }

    async fn attach(&mut self, id: u8, incarnation: u64) {
        let registration = attached(&format!("orders.default/n1/i{id}"));
        let result =
            self.bench.registry.attach(registration, incarnation, Health::Passing, String::new()).await;
        if self.model.get(&id).is_some_and(|held| *held > incarnation) {
            assert!(matches!(result, Err(RegistryError::OldIncarnation { .. })), "{result:?}");
            return;
        }
        let before = self.leases.insert(id, result.expect("nobody younger has it"));
        assert!(before.is_none_or(|before| !before.renew()), "two hold one lease");
        self.model.insert(id, incarnation);
    }

    fn compare(&mut self) {
        let catalog = self.bench.registry.catalog();
        let service = key("orders.default/n1/i0").service;
        let shown = catalog.services.get(&service).into_iter().flat_map(|service| &service.instances);
        let shown: BTreeMap<String, u64> =
            shown.map(|instance| (instance.key.id.to_string(), instance.incarnation)).collect();
        let wanted: BTreeMap<String, u64> =
            self.model.iter().map(|(id, incarnation)| (format!("i{id}"), *incarnation)).collect();
        assert_eq!(shown, wanted);
        let index = catalog.service_index(&service);
        assert!(self.index <= index && index <= catalog.revision, "{} {index}", self.index);
        assert!(index <= catalog.changed && catalog.revision <= self.bench.store.revision());
        self.index = index;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_registry_is_what_a_simple_model_says_and_no_index_goes_back(script in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime starts");
        runtime.block_on(async {
            let bench = Bench::new().await;
            let mut pair =
                Pair { bench, model: BTreeMap::new(), leases: BTreeMap::new(), index: Revision::default() };
            for step in &script {
                pair = pair.take(step).await;
            }
        });
    }
}
