//! The task that turns catalogs into snapshots. Catalogs that come while one is built are skipped but for
//! the newest.

use std::sync::Arc;

use tokio::sync::watch;
use weft_runtime::drain;

use super::snapshot::ResourceSnapshot;
use crate::registry::Catalog;

/// Starts the task; it ends with the registry or the drain.
pub(super) fn spawn(
    mut catalogs: watch::Receiver<Arc<Catalog>>,
    drain: drain::Watch,
) -> watch::Receiver<Arc<ResourceSnapshot>> {
    let first = ResourceSnapshot::default().succeed(&catalogs.borrow_and_update());
    let (sender, snapshots) = watch::channel(Arc::new(first));
    tokio::spawn(async move {
        while let Some(Ok(())) = drain.unless_draining(catalogs.changed()).await {
            let catalog = Arc::clone(&catalogs.borrow_and_update());
            let next = sender.borrow().succeed(&catalog);
            sender.send_replace(Arc::new(next));
        }
    });
    snapshots
}
