//! The task that turns catalogs, and what resources say, into snapshots. Those that come while one is built are
//! skipped but for the newest.

use std::sync::Arc;

use tokio::sync::watch;
use weft_runtime::drain;

use super::snapshot::ResourceSnapshot;
use crate::{registry::Catalog, resources::Sayings};

/// Starts the task; it ends with the registry or the drain.
pub(super) fn spawn(
    mut catalogs: watch::Receiver<Arc<Catalog>>,
    mut sayings: watch::Receiver<Arc<Sayings>>,
    drain: drain::Watch,
) -> watch::Receiver<Arc<ResourceSnapshot>> {
    let first = ResourceSnapshot::default();
    let first = first.succeed(&catalogs.borrow_and_update(), &sayings.borrow_and_update());
    let (sender, snapshots) = watch::channel(Arc::new(first));
    tokio::spawn(async move {
        while let Some(true) = drain.unless_draining(changed(&mut catalogs, &mut sayings)).await {
            let catalog = Arc::clone(&catalogs.borrow_and_update());
            let said = Arc::clone(&sayings.borrow_and_update());
            let next = sender.borrow().succeed(&catalog, &said);
            sender.send_replace(Arc::new(next));
        }
    });
    snapshots
}

/// Until either is another; false when the registry has ended. Resources that are not followed (any more) hold
/// up nothing.
async fn changed(
    catalogs: &mut watch::Receiver<Arc<Catalog>>,
    sayings: &mut watch::Receiver<Arc<Sayings>>,
) -> bool {
    tokio::select! {
        // The end of the registry first; else the order does not matter, since both are read.
        biased;
        changed = catalogs.changed() => changed.is_ok(),
        Ok(()) = sayings.changed() => true,
    }
}
