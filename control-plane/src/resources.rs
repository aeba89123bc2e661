//! What users say about the calls of services, as resources: kept in the store, read once a change into plain
//! values by service, which discovery carries to sidecars. It knows neither HTTP nor gRPC, nor what a resource
//! may say (`weft_model::resource` does).
//!
//! ```text
//!  HTTP ──create, replace, delete──▶ write ──guarded commit──▶ store
//!    ▲                                                           │ watch
//!    └────────── Arc<Board> (all resources) ◀── follow ◀─────────┘
//!                Arc<Sayings> (by service) ──▶ discovery
//! ```
//! A write is answered when the board shows it, so whoever reads next sees it.

mod board;
mod follow;
mod record;
mod write;

use std::{collections::BTreeMap, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use weft_model::{name::ServiceName, traffic::Item};

use crate::store::{Store, StoreError};

pub use board::Board;
pub use record::{Entry, Key};
pub use write::{Mode, WriteError, Written};

/// What is said about one service, one item a resource.
pub type Said = Arc<Vec<Item>>;
/// All that is said, by service.
pub type Sayings = BTreeMap<ServiceName, Said>;

/// Resources that are kept, at most: a thousand services with ten each.
pub const RESOURCES_MAX: usize = 10_000;
/// Bytes of one as it is stored, at most: a commit of one stays far below the store's limit.
pub const RESOURCE_BYTES_MAX: usize = 256 * 1_024;

/// All resources. Clones are cheap.
#[derive(Clone)]
pub struct Resources {
    store: Arc<dyn Store>,
    board: watch::Receiver<Arc<Board>>,
    sayings: watch::Receiver<Arc<Sayings>>,
}

impl Resources {
    /// Reads all from the store, then follows it until `stop`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(
        store: Arc<dyn Store>,
        stop: CancellationToken,
    ) -> Result<(Self, JoinHandle<()>), StoreError> {
        let (follower, board, sayings) = follow::Follower::load(Arc::clone(&store)).await?;
        let task = tokio::spawn(async move {
            stop.run_until_cancelled(follower.run()).await;
        });
        Ok((Self { store, board, sayings }, task))
    }

    /// Now.
    pub fn board(&self) -> Arc<Board> {
        self.board.borrow().clone()
    }

    /// What is said about services, now and all that comes.
    pub fn sayings(&self) -> watch::Receiver<Arc<Sayings>> {
        self.sayings.clone()
    }
}
