//! All that one client wants of one kind, and the one response it has not answered. The diff visits groups
//! round robin, so that one that changes all the time does not starve the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use super::{
    super::{Digest, Kind, Nack, PATTERN_SUFFIX, Resource, Snapshot, Version, group_of},
    interest::{Change, Interest},
    reason_of,
};

/// Resources and removals a response, at most; the rest follows the ACK.
const CHANGES_MAX: usize = 1_000;
/// Bytes of resources a response, roughly at most: a quarter of what a gRPC client reads by default.
const RESPONSE_BYTES_MAX: usize = 1 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    groups: BTreeMap<Arc<str>, Interest>,
    in_flight: Option<InFlight>,
    answered: Option<Arc<str>>,
    /// Where the diff goes on after a response that was full.
    cursor: Option<Cursor>,
    /// State-of-the-world mode: the world that was refused as a whole.
    refused_world: Option<Digest>,
}

#[derive(Debug)]
enum Cursor {
    /// Nothing of this group was in it.
    At(Arc<str>),
    /// A part of this group was in it: the others come first now.
    Behind(Arc<str>),
}

#[derive(Debug)]
struct InFlight {
    nonce: Arc<str>,
    changes: Vec<Change>,
}

impl Subscription {
    /// Subscribes, or subscribes anew. `brought` is what the client holds of these names. Takes time in
    /// proportion to the request, whatever it says how often.
    pub(super) fn subscribe(&mut self, names: &[Arc<str>], brought: &[(Arc<str>, Version)]) {
        if names.is_empty() {
            return;
        }
        let mut by_group: BTreeMap<&str, BTreeMap<&Arc<str>, Version>> = BTreeMap::new();
        for (name, version) in brought {
            by_group.entry(group_of(name)).or_default().insert(name, *version);
        }
        let names: BTreeSet<&Arc<str>> = names.iter().collect();
        let mut whole = BTreeSet::new();
        for name in &names {
            let group = group_of(name);
            let brought = by_group.get(group);
            let interest = self.groups.entry(group.into()).or_default();
            if name.ends_with(PATTERN_SUFFIX) {
                if whole.insert(group) {
                    interest
                        .want_whole(brought.into_iter().flatten().map(|(name, version)| (*name, *version)));
                }
            } else {
                interest.want(name, brought.and_then(|brought| brought.get(name)).copied());
            }
        }
        for change in self.in_flight.iter_mut().flat_map(|response| &mut response.changes) {
            let renewed = names.contains(change.name()) || whole.contains(&**change.group());
            if let Some(interest) = self.groups.get_mut(change.group())
                && renewed
                && interest.wants(change.name())
            {
                interest.overlay(change);
            }
        }
    }

    /// Ends the subscription to a name or pattern.
    pub(super) fn unsubscribe(&mut self, name: &str) {
        let group = group_of(name);
        let Some(interest) = self.groups.get_mut(group) else { return };
        interest.unwant((!name.ends_with(PATTERN_SUFFIX)).then_some(name));
        if interest.is_empty() {
            self.groups.remove(group);
        }
    }

    /// Makes `names` the whole subscription.
    pub(super) fn replace(&mut self, names: &[Arc<str>]) {
        let wanted: BTreeSet<Arc<str>> = names.iter().cloned().collect();
        let known: BTreeSet<Arc<str>> =
            self.groups.iter().flat_map(|(group, one)| spell(group, one)).collect();
        for name in known.difference(&wanted) {
            self.unsubscribe(name);
        }
        let new: Vec<Arc<str>> = wanted.difference(&known).cloned().collect();
        self.subscribe(&new, &[]);
    }

    /// Takes an ACK or a NACK; one of an older response means nothing.
    pub(super) fn answer(&mut self, nonce: &str, error: Option<Nack>) {
        let Some(response) = self.in_flight.take_if(|response| *response.nonce == *nonce) else { return };
        if let Some(nack) = error {
            for change in &response.changes {
                let refused = reason_of(&nack, change.name());
                if let (Some(interest), Some(reason)) = (self.groups.get_mut(change.group()), refused)
                    && interest.wants(change.name())
                {
                    interest.refuse(change, reason);
                }
            }
        }
        self.answered = Some(response.nonce);
    }

    /// State of the world: the client keeps what it had before that response.
    pub(super) fn refuse_world(&mut self, nonce: &str) {
        let Some(response) = self.in_flight.take_if(|response| *response.nonce == *nonce) else { return };
        self.refused_world = Some(self.digest());
        for change in &response.changes {
            if let Some(interest) = self.groups.get_mut(change.group()) {
                interest.revert(change);
            }
        }
        for interest in self.groups.values_mut() {
            interest.unsee();
        }
        self.answered = Some(response.nonce);
    }

    /// Whether a request with this nonce is about the newest response (or there is none yet).
    pub(super) fn is_current(&self, nonce: &str) -> bool {
        match &self.in_flight {
            Some(response) => *response.nonce == *nonce,
            None => nonce == self.answered(),
        }
    }

    pub(super) const fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether the response in flight is about this group.
    pub(super) fn is_unanswered(&self, group: &str) -> bool {
        let changes = self.in_flight.iter().flat_map(|response| &response.changes);
        changes.into_iter().any(|change| **change.group() == *group)
    }

    /// Whether the response in flight is about this resource.
    pub(super) fn is_unanswered_name(&self, name: &str) -> bool {
        let changes = self.in_flight.iter().flat_map(|response| &response.changes);
        changes.into_iter().any(|change| **change.name() == *name)
    }

    pub(super) fn answered(&self) -> &str {
        self.answered.as_deref().unwrap_or_default()
    }

    pub(super) fn names(&self) -> usize {
        self.groups.values().map(Interest::names).sum()
    }

    /// How many resources the client is believed to hold, or was told are not there.
    pub(super) fn beliefs(&self) -> usize {
        self.groups.values().map(Interest::beliefs).sum()
    }

    pub(super) fn group(&self, group: &str) -> Option<&Interest> {
        self.groups.get(group)
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = (&Arc<str>, &Interest)> {
        self.groups.iter()
    }

    /// Over all that the client is believed to hold.
    pub(super) fn digest(&self) -> Digest {
        self.groups.values().fold(Digest::default(), |digest, interest| digest.and(interest.digest()))
    }

    /// The next changes to send, of groups that `may_send` lets through; none while a response is in flight.
    pub(super) fn diff(
        &mut self,
        kind: Kind,
        snapshot: &impl Snapshot,
        hold: bool,
        may_send: impl Fn(&str) -> bool,
    ) -> Vec<Change> {
        let (mut changes, mut room) = (Vec::new(), RESPONSE_BYTES_MAX);
        if self.in_flight.is_some() {
            return changes;
        }
        let stale = |(group, interest): &(&Arc<str>, &Interest)| {
            interest.needs_diff(snapshot.group(kind, group), hold) && may_send(group)
        };
        let stale: Vec<Arc<str>> = self.round().filter(stale).map(|(group, _)| Arc::clone(group)).collect();
        self.cursor = None;
        for name in stale {
            let Some(interest) = self.groups.get_mut(&name) else { continue };
            let group = snapshot.group(kind, &name);
            let (steps, withheld) = interest.diff(&name, group.map(AsRef::as_ref), hold);
            let (before, mut steps) = (changes.len(), steps.into_iter().peekable());
            while let Some(step) = steps.next_if(|_| room > 0 && changes.len() < CHANGES_MAX) {
                room = room.saturating_sub(step.bytes());
                changes.push(step);
            }
            if steps.peek().is_some() {
                let untouched = changes.len() == before;
                self.cursor = Some(if untouched { Cursor::At(name) } else { Cursor::Behind(name) });
                break;
            }
            interest.see(group, withheld);
        }
        changes
    }

    /// All groups, from the cursor round to it.
    fn round(&self) -> impl Iterator<Item = (&Arc<str>, &Interest)> {
        let (from, to) = match &self.cursor {
            None => (Bound::Unbounded, None),
            Some(Cursor::At(name)) => (Bound::Included(name), Some(Bound::Excluded(name))),
            Some(Cursor::Behind(name)) => (Bound::Excluded(name), Some(Bound::Included(name))),
        };
        let rest = to.map(|to| self.groups.range::<Arc<str>, _>((Bound::Unbounded, to)));
        self.groups.range::<Arc<str>, _>((from, Bound::Unbounded)).chain(rest.into_iter().flatten())
    }

    /// All there is, and the changes it means, if it differs from what the client has and refused.
    pub(super) fn diff_world(
        &mut self,
        kind: Kind,
        snapshot: &impl Snapshot,
        hold: bool,
    ) -> Option<(Vec<Change>, Vec<Resource>)> {
        if self.in_flight.is_some() {
            return None;
        }
        let (mut changes, mut world) = (Vec::new(), Vec::new());
        for (name, interest) in &mut self.groups {
            let group = snapshot.group(kind, name);
            let (steps, withheld) = interest.diff(name, group.map(AsRef::as_ref), hold);
            interest.see(group, withheld);
            changes.extend(steps);
            let all = group.into_iter().flat_map(|group| group.resources());
            world.extend(all.filter(|resource| interest.wants(&resource.name)).cloned());
        }
        let digest = Digest::of(world.iter().map(|resource| (&*resource.name, resource.version)));
        if changes.is_empty() || self.refused_world == Some(digest) {
            return None;
        }
        self.refused_world = None;
        Some((changes, world))
    }

    /// The changes are on the stream.
    pub(super) fn sent(&mut self, nonce: Arc<str>, changes: Vec<Change>) {
        for change in &changes {
            if let Some(interest) = self.groups.get_mut(change.group()) {
                interest.apply(change);
            }
        }
        self.in_flight = Some(InFlight { nonce, changes });
    }
}

/// The names by which a group is subscribed.
fn spell(group: &Arc<str>, interest: &Interest) -> Vec<Arc<str>> {
    let pattern = interest.is_whole().then(|| Arc::from(format!("{group}{PATTERN_SUFFIX}")));
    pattern.into_iter().chain(interest.exact().cloned()).collect()
}
