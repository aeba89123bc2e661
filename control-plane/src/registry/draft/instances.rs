//! Registering an instance in a draft: what goes on from the one that is there, and what begins anew.

use std::collections::BTreeMap;

use weft_model::{
    endpoint::Health,
    health::{OUTPUT_LENGTH_MAX, shorten},
    name::InstanceKey,
};

use super::{Attached, Draft, kept_maintenance};
use crate::registry::{
    Check, CheckRegistration, Instance, Origin, Registration, RegistryError,
    registration::{CHECKS_MAX, INSTANCES_MAX, at_most},
    service_check_id,
    status::assess,
};

impl Draft<'_> {
    pub(super) fn register(
        &mut self,
        registration: &Registration,
        attached: Option<Attached<'_>>,
    ) -> Result<(), RegistryError> {
        let key = &registration.key;
        let holder = self.find(&key.node, key.id.as_str()).ok().cloned();
        if let (Some(attached), Some(holder)) = (attached, &holder) {
            let (held, offered) = (holder.incarnation, attached.incarnation);
            if holder.origin == Origin::Attach && held > offered {
                return Err(RegistryError::OldIncarnation { key: holder.key.clone(), held, offered });
            }
        }
        if holder.is_none() {
            at_most("instances", self.catalog.instance_count() + 1, INSTANCES_MAX)?;
        }
        let same = holder.as_ref().filter(|holder| holder.key == *key);
        let mut instance = self.instance_of(registration, same);
        match attached {
            Some(attached) => self.attach_check(&mut instance, same, attached),
            None => self.add_checks(&mut instance, registration, same),
        }
        at_most("checks of an instance", instance.checks.len(), CHECKS_MAX)?;
        assess(&mut instance, self.node(&key.node), self.now);
        self.evict_checks(&instance);
        if same != Some(&instance) {
            self.put_instance(instance)?;
        }
        if let Some(other) = holder.filter(|holder| holder.key != *key) {
            self.remove_instance(other.key);
        }
        Ok(())
    }

    /// The instance without its checks, which goes on from the one that is there.
    pub(super) fn instance_of(&self, registration: &Registration, held: Option<&Instance>) -> Instance {
        let wanted = registration.clone();
        Instance {
            key: wanted.key,
            address: wanted.address,
            ports: wanted.ports,
            tags: wanted.tags,
            meta: wanted.meta,
            weight: wanted.weight,
            weight_warning: wanted.weight_warning,
            tagged_addresses: wanted.tagged_addresses,
            enable_tag_override: wanted.enable_tag_override,
            zone: wanted.zone,
            hop: wanted.hop,
            origin: wanted.origin,
            health: held.map_or(Health::Passing, |held| held.health),
            reason: held.map(|held| held.reason.clone()).unwrap_or_default(),
            cause: held.map(|held| held.cause.clone()).unwrap_or_default(),
            since: held.map_or(self.now, |held| held.since),
            deregister_after: wanted.deregister_after,
            incarnation: 0,
            checks: BTreeMap::new(),
            create_revision: held.map_or(0, |held| held.create_revision),
            modify_revision: held.map_or(0, |held| held.modify_revision),
        }
    }

    /// An attached instance has one check, which shows its lease and what its sidecar says, and maintenance.
    pub(super) fn attach_check(
        &mut self,
        instance: &mut Instance,
        held: Option<&Instance>,
        attached: Attached<'_>,
    ) {
        let id = service_check_id(instance.key.id.as_str());
        let given = CheckRegistration {
            id: id.clone(),
            name: "Weft sidecar".to_owned(),
            notes: String::new(),
            spec: None,
            initial: attached.health,
            output: attached.reason.to_owned(),
            deregister_after: None,
        };
        let check = self.check_of(&given, held.and_then(|held| held.checks.get(&id)), true);
        instance.incarnation = attached.incarnation;
        self.assign(&instance.key.node, &id);
        instance.checks = kept_maintenance(held);
        instance.checks.insert(id, check);
    }

    pub(super) fn add_checks(
        &mut self,
        instance: &mut Instance,
        wanted: &Registration,
        held: Option<&Instance>,
    ) {
        // Whoever registers by the catalog API says how the checks are; an agent's checks find out.
        let assigned = wanted.origin == Origin::Catalog;
        instance.checks = match held {
            Some(held) if !wanted.replace_checks && held.origin != Origin::Attach => held.checks.clone(),
            held => kept_maintenance(held),
        };
        for given in &wanted.checks {
            let before = held.filter(|held| held.origin != Origin::Attach);
            let check =
                self.check_of(given, before.and_then(|before| before.checks.get(&given.id)), assigned);
            if assigned {
                self.assign(&instance.key.node, &given.id);
            }
            instance.checks.insert(given.id.clone(), check);
        }
    }

    /// A check as wanted, which goes on from the one that is there: with its state, unless that is `assigned`.
    pub(super) fn check_of(&self, wanted: &CheckRegistration, held: Option<&Check>, assigned: bool) -> Check {
        let output = shorten(&wanted.output, OUTPUT_LENGTH_MAX);
        let mut check = Check {
            id: wanted.id.clone(),
            name: wanted.name.clone(),
            notes: wanted.notes.clone(),
            spec: wanted.spec.clone(),
            health: wanted.initial,
            output,
            since: self.now,
            deregister_after: wanted.deregister_after,
            create_revision: 0,
            modify_revision: 0,
        };
        let Some(held) = held else {
            return check;
        };
        if !assigned {
            (check.health, check.output) = (held.health, held.output.clone());
        }
        if check.health == held.health {
            check.since = held.since;
        }
        check.create_revision = held.create_revision;
        check.modify_revision = held.modify_revision;
        if check != *held {
            check.modify_revision = 0;
        }
        check
    }

    /// Check ids are unique a node: whoever registers one takes it away from where it was.
    pub(super) fn evict_checks(&mut self, instance: &Instance) {
        let node = &instance.key.node;
        let taken: Vec<(InstanceKey, String)> = self
            .on_node(node)
            .filter(|other| other.key != instance.key && other.key.id != instance.key.id)
            .flat_map(|other| other.checks.keys().map(|id| (other.key.clone(), id.clone())))
            .filter(|(_, id)| instance.checks.contains_key(id))
            .collect();
        for (key, id) in taken {
            // A record that loses a check cannot become too large.
            drop(self.drop_check(&key, &id));
        }
    }
}
