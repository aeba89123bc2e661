//! What one client wants and is believed to hold of one kind in one group. Knows nothing of nonces.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::super::{Digest, Group, Resource, Version};

/// A version that the client refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Not sent again.
    pub version: Version,
    /// The client's words.
    pub reason: Arc<str>,
}

/// What the client is believed to have of a name, once all that was sent has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    /// It was told so on this stream, or said so itself of a name that we have known since.
    Sent(Version),
    /// It said so itself, and we have not known the name since: it may be about to register again.
    Brought(Version),
    /// It was told that there is none.
    Absent,
}

/// One step from belief to snapshot.
#[derive(Debug, Clone)]
pub(super) struct Change {
    group: Arc<str>,
    name: Arc<str>,
    /// `None` removes.
    resource: Option<Resource>,
    /// What was believed before, for when it is refused.
    before: Option<Belief>,
}

impl Change {
    pub(super) fn group(&self) -> &Arc<str> {
        &self.group
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) const fn resource(&self) -> Option<&Resource> {
        self.resource.as_ref()
    }

    pub(super) fn removed(&self) -> Option<&Arc<str>> {
        self.resource.is_none().then_some(&self.name)
    }

    /// What it weighs in a message, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.name.len() + self.resource.as_ref().map_or(0, |resource| resource.bytes.len())
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// Subscribed by pattern: all resources of the group.
    whole: bool,
    /// Subscribed by name.
    exact: BTreeSet<Arc<str>>,
    beliefs: BTreeMap<Arc<str>, Belief>,
    refused: BTreeMap<Arc<str>, Refusal>,
    seen: Seen,
}

/// Which group of a snapshot the beliefs already show.
#[derive(Debug, Default)]
enum Seen {
    #[default]
    Nothing,
    /// All of it (`None`: that there is none). Withheld: but for removals that were held back.
    Group { group: Option<Arc<Group>>, withheld: bool },
}

impl Interest {
    /// Wants the whole group; what the client holds of it is exactly `brought`.
    pub(super) fn want_whole<'a>(&mut self, brought: impl Iterator<Item = (&'a Arc<str>, Version)>) {
        self.whole = true;
        self.refused.clear();
        self.beliefs = brought.map(|(name, version)| (Arc::clone(name), Belief::Brought(version))).collect();
        self.seen = Seen::Nothing;
    }

    /// Wants one name, of which the client holds this.
    pub(super) fn want(&mut self, name: &Arc<str>, brought: Option<Version>) {
        self.exact.insert(Arc::clone(name));
        self.refused.remove(name);
        match brought {
            Some(version) => self.beliefs.insert(Arc::clone(name), Belief::Brought(version)),
            None => self.beliefs.remove(name),
        };
        self.seen = Seen::Nothing;
    }

    /// Ends a subscription; what is no longer wanted by another is forgotten.
    pub(super) fn unwant(&mut self, name: Option<&str>) {
        match name {
            Some(name) => {
                self.exact.remove(name);
            }
            None => self.whole = false,
        }
        if !self.whole {
            self.beliefs.retain(|name, _| self.exact.contains(name));
            self.refused.retain(|name, _| self.exact.contains(name));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names() == 0
    }

    pub(super) fn names(&self) -> usize {
        self.exact.len() + usize::from(self.whole)
    }

    /// How many resources something is believed of.
    pub(super) fn beliefs(&self) -> usize {
        self.beliefs.len()
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.whole
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.whole || self.exact.contains(name)
    }

    pub(super) fn exact(&self) -> impl Iterator<Item = &Arc<str>> {
        self.exact.iter()
    }

    /// Whether all of this group is on the stream.
    pub(super) fn has_seen(&self, group: Option<&Arc<Group>>) -> bool {
        match &self.seen {
            Seen::Nothing => false,
            Seen::Group { group: seen, .. } => match (seen, group) {
                (None, None) => true,
                (Some(seen), Some(group)) => Arc::ptr_eq(seen, group),
                _ => false,
            },
        }
    }

    /// Whether [`Interest::diff`] can find anything: two pointers are compared, mostly.
    pub(super) fn needs_diff(&self, group: Option<&Arc<Group>>, hold: bool) -> bool {
        let held_back = matches!(self.seen, Seen::Group { withheld: true, .. });
        !self.has_seen(group) || (held_back && !hold)
    }

    /// Notes that all of this group is on the stream.
    pub(super) fn see(&mut self, group: Option<&Arc<Group>>, withheld: bool) {
        // A name that is known here is no longer one that may be about to register: when it goes, it has been
        // deregistered, and its callers must hear of that at once.
        for resource in group.map_or(&[][..], |group| group.resources()) {
            if let Some(belief) = self.beliefs.get_mut(&resource.name)
                && let Belief::Brought(version) = *belief
            {
                *belief = Belief::Sent(version);
            }
        }
        self.refused.retain(|name, refusal| {
            let current = group.and_then(|group| group.find(name));
            current.is_some_and(|resource| resource.version == refusal.version)
        });
        self.seen = Seen::Group { group: group.cloned(), withheld };
    }

    /// Notes that the group must be looked at again.
    pub(super) fn unsee(&mut self) {
        self.seen = Seen::Nothing;
    }

    /// The steps from belief to `group`, and whether removals were held back.
    pub(super) fn diff(&self, name: &Arc<str>, group: Option<&Group>, hold: bool) -> (Vec<Change>, bool) {
        let mut changes = Vec::new();
        for resource in group.map_or(&[][..], Group::resources) {
            if self.wants(&resource.name)
                && !self.holds(&resource.name, resource.version)
                && !self.refuses(resource)
            {
                changes.push(self.change(name, &resource.name, Some(resource.clone())));
            }
        }
        let mut withheld = false;
        let gone = |name: &Arc<str>| group.is_none_or(|group| group.find(name).is_none());
        for (held, belief) in self.beliefs.iter().filter(|(held, _)| gone(held)) {
            match belief {
                Belief::Brought(_) if hold => withheld = true,
                Belief::Brought(_) | Belief::Sent(_) => changes.push(self.change(name, held, None)),
                Belief::Absent => {}
            }
        }
        for wanted in self.exact.iter().filter(|wanted| !self.beliefs.contains_key(*wanted)) {
            if gone(wanted) {
                changes.push(self.change(name, wanted, None));
            }
        }
        (changes, withheld)
    }

    /// The change is on the stream.
    pub(super) fn apply(&mut self, change: &Change) {
        let belief = match &change.resource {
            Some(resource) => Belief::Sent(resource.version),
            // Of a name inside a pattern nothing is to be remembered once it is gone.
            None if !self.exact.contains(&change.name) => {
                self.beliefs.remove(&change.name);
                return;
            }
            None => Belief::Absent,
        };
        self.beliefs.insert(Arc::clone(&change.name), belief);
    }

    /// A subscription was renewed while this change was in flight: it arrives after what the client said of
    /// itself.
    pub(super) fn overlay(&mut self, change: &mut Change) {
        change.before = self.beliefs.get(&change.name).copied();
        self.apply(change);
    }

    /// The client did not take the change: it still has what it had.
    pub(super) fn revert(&mut self, change: &Change) {
        match change.before {
            Some(belief) => self.beliefs.insert(Arc::clone(&change.name), belief),
            None => self.beliefs.remove(&change.name),
        };
    }

    /// The client will not have this version.
    pub(super) fn refuse(&mut self, change: &Change, reason: Arc<str>) {
        let Some(resource) = &change.resource else { return };
        self.revert(change);
        self.refused.insert(Arc::clone(&change.name), Refusal { version: resource.version, reason });
    }

    pub(super) fn refused(&self) -> impl Iterator<Item = (&Arc<str>, &Refusal)> {
        self.refused.iter()
    }

    pub(super) fn refusal(&self, name: &str) -> Option<&Refusal> {
        self.refused.get(name)
    }

    /// Whether the client is believed to hold this version.
    pub(super) fn holds(&self, name: &str, version: Version) -> bool {
        match self.beliefs.get(name) {
            Some(Belief::Sent(held) | Belief::Brought(held)) => *held == version,
            Some(Belief::Absent) | None => false,
        }
    }

    /// What the client is believed to hold.
    pub(super) fn held(&self) -> impl Iterator<Item = (&str, Version)> {
        self.beliefs.iter().filter_map(|(name, belief)| match belief {
            Belief::Sent(version) | Belief::Brought(version) => Some((&**name, *version)),
            Belief::Absent => None,
        })
    }

    pub(super) fn has_any(&self) -> bool {
        self.held().next().is_some()
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(self.held())
    }

    fn refuses(&self, resource: &Resource) -> bool {
        self.refused.get(&resource.name).is_some_and(|refusal| refusal.version == resource.version)
    }

    fn change(&self, group: &Arc<str>, name: &Arc<str>, resource: Option<Resource>) -> Change {
        let before = self.beliefs.get(name).copied();
        Change { group: Arc::clone(group), name: Arc::clone(name), resource, before }
    }
}
