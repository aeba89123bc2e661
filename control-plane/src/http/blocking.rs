//! Blocking queries on the catalog: an answer waits until the thing asked about changed beyond the caller's
//! index, the wait is over, or the control plane stops.
//!
//! ```text
//!  index absent, 0, or above the current revision ──▶ answer
//!  changed beyond index ────────────────────────────▶ answer
//!  else ─▶ wait ─┬─ a catalog in which it changed ──▶ answer
//!                └─ time over, or stopping ─────────▶ answer
//! ```

use std::sync::Arc;

use serde::Serialize;
use tokio::{sync::watch, time};

use super::{
    Api,
    ask::{Ask, Blocking},
    error::ApiError,
    reply::Reply,
};
use crate::{registry::Catalog, store::Revision};

/// A read of the catalog. `changed` tells at which revision the thing asked about last changed, `view` makes
/// the answer.
///
/// # Errors
/// 400 when `index` or `wait` cannot be read, 429 when too many wait already.
pub(crate) async fn read<T: Serialize>(
    api: &Api,
    ask: &Ask,
    changed: impl Fn(&Catalog) -> Revision,
    view: impl FnOnce(&Catalog) -> T,
) -> Result<Reply<T>, ApiError> {
    let blocking = ask.blocking()?;
    let mut catalogs = api.registry.subscribe();
    let mut catalog = catalogs.borrow_and_update().clone();
    if let Some(blocking) = blocking
        && blocking.index <= catalog.revision.max(1)
        && changed(&catalog) <= blocking.index
    {
        let _waiting = api.begin_blocking()?;
        wait(&mut catalog, &mut catalogs, blocking, &api.stopping, changed).await;
    }
    Ok(Reply::at(catalog.revision, view(&catalog)))
}

async fn wait(
    catalog: &mut Arc<Catalog>,
    catalogs: &mut watch::Receiver<Arc<Catalog>>,
    blocking: Blocking,
    stopping: &tokio_util::sync::CancellationToken,
    changed: impl Fn(&Catalog) -> Revision,
) {
    let over = time::sleep(blocking.wait);
    tokio::pin!(over);
    while changed(catalog) <= blocking.index {
        tokio::select! {
            // A change that came with the end of the wait is worth telling.
            biased;
            came = catalogs.changed() => match came {
                Ok(()) => *catalog = catalogs.borrow_and_update().clone(),
                Err(_closed) => return,
            },
            () = stopping.cancelled() => return,
            () = &mut over => return,
        }
    }
}
