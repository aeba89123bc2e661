//! Builders and waits for the registry's tests.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use weft_model::{
    check::{CheckSpec, Probe},
    endpoint::{Health, HopTarget},
    name::{Id, InstanceKey},
};

use crate::{
    registry::{Catalog, CheckRegistration, Instance, Origin, Registration, Registry, RegistryOptions},
    store::{MemoryStore, Store},
};

/// Longer than anything that a test waits for; on a paused clock it costs nothing.
const PATIENCE: Duration = Duration::from_secs(600);

/// A registry that runs, over a store that outlives it.
pub(super) struct Bench {
    pub(super) store: Arc<dyn Store>,
    pub(super) registry: Registry,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::over(MemoryStore::new()).await
    }

    pub(super) async fn over(store: Arc<dyn Store>) -> Self {
        let stop = CancellationToken::new();
        let options = RegistryOptions { stop: stop.clone(), ..RegistryOptions::default() };
        let (registry, task) =
            Registry::start(Arc::clone(&store), options).await.expect("the store can be read");
        Self { store, registry, stop, task }
    }

    /// Ends this registry and starts another over the same store.
    pub(super) async fn restart(self) -> Self {
        self.stop.cancel();
        self.task.await.expect("the task ends without a panic");
        Self::over(self.store).await
    }

    /// Waits until the catalog is as wanted.
    pub(super) async fn until(&self, wanted: impl FnMut(&Catalog) -> bool) -> Arc<Catalog> {
        let mut wanted = wanted;
        let mut shown = self.registry.subscribe();
        let found = timeout(PATIENCE, shown.wait_for(|catalog| wanted(catalog))).await;
        found.expect("comes in time").expect("the registry runs").clone()
    }

    /// Waits until the instance is as wanted.
    pub(super) async fn until_instance(
        &self,
        name: &str,
        wanted: impl Fn(&Instance) -> bool,
    ) -> Arc<Instance> {
        let key = key(name);
        let catalog = self.until(|catalog| catalog.instance(&key).is_some_and(|held| wanted(held))).await;
        Arc::clone(catalog.instance(&key).expect("just seen"))
    }

    pub(super) fn instance(&self, name: &str) -> Option<Arc<Instance>> {
        self.registry.catalog().instance(&key(name)).cloned()
    }
}

/// `orders.default/n1/a`.
pub(super) fn key(name: &str) -> InstanceKey {
    name.parse().expect("an instance's name")
}

pub(super) fn node(name: &str) -> Id {
    Id::node(name).expect("a node's name")
}

pub(super) fn registration(name: &str, origin: Origin, checks: Vec<CheckRegistration>) -> Registration {
    Registration {
        key: key(name),
        address: "10.0.0.1".to_owned(),
        ports: Vec::new(),
        tags: vec!["blue".to_owned()],
        meta: BTreeMap::from([("version".to_owned(), "2".to_owned())]),
        weight: 1,
        weight_warning: 1,
        tagged_addresses: BTreeMap::new(),
        enable_tag_override: false,
        zone: "z1".to_owned(),
        hop: HopTarget::Direct,
        origin,
        checks,
        replace_checks: false,
        deregister_after: None,
    }
}

pub(super) fn attached(name: &str) -> Registration {
    registration(name, Origin::Attach, Vec::new())
}

pub(super) fn check(id: &str, probe: Probe) -> CheckRegistration {
    CheckRegistration {
        id: id.to_owned(),
        name: String::new(),
        notes: String::new(),
        spec: Some(CheckSpec::new(probe)),
        initial: Health::Critical,
        output: String::new(),
        deregister_after: None,
    }
}

pub(super) fn ttl(id: &str, seconds: u64) -> CheckRegistration {
    check(id, Probe::Ttl { ttl: Duration::from_secs(seconds) })
}
