//! The plan of one service's balancing: which endpoints may be called (subset), in which order (priority, zone),
//! and the tables to choose by. Made once when the set of endpoints or the policy changes, shared by all
//! threads, never changed; what changes with every request (loads, ejections) stands elsewhere.
//!
//! ```text
//!  endpoints ─ subset ─▶ members ─ priority ─▶ levels ─ zone ─▶ groups: near | far, or one
//! ```

use super::{group::Group, hash};
use crate::{
    endpoint::Endpoint,
    policy::{Balance, BalancePolicy, HashKey, PriorityLevel, ZonePolicy},
};

/// See the module.
#[derive(Debug)]
pub struct Plan {
    pub(super) algorithm: Balance,
    /// At least one; those without a member are left out.
    pub(super) levels: Box<[Level]>,
    /// Callable members of all levels, as places in the table.
    places: Box<[u32]>,
    pub(super) overprovision: f64,
    pub(super) panic_percent: u32,
    /// In nanoseconds; 0 = none.
    pub(super) slow_start: u64,
}

/// Endpoints of one priority.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) groups: Groups,
    /// Members of each group, critical ones included.
    pub(super) sizes: (u32, u32),
}

/// How a level is divided.
#[derive(Debug)]
pub(super) enum Groups {
    /// Not at all.
    Whole(Group),
    /// By the caller's zone.
    Zones { near: Group, far: Group, spill_percent: u32 },
}

/// What a group is made of.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) place: u32,
    /// The hash of its key: `<service>/<node>/<id>`.
    pub(super) name: u64,
    pub(super) weight: u16,
    pub(super) is_callable: bool,
    is_near: bool,
    level: usize,
}

impl Plan {
    /// For endpoints in the order of their keys, whose numbers are the places that a choice gives. `zone` is the
    /// caller's, empty if unknown. What `before` has in common is taken over.
    pub fn new<'a>(
        policy: &BalancePolicy,
        zone: &str,
        endpoints: impl IntoIterator<Item = &'a Endpoint>,
        before: Option<&Self>,
    ) -> Self {
        let needs_names = policy.algorithm.hash_key().is_some();
        let members: Vec<_> = (0..)
            .zip(endpoints)
            .filter(|(_, endpoint)| has_tags(endpoint, &policy.subset))
            .map(|(place, endpoint)| Member {
                place,
                name: if needs_names { hash::stable(endpoint.key.to_string().as_bytes()) } else { 0 },
                weight: endpoint.weight.max(1),
                is_callable: endpoint.health.is_callable(),
                is_near: !zone.is_empty() && endpoint.zone == zone,
                level: level(endpoint, &policy.priority.levels),
            })
            .collect();
        let known = |number: usize| before.and_then(|before| before.levels.get(number));
        let mut levels: Vec<Level> = Vec::new();
        for priority in 0..=policy.priority.levels.len() {
            let of_level: Vec<_> = members.iter().filter(|member| member.level == priority).collect();
            if !of_level.is_empty() {
                levels.push(Level::new(&of_level, policy, known(levels.len())));
            }
        }
        Self {
            algorithm: policy.algorithm.clone(),
            levels: levels.into(),
            places: members.iter().filter(|member| member.is_callable).map(|member| member.place).collect(),
            overprovision: f64::from(policy.priority.overprovision_percent.max(100)) / 100.0,
            panic_percent: policy.panic_percent,
            slow_start: policy
                .slow_start
                .map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    /// What a request is hashed by, where it is.
    pub fn hash_key(&self) -> Option<&HashKey> {
        self.algorithm.hash_key()
    }

    /// Whether a choice needs the service's turn.
    pub fn takes_turns(&self) -> bool {
        matches!(self.algorithm, Balance::RoundRobin)
    }

    /// The callable endpoints that may be chosen, as places in the table.
    pub fn places(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.places.iter().map(|place| *place as usize)
    }

    /// Those from the `start`-th on, round to it.
    pub(super) fn places_from(&self, start: usize) -> impl Iterator<Item = usize> + '_ {
        let (before, after) = self.places.split_at(start.min(self.places.len()));
        after.iter().chain(before).map(|place| *place as usize)
    }
}

impl Level {
    fn new(members: &[&Member], policy: &BalancePolicy, before: Option<&Self>) -> Self {
        let (near, far): (Vec<_>, Vec<_>) = members.iter().copied().partition(|member| member.is_near);
        let (before_near, before_far) = match before.map(|before| &before.groups) {
            Some(Groups::Whole(whole)) => (Some(whole), Some(whole)),
            Some(Groups::Zones { near, far, .. }) => (Some(near), Some(far)),
            None => (None, None),
        };
        match policy.zone {
            ZonePolicy::Prefer { spill_percent } if !near.is_empty() && !far.is_empty() => Self {
                sizes: (length(&near), length(&far)),
                groups: Groups::Zones {
                    near: Group::new(&near, &policy.algorithm, before_near),
                    far: Group::new(&far, &policy.algorithm, before_far),
                    spill_percent,
                },
            },
            ZonePolicy::Prefer { .. } | ZonePolicy::Any => Self {
                sizes: (length(members), 0),
                groups: Groups::Whole(Group::new(members, &policy.algorithm, before_far)),
            },
        }
    }

    /// Its groups, the nearer one first.
    pub(super) fn groups(&self) -> (&Group, Option<&Group>) {
        match &self.groups {
            Groups::Whole(whole) => (whole, None),
            Groups::Zones { near, far, .. } => (near, Some(far)),
        }
    }

    /// Of both groups together.
    pub(super) fn size(&self) -> u32 {
        self.sizes.0.saturating_add(self.sizes.1)
    }
}

fn level(endpoint: &Endpoint, levels: &[PriorityLevel]) -> usize {
    let fits = |level: &PriorityLevel| {
        let in_zone = level.zones.is_empty() || level.zones.iter().any(|zone| **zone == endpoint.zone);
        in_zone && has_tags(endpoint, &level.tags)
    };
    levels.iter().position(fits).unwrap_or(levels.len())
}

fn has_tags(endpoint: &Endpoint, wanted: &[Box<str>]) -> bool {
    wanted.iter().all(|tag| endpoint.tags.iter().any(|has| **has == **tag))
}

fn length(members: &[&Member]) -> u32 {
    u32::try_from(members.len()).unwrap_or(u32::MAX)
}
