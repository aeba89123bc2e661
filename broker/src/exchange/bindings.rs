//! The set of bindings that leave one exchange: each once, found by what it is, and listed by where it leads.
//! It knows nothing of how keys are matched.
//!
//! ```text
//!  hash of (destination, key, arguments) ─▶ index ─▶ slot ─▶ next of the same hash
//!  destination ─▶ heads ─▶ slot ◀─▶ slot ◀─▶ slot              (doubly linked, for a queue that is deleted)
//! ```

use std::{collections::HashMap, hash::BuildHasher, sync::Arc};

use foldhash::fast::RandomState;

use super::{Destination, arguments::Arguments};

/// The end of a chain.
const NIL: u32 = u32::MAX;

/// The number of a binding within its exchange; given out again once the binding is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BindingId(pub(super) u32);

/// One binding.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) destination: Destination,
    pub(super) key: Arc<str>,
    pub(super) arguments: Arguments,
    /// Where the matcher keeps it.
    pub(super) place: Place,
}

/// A matcher's note to itself: which of its buckets, and where in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) bucket: u32,
    pub(super) at: u32,
}

#[derive(Debug)]
struct Slot {
    binding: Binding,
    same_hash: u32,
    before: u32,
    after: u32,
}

/// The set. Its hasher is a parameter for the tests alone, which want collisions.
#[derive(Debug, Default)]
pub(super) struct Bindings<S = RandomState> {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    index: HashMap<u64, u32, RandomState>,
    heads: HashMap<Destination, u32, RandomState>,
    hasher: S,
}

impl<S: BuildHasher> Bindings<S> {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn find(
        &self,
        destination: Destination,
        key: &str,
        arguments: &Arguments,
    ) -> Option<BindingId> {
        let mut at = *self.index.get(&self.hash(destination, key, arguments))?;
        while let Some(slot) = self.slot(at) {
            let here = &slot.binding;
            if here.destination == destination && *here.key == *key && here.arguments == *arguments {
                return Some(BindingId(at));
            }
            at = slot.same_hash;
        }
        None
    }

    /// Adds a binding that is not in the set.
    pub(super) fn insert(
        &mut self,
        destination: Destination,
        key: Arc<str>,
        arguments: Arguments,
    ) -> BindingId {
        let hash = self.hash(destination, &key, &arguments);
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(NIL)
        });
        let same_hash = self.index.insert(hash, at).unwrap_or(NIL);
        let after = self.heads.insert(destination, at).unwrap_or(NIL);
        if let Some(slot) = self.slot_mut(after) {
            slot.before = at;
        }
        let binding = Binding { destination, key, arguments, place: Place::default() };
        if let Some(place) = self.slots.get_mut(at as usize) {
            *place = Some(Slot { binding, same_hash, before: NIL, after });
        }
        BindingId(at)
    }

    pub(super) fn remove(&mut self, id: BindingId) -> Option<Binding> {
        let slot = self.slots.get_mut(id.0 as usize)?.take()?;
        self.free.push(id.0);
        self.unlink_hash(id.0, &slot);
        self.unlink_destination(&slot);
        Some(slot.binding)
    }

    pub(super) fn at_mut(&mut self, id: BindingId) -> Option<&mut Binding> {
        self.slot_mut(id.0).map(|slot| &mut slot.binding)
    }

    /// A binding that leads there, while there is one.
    pub(super) fn leading_to(&self, destination: Destination) -> Option<BindingId> {
        self.heads.get(&destination).copied().map(BindingId)
    }

    /// All that lead there.
    pub(super) fn all_leading_to(&self, destination: Destination) -> impl Iterator<Item = &Binding> {
        let first = self.heads.get(&destination).copied().unwrap_or(NIL);
        std::iter::successors(self.slot(first), |slot| self.slot(slot.after)).map(|slot| &slot.binding)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.slots.iter().flatten().map(|slot| &slot.binding)
    }

    fn hash(&self, destination: Destination, key: &str, arguments: &Arguments) -> u64 {
        self.hasher.hash_one((destination, key, arguments))
    }

    fn slot(&self, at: u32) -> Option<&Slot> {
        self.slots.get(at as usize)?.as_ref()
    }

    fn slot_mut(&mut self, at: u32) -> Option<&mut Slot> {
        self.slots.get_mut(at as usize)?.as_mut()
    }

    fn unlink_hash(&mut self, at: u32, slot: &Slot) {
        let hash = self.hash(slot.binding.destination, &slot.binding.key, &slot.binding.arguments);
        let mut before = self.index.get(&hash).copied().unwrap_or(NIL);
        if before == at {
            match slot.same_hash {
                NIL => drop(self.index.remove(&hash)),
                next => drop(self.index.insert(hash, next)),
            }
            return;
        }
        while let Some(earlier) = self.slot_mut(before) {
            if earlier.same_hash == at {
                earlier.same_hash = slot.same_hash;
                return;
            }
            before = earlier.same_hash;
        }
    }

    fn unlink_destination(&mut self, slot: &Slot) {
        match self.slot_mut(slot.before) {
            Some(before) => before.after = slot.after,
            None if slot.after == NIL => drop(self.heads.remove(&slot.binding.destination)),
            None => drop(self.heads.insert(slot.binding.destination, slot.after)),
        }
        if let Some(after) = self.slot_mut(slot.after) {
            after.before = slot.before;
        }
    }
}
