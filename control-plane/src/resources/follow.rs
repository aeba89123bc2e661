//! The task that follows the store and shows what it has. A follower that fell behind lists again; a record that
//! cannot be read is left out and told of.
//!
//! ```text
//!   list ──▶ watch ──change of a resource──▶ board ──▶ sayings
//!    ▲         │ compacted
//!    └─────────┘
//! ```

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::watch;
use weft_model::resource::Kind;

use super::{Board, Entry, Key, Sayings};
use crate::store::{KEY_PREFIX, PAGE_KEYS_MAX, Revision, Store, StoreError, Versioned, Watch, WatchError};

/// See the module.
pub(super) struct Follower {
    store: Arc<dyn Store>,
    /// As it is shown.
    board: watch::Sender<Arc<Board>>,
    sayings: watch::Sender<Arc<Sayings>>,
}

type Shown = (watch::Receiver<Arc<Board>>, watch::Receiver<Arc<Sayings>>);

impl Follower {
    /// With all that is stored now.
    pub(super) async fn load(
        store: Arc<dyn Store>,
    ) -> Result<(Self, watch::Receiver<Arc<Board>>, watch::Receiver<Arc<Sayings>>), StoreError> {
        let (board, shown) = watch::channel(Arc::default());
        let (sayings, said) = watch::channel(Arc::default());
        let follower = Self { store, board, sayings };
        follower.list().await?;
        let (shown, said): Shown = (shown, said);
        Ok((follower, shown, said))
    }

    /// Until the store is closed.
    pub(super) async fn run(self) {
        loop {
            let from = self.board.borrow().revision() + 1;
            // One watch over all: four would wake as often, and here a transaction is seen whole.
            let ended = match self.store.watch(KEY_PREFIX, from) {
                Ok(watch) => self.follow(watch).await,
                Err(error) => error,
            };
            if ended == WatchError::Closed {
                return;
            }
            tracing::warn!(%ended, "resources are listed again");
            if let Err(error) = self.list().await {
                tracing::error!(%error, "resources cannot be read any more: what is known stays");
                return;
            }
        }
    }

    async fn follow(&self, mut watch: Box<dyn Watch>) -> WatchError {
        loop {
            let event = match watch.next().await {
                Ok(event) => event,
                Err(ended) => return ended,
            };
            let changes: Vec<(Key, Option<Entry>)> = event
                .changes
                .iter()
                .filter_map(|change| Some((Key::parse(&change.key)?, change.entry.as_ref())))
                .map(|(key, entry)| (key.clone(), entry.and_then(|entry| read(key, entry))))
                .collect();
            if !changes.is_empty() {
                self.show(changes, event.revision);
            }
        }
    }

    /// Reads all, and shows what differs from what is shown.
    async fn list(&self) -> Result<(), StoreError> {
        let (mut changes, mut revision) = (Vec::new(), None);
        for kind in Kind::ALL {
            let (entries, read_at) = list(self.store.as_ref(), kind).await?;
            // The watch goes on from the oldest reading: what comes twice is the same twice.
            revision = Some(revision.map_or(read_at, |oldest: Revision| oldest.min(read_at)));
            changes.extend(entries);
        }
        let present: BTreeSet<Key> = changes.iter().map(|(key, _)| key.clone()).collect();
        let board = Arc::clone(&self.board.borrow());
        let gone = board.all().map(|entry| &entry.key).filter(|key| !present.contains(*key));
        changes.extend(gone.map(|key| (key.clone(), None)));
        self.show(changes, revision.unwrap_or_default());
        Ok(())
    }

    fn show(&self, changes: Vec<(Key, Option<Entry>)>, revision: Revision) {
        let mut board = Board::clone(&self.board.borrow());
        let touched = board.apply(changes, revision);
        let sayings = board.sayings(&self.sayings.borrow(), &touched);
        // What is said first: who waits for the board may ask by how many sidecars it was applied.
        self.sayings.send_if_modified(|said| {
            let other = **said != sayings;
            if other {
                *said = Arc::new(sayings);
            }
            other
        });
        self.board.send_replace(Arc::new(board));
    }
}

async fn list(store: &dyn Store, kind: Kind) -> Result<(Vec<(Key, Option<Entry>)>, Revision), StoreError> {
    let prefix = format!("{KEY_PREFIX}{}/", kind.plural());
    let (mut entries, mut after, mut revision) = (Vec::new(), None::<Arc<str>>, None);
    loop {
        let page = store.range(&prefix, after.as_deref(), PAGE_KEYS_MAX).await?;
        let _first = revision.get_or_insert(page.revision);
        let keyed = page.entries.iter().filter_map(|entry| Some((Key::parse(&entry.key)?, entry)));
        entries.extend(keyed.filter_map(|(key, entry)| Some((key.clone(), Some(read(key, entry)?)))));
        after = page.next;
        if after.is_none() {
            return Ok((entries, revision.unwrap_or_default()));
        }
    }
}

/// One bad record must not take the others with it.
fn read(key: Key, entry: &Versioned) -> Option<Entry> {
    let shown = key.to_string();
    match Entry::decode(key, entry) {
        Ok(entry) => {
            if !entry.trouble.is_empty() {
                tracing::warn!(
                    resource = shown,
                    trouble = entry.trouble,
                    "a stored resource is not valid any more"
                );
            }
            Some(entry)
        }
        Err(error) => {
            tracing::error!(resource = shown, error, "a record is left out of the resources");
            None
        }
    }
}
