//! What only memory knows: the state machine of every check, leases and their wheels, probes, and what is to be
//! removed when. It follows the catalog (`adopt`, `forget`) and runs ahead of it (results, reports, time); the
//! owner brings the catalog after it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;
use tracing::{debug, info, warn};
use weft_model::{
    check::{CheckSpec, Probe, ProbeResult},
    endpoint::Health,
    health::{CheckState, Deregistration, Step},
    lease::{LeaseWheel, Protection},
    name::{Id, InstanceKey},
};

use super::{
    RegistryError, RegistryStats,
    lease::LeaseCell,
    probes::{ProbeTask, Probes},
    service_check_id,
};

mod follow;

/// The reason of an instance whose lease has run out (DESIGN.md, "Registry and health").
pub(super) const LEASE_EXPIRED: &str = "lease expired";

/// A check: its id is unique a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CheckKey {
    pub(super) node: Id,
    pub(super) id: String,
}

/// What a check is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Instance(InstanceKey),
    Node,
}

/// What has been critical for so long that its instance goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Doomed {
    /// The instance itself: its lease, or all of its checks together.
    Instance,
    /// One check of it.
    Check(String),
}

/// One moment, on both clocks: one to wait by and one to show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: Instant,
    pub(super) wall: SystemTime,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Live {
    checks: HashMap<CheckKey, LiveCheck>,
    leases: HashMap<InstanceKey, LiveLease>,
    removals: HashMap<(InstanceKey, Doomed), Removal>,
    lease_wheel: LeaseWheel<InstanceKey>,
    ttl_wheel: LeaseWheel<CheckKey>,
    lease: Duration,
    probes: Probes,
    /// Of the last probe that was started.
    generation: u64,
    stats: Arc<RegistryStats>,
}

#[derive(Debug)]
struct LiveCheck {
    target: Target,
    state: CheckState,
    spec: Option<CheckSpec>,
    deregister_after: Option<Duration>,
    generation: u64,
    _probe: Option<ProbeTask>,
}

#[derive(Debug)]
struct LiveLease {
    cell: Arc<LeaseCell>,
    expired: bool,
    deregister_after: Option<Duration>,
    /// What the sidecar last said, for when a lease that had run out is renewed.
    said: (Health, String),
}

#[derive(Debug)]
struct Removal {
    count: Deregistration,
    /// Handed out by [`Live::due`] and not settled yet.
    queued: bool,
}

impl Now {
    /// The wall clock in whole milliseconds, as it is stored: what is shown is the same after a restart.
    pub(super) fn read() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or_default();
        Self { at: Instant::now(), wall: UNIX_EPOCH + Duration::from_millis(millis) }
    }
}

impl Live {
    pub(super) fn new(lease: Duration, probes: Probes, now: Now, stats: Arc<RegistryStats>) -> Self {
        Self {
            checks: HashMap::new(),
            leases: HashMap::new(),
            removals: HashMap::new(),
            lease_wheel: LeaseWheel::new(now.at.into_std()),
            ttl_wheel: LeaseWheel::new(now.at.into_std()),
            lease,
            probes,
            generation: 0,
            stats,
        }
    }

    /// What a check says, if it is still about `target`.
    pub(super) fn state(&self, check: &CheckKey, target: &Target) -> Option<&CheckState> {
        self.checks.get(check).filter(|live| live.target == *target).map(|live| &live.state)
    }

    /// A sidecar has attached: its lease begins, that of another holder ends.
    pub(super) fn hold(&mut self, key: &InstanceKey, now: Now) -> Option<Arc<LeaseCell>> {
        let lease = self.leases.get_mut(key)?;
        lease.cell.end();
        lease.cell = LeaseCell::new(now.at);
        lease.expired = false;
        self.lease_wheel.insert(key.clone(), self.lease, now.at.into_std());
        let cell = Arc::clone(&lease.cell);
        self.doom(key, Doomed::Instance, None, false, now);
        Some(cell)
    }

    /// Whether `cell` still holds the lease.
    pub(super) fn holds(&self, key: &InstanceKey, cell: &Arc<LeaseCell>) -> bool {
        self.leases.get(key).is_some_and(|lease| Arc::ptr_eq(&lease.cell, cell)) && !cell.is_gone()
    }

    /// A probe has run. `None`: of a check that is no more.
    pub(super) fn observe(
        &mut self,
        key: &CheckKey,
        generation: u64,
        result: &ProbeResult,
        now: Now,
    ) -> Option<(Target, Step)> {
        let live = self.checks.get_mut(key).filter(|live| live.generation == generation)?;
        let step = live.state.observe(result, now.wall);
        Some((live.target.clone(), self.stepped(key, step, now)))
    }

    /// A TTL check reports.
    pub(super) fn report(
        &mut self,
        key: &CheckKey,
        health: Health,
        output: &str,
        now: Now,
    ) -> Result<(Target, Step), RegistryError> {
        let unknown = || RegistryError::NoCheck { node: key.node.clone(), id: key.id.clone() };
        let live = self.checks.get_mut(key).ok_or_else(unknown)?;
        let Some(CheckSpec { probe: Probe::Ttl { ttl }, .. }) = live.spec else {
            return Err(RegistryError::NotTtl { id: key.id.clone() });
        };
        let step = live.state.report(health, output, now.wall);
        let target = live.target.clone();
        self.ttl_wheel.insert(key.clone(), ttl, now.at.into_std());
        Ok((target, self.stepped(key, step, now)))
    }

    /// A sidecar says how its application is.
    pub(super) fn said(&mut self, key: &InstanceKey, health: Health, reason: &str, now: Now) -> Step {
        if let Some(lease) = self.leases.get_mut(key) {
            lease.said = (health, reason.to_owned());
        }
        self.set_attached(key, health, reason, now)
    }

    /// A lease that had run out was renewed: the instance is again what its sidecar said.
    pub(super) fn revive(&mut self, key: &InstanceKey, now: Now) -> Step {
        let Some(lease) = self.leases.get_mut(key).filter(|lease| lease.expired) else {
            return Step::Same;
        };
        lease.expired = false;
        lease.cell.revive();
        let (health, reason) = lease.said.clone();
        info!(instance = %key, "lease renewed after it had run out");
        self.lease_wheel.insert(key.clone(), self.lease, now.at.into_std());
        self.doom(key, Doomed::Instance, None, false, now);
        self.set_attached(key, health, &reason, now)
    }

    /// Turns both wheels. What has changed.
    pub(super) fn turn(&mut self, now: Now) -> Vec<(CheckKey, Target)> {
        let leases = &self.leases;
        let heard = |key: &InstanceKey| leases.get(key).map(|lease| lease.cell.heard().into_std());
        let turn = self.lease_wheel.expire_with(now.at.into_std(), heard);
        self.protected("attached", turn.protection);
        let mut changed = Vec::new();
        for key in turn.ended {
            self.stats.lease_expiries.add(1);
            changed.extend(self.expire_lease(&key, now));
        }
        let turn = self.ttl_wheel.expire(now.at.into_std());
        self.protected("ttl", turn.protection);
        for key in turn.ended {
            self.stats.ttl_expiries.add(1);
            changed.extend(self.expire_ttl(key, now));
        }
        changed
    }

    /// What has been critical for long enough, each handed out once until [`Live::settle_removal`].
    pub(super) fn due(&mut self, now: Now) -> Vec<(InstanceKey, Doomed)> {
        let at = now.at.into_std();
        let due = self.removals.iter_mut().filter(|(_, removal)| !removal.queued && removal.count.due(at));
        due.map(|(doomed, removal)| {
            removal.queued = true;
            doomed.clone()
        })
        .collect()
    }

    /// Whether something handed out by [`Live::due`] is still to go.
    pub(super) fn is_due(&self, key: &InstanceKey, doomed: &Doomed, now: Now) -> bool {
        let removal = self.removals.get(&(key.clone(), doomed.clone()));
        removal.is_some_and(|removal| removal.count.due(now.at.into_std()))
    }

    /// The removal did not happen: hand it out again.
    pub(super) fn settle_removal(&mut self, key: &InstanceKey, doomed: &Doomed) {
        if let Some(removal) = self.removals.get_mut(&(key.clone(), doomed.clone())) {
            removal.queued = false;
        }
    }

    fn expire_lease(&mut self, key: &InstanceKey, now: Now) -> Option<(CheckKey, Target)> {
        let lease = self.leases.get_mut(key)?;
        lease.expired = true;
        lease.cell.expire();
        let after = lease.deregister_after;
        warn!(instance = %key, "lease ran out");
        self.doom(key, Doomed::Instance, after, true, now);
        self.set_attached(key, Health::Critical, LEASE_EXPIRED, now);
        let check = CheckKey { node: key.node.clone(), id: service_check_id(key.id.as_str()) };
        Some((check, Target::Instance(key.clone())))
    }

    fn expire_ttl(&mut self, key: CheckKey, now: Now) -> Option<(CheckKey, Target)> {
        let live = self.checks.get_mut(&key)?;
        let Some(CheckSpec { probe: Probe::Ttl { ttl }, .. }) = live.spec else {
            return None;
        };
        let step = live.state.expire(ttl, now.wall);
        let target = live.target.clone();
        debug!(check = key.id, node = %key.node, "ttl ran out");
        self.stepped(&key, step, now);
        Some((key, target))
    }

    /// Sets the check that stands for an attached instance's lease and its sidecar's word.
    fn set_attached(&mut self, key: &InstanceKey, health: Health, reason: &str, now: Now) -> Step {
        let check = CheckKey { node: key.node.clone(), id: service_check_id(key.id.as_str()) };
        let target = Target::Instance(key.clone());
        let Some(live) = self.checks.get_mut(&check).filter(|live| live.target == target) else {
            return Step::Same;
        };
        let step = live.state.report(health, reason, now.wall);
        self.stepped(&check, step, now)
    }

    fn stepped(&mut self, key: &CheckKey, step: Step, now: Now) -> Step {
        if let Step::Transition { from, to } = step {
            self.stats.transitions.add(1);
            info!(check = key.id, node = %key.node, %from, %to, "check changed");
            self.doom_check(key, now);
        }
        step
    }

    /// Starts or stops the count to the removal of a check's instance. A node's check removes nothing, as in
    /// Consul.
    fn doom_check(&mut self, key: &CheckKey, now: Now) {
        let Some(live) = self.checks.get(key) else {
            return;
        };
        if let Target::Instance(instance) = live.target.clone() {
            let (after, critical) = (live.deregister_after, live.state.health() == Health::Critical);
            self.doom(&instance, Doomed::Check(key.id.clone()), after, critical, now);
        }
    }

    fn doom(&mut self, key: &InstanceKey, doomed: Doomed, after: Option<Duration>, critical: bool, now: Now) {
        let doomed = (key.clone(), doomed);
        let Some(after) = after.filter(|_| critical) else {
            self.removals.remove(&doomed);
            return;
        };
        let removal = self
            .removals
            .entry(doomed)
            .or_insert_with(|| Removal { count: Deregistration::new(after), queued: false });
        removal.count.set_after(after);
        removal.count.observe(Health::Critical, now.at.into_std());
    }

    fn protected(&self, leases: &'static str, protection: Option<Protection>) {
        match protection {
            None => {}
            Some(Protection::Late { after }) => {
                self.stats.late_protections.add(1);
                warn!(
                    leases,
                    late_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
                    "this process was late, no lease ends for a while"
                );
            }
            Some(Protection::Mass { ending, of }) => {
                self.stats.mass_protections.add(1);
                warn!(leases, ending, of, "too many leases would end at once, none ends for a while");
            }
        }
    }
}
