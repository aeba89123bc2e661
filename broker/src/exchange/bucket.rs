//! A bag of destinations that one key, one pattern or one exchange leads to. An entry knows its binding, and the
//! binding knows its place here, so that any entry leaves in constant time however large the bag is.

use smallvec::SmallVec;

use super::{Destination, bindings::BindingId};

/// One binding's destination.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) destination: Destination,
    pub(super) binding: BindingId,
}

/// Entries in no order. One destination stands in it as often as bindings lead there; who collects them counts it
/// once.
#[derive(Debug, Default)]
pub(super) struct Bucket(SmallVec<[Entry; 1]>);

impl Bucket {
    /// Adds an entry and says where it stands.
    pub(super) fn push(&mut self, destination: Destination, binding: BindingId) -> u32 {
        let at = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.push(Entry { destination, binding });
        at
    }

    /// Takes the entry at `at` out. The last one moves into its place and is handed back, so that its binding hears
    /// of it.
    pub(super) fn take(&mut self, at: u32) -> Option<BindingId> {
        let at = at as usize;
        if at >= self.0.len() {
            return None;
        }
        self.0.swap_remove(at);
        let moved = self.0.get(at).map(|entry| entry.binding);
        if self.0.len() <= 1 {
            self.0.shrink_to_fit();
        }
        moved
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
