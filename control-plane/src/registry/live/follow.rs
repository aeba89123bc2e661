//! Memory follows the catalog: what was written is adopted, what was removed is forgotten.

use std::collections::BTreeSet;

use weft_model::{
    check::{CheckSpec, Probe},
    endpoint::Health,
    health::{CheckState, Thresholds},
    name::{Id, InstanceKey},
};

use super::{CheckKey, Doomed, LEASE_EXPIRED, Live, LiveCheck, LiveLease, Now, Target};
use crate::registry::{
    Check, Instance, Node, Origin, lease::LeaseCell, maintenance_check_id, service_check_id,
};

impl Live {
    /// An instance was written: follow it. `assigned` checks take their state from it, the others keep theirs.
    pub(in crate::registry) fn adopt(
        &mut self,
        instance: &Instance,
        before: Option<&Instance>,
        assigned: &BTreeSet<CheckKey>,
        now: Now,
    ) {
        let target = Target::Instance(instance.key.clone());
        if let Some(before) = before {
            let gone = before.checks.keys().filter(|id| !instance.checks.contains_key(*id));
            for id in gone {
                self.forget_check(&instance.key.node, id, &target);
            }
        }
        let probed = instance.origin == Origin::Agent;
        for check in instance.checks.values() {
            self.adopt_check(&instance.key.node, check, (&target, probed), assigned, now);
        }
        if instance.origin == Origin::Attach {
            self.adopt_lease(instance, assigned, now);
        } else {
            self.end_lease(&instance.key);
            self.weigh(instance, now);
        }
    }

    /// A node was written: follow it.
    pub(in crate::registry) fn adopt_node(
        &mut self,
        node: &Node,
        before: Option<&Node>,
        assigned: &BTreeSet<CheckKey>,
        now: Now,
    ) {
        if let Some(before) = before {
            for id in before.checks.keys().filter(|id| !node.checks.contains_key(*id)) {
                self.forget_check(&node.name, id, &Target::Node);
            }
        }
        for check in node.checks.values() {
            self.adopt_check(&node.name, check, (&Target::Node, true), assigned, now);
        }
    }

    /// An instance was removed.
    pub(in crate::registry) fn forget(&mut self, instance: &Instance) {
        let target = Target::Instance(instance.key.clone());
        for id in instance.checks.keys() {
            self.forget_check(&instance.key.node, id, &target);
        }
        self.end_lease(&instance.key);
        self.removals.remove(&(instance.key.clone(), Doomed::Instance));
    }

    /// A node was removed.
    pub(in crate::registry) fn forget_node(&mut self, node: &Node) {
        for id in node.checks.keys() {
            self.forget_check(&node.name, id, &Target::Node);
        }
    }

    /// Starts or stops the count to an instance's removal by all of its own checks; maintenance does not count.
    pub(in crate::registry) fn weigh(&mut self, instance: &Instance, now: Now) {
        if instance.origin == Origin::Attach {
            return;
        }
        let maintenance = maintenance_check_id(instance.key.id.as_str());
        let mut checks = instance.checks.values().filter(|check| check.id != maintenance);
        let critical = checks.any(|check| check.health == Health::Critical);
        self.doom(&instance.key, Doomed::Instance, instance.deregister_after, critical, now);
    }

    fn adopt_check(
        &mut self,
        node: &Id,
        check: &Check,
        (target, probed): (&Target, bool),
        assigned: &BTreeSet<CheckKey>,
        now: Now,
    ) {
        let key = CheckKey { node: node.clone(), id: check.id.clone() };
        let held = self.checks.remove(&key).filter(|held| held.target == *target);
        let thresholds = check.spec.as_ref().map(Thresholds::from).unwrap_or_default();
        let fresh = || CheckState::new(thresholds, check.health, &check.output, check.since);
        let live = match held {
            Some(held) if held.spec == check.spec => {
                let state = if assigned.contains(&key) { fresh() } else { held.state };
                LiveCheck { state, deregister_after: check.deregister_after, ..held }
            }
            held => {
                let state = match held {
                    Some(mut held) if !assigned.contains(&key) => {
                        held.state.set_thresholds(thresholds);
                        held.state
                    }
                    _ => fresh(),
                };
                self.generation += 1;
                let spec = check.spec.as_ref().filter(|_| probed);
                let probe = spec.and_then(|spec| self.probes.start(&key, self.generation, spec));
                self.start_ttl(&key, check, now);
                LiveCheck {
                    target: target.clone(),
                    state,
                    spec: check.spec.clone(),
                    deregister_after: check.deregister_after,
                    generation: self.generation,
                    _probe: probe,
                }
            }
        };
        self.checks.insert(key.clone(), live);
        self.doom_check(&key, now);
    }

    fn start_ttl(&mut self, key: &CheckKey, check: &Check, now: Now) {
        self.ttl_wheel.remove(key);
        if let Some(CheckSpec { probe: Probe::Ttl { ttl }, .. }) = check.spec {
            self.ttl_wheel.insert(key.clone(), ttl, now.at.into_std());
        }
    }

    fn forget_check(&mut self, node: &Id, id: &str, target: &Target) {
        let key = CheckKey { node: node.clone(), id: id.to_owned() };
        // Its id may have gone over to another instance by the same commit.
        if self.checks.get(&key).is_some_and(|live| live.target == *target) {
            self.checks.remove(&key);
            self.ttl_wheel.remove(&key);
        }
        if let Target::Instance(instance) = target {
            self.removals.remove(&(instance.clone(), Doomed::Check(key.id)));
        }
    }

    /// Follows an attached instance. One that is new here came from the store, so its sidecar has the hold after
    /// the start to come back.
    fn adopt_lease(&mut self, instance: &Instance, assigned: &BTreeSet<CheckKey>, now: Now) {
        let id = service_check_id(instance.key.id.as_str());
        let check = instance.checks.get(&id);
        let said = check.map(|check| (check.health, check.output.clone())).unwrap_or_default();
        let expired = said.0 == Health::Critical && said.1 == LEASE_EXPIRED;
        if let Some(lease) = self.leases.get_mut(&instance.key) {
            lease.deregister_after = instance.deregister_after;
            if assigned.contains(&CheckKey { node: instance.key.node.clone(), id }) {
                lease.said = said;
            }
            return;
        }
        let cell = LeaseCell::new(now.at);
        let deregister_after = instance.deregister_after;
        if expired {
            cell.expire();
        } else {
            self.lease_wheel.insert(instance.key.clone(), self.lease, now.at.into_std());
        }
        self.leases.insert(instance.key.clone(), LiveLease { cell, expired, deregister_after, said });
        self.doom(&instance.key, Doomed::Instance, deregister_after, expired, now);
    }

    pub(super) fn end_lease(&mut self, key: &InstanceKey) {
        if let Some(lease) = self.leases.remove(key) {
            lease.cell.end();
            self.lease_wheel.remove(key);
        }
    }
}
