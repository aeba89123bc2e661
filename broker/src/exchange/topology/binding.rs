//! Bindings between named ends, and what goes when an end goes.
//!
//! ```text
//!  queue deleted ─▶ bindings to it ─▶ source was auto-delete and has none left ─▶ source deleted ─▶ bindings to that …
//! ```

use std::sync::Arc;

use super::{Effect, End, NamedBinding, Target, Topology, TopologyError};
use crate::{
    amqp::value::FieldTable,
    exchange::{
        Destination, ExchangeId, QueueId,
        arguments::Arguments,
        routes::{BINDINGS_MAX, BindingView, Removed},
    },
};

impl Topology {
    /// Makes a queue known, under a number that its owner chose: small, dense, not in use. False if the name or the
    /// number is taken or the number beyond [`QUEUES_MAX`](crate::exchange::default::QUEUES_MAX).
    pub fn add_queue(&mut self, name: &str, id: QueueId, durable: bool) -> bool {
        self.queues.add(name, id, durable)
    }

    /// Forgets a queue, the bindings to it, and the exchanges that go with those.
    pub fn remove_queue(&mut self, id: QueueId) -> Vec<Effect> {
        let mut effects = Vec::new();
        let emptied = self.cut_sources(Destination::Queue(id), &mut effects);
        self.queues.remove(id);
        self.delete_all(emptied, &mut effects);
        effects
    }

    /// `queue.bind` and `exchange.bind`. No effect if it is bound so already.
    pub fn bind(
        &mut self,
        source: &str,
        to: Target<'_>,
        key: &str,
        arguments: &FieldTable,
    ) -> Result<Option<Effect>, TopologyError> {
        self.refuse_ends(source, to)?;
        let id = self.existing(source)?;
        let destination = self.destination(to)?;
        let Some(exchange) = self.exchange_mut(id) else { return Ok(None) };
        exchange.attributes.kind.matching().check_binding(arguments)?;
        if exchange.routes.len() >= BINDINGS_MAX {
            let (name, vhost) = (source.into(), self.vhost.clone());
            return Err(TopologyError::BindingLimit { name, vhost, max: BINDINGS_MAX });
        }
        if !exchange.routes.bind(destination, key, arguments) {
            return Ok(None);
        }
        *self.sources.entry((destination, id)).or_insert(0) += 1;
        Ok(self.named(id, destination, key.into(), Arguments::of(arguments)).map(Effect::Bound))
    }

    /// `queue.unbind` and `exchange.unbind`. What is not bound, or does not exist, is unbound already.
    pub fn unbind(
        &mut self,
        source: &str,
        to: Target<'_>,
        key: &str,
        arguments: &FieldTable,
    ) -> Result<Vec<Effect>, TopologyError> {
        self.refuse_ends(source, to)?;
        let mut effects = Vec::new();
        let (Some(id), Ok(destination)) = (self.find(source), self.destination(to)) else {
            return Ok(effects);
        };
        let Some(exchange) = self.exchange_mut(id) else { return Ok(effects) };
        if !exchange.routes.unbind(destination, key, arguments) {
            return Ok(effects);
        }
        let is_left = exchange.routes.is_empty() && exchange.attributes.auto_delete;
        self.forget_source(destination, id);
        effects
            .extend(self.named(id, destination, key.into(), Arguments::of(arguments)).map(Effect::Unbound));
        if is_left {
            self.delete_all(vec![id], &mut effects);
        }
        Ok(effects)
    }

    /// Whether there is such a binding.
    pub fn is_bound(&self, source: &str, to: Target<'_>, key: &str, arguments: &FieldTable) -> bool {
        let (Some(id), Ok(destination)) = (self.find(source), self.destination(to)) else { return false };
        self.exchange(id).is_some_and(|exchange| exchange.routes.is_bound(destination, key, arguments))
    }

    /// The bindings that leave an exchange, by name. The default exchange's are its queues, see [`Topology::queues`].
    pub fn bindings_from(&self, id: ExchangeId) -> impl Iterator<Item = NamedBinding> {
        let bindings = self.exchange(id).into_iter().flat_map(|exchange| exchange.routes.bindings());
        bindings.filter_map(move |binding| self.named_view(id, binding))
    }

    /// The bindings that lead to a destination, by name, without a queue's own to the default exchange.
    pub fn bindings_to(&self, destination: Destination) -> impl Iterator<Item = NamedBinding> {
        self.sources_of(destination).flat_map(move |id| {
            let exchange = self.exchange(id).into_iter();
            let bindings = exchange.flat_map(move |exchange| exchange.routes.bindings_to(destination));
            bindings.filter_map(move |binding| self.named_view(id, binding))
        })
    }

    /// What a name stands for.
    pub fn destination(&self, to: Target<'_>) -> Result<Destination, TopologyError> {
        match to {
            Target::Exchange(name) => self.existing(name).map(Destination::Exchange),
            Target::Queue(name) => {
                let missing = || TopologyError::NoQueue { name: name.into(), vhost: self.vhost.clone() };
                self.queues.find(name).map(Destination::Queue).ok_or_else(missing)
            }
        }
    }

    /// Deletes these exchanges, and those that lose their last binding by it and were to go with it.
    pub(super) fn delete_all(&mut self, mut doomed: Vec<ExchangeId>, effects: &mut Vec<Effect>) {
        while let Some(id) = doomed.pop() {
            self.cut_destinations(id, effects);
            doomed.extend(self.cut_sources(Destination::Exchange(id), effects));
            let Some(gone) = self.exchanges.get_mut(id.0 as usize).and_then(Option::take) else { continue };
            self.by_name.remove(&gone.name);
            self.free.push(id);
            effects.push(Effect::ExchangeDeleted { id, name: gone.name, durable: gone.attributes.durable });
        }
    }

    /// Removes the bindings that leave an exchange.
    fn cut_destinations(&mut self, id: ExchangeId, effects: &mut Vec<Effect>) {
        let leaving: Vec<_> = self.bindings_from(id).map(Effect::Unbound).collect();
        effects.extend(leaving);
        let Some(exchange) = self.exchange_mut(id) else { return };
        let fresh = super::Routes::new(exchange.attributes.kind.matching());
        let routes = std::mem::replace(&mut exchange.routes, fresh);
        for binding in routes.bindings() {
            self.sources.remove(&(binding.destination, id));
        }
    }

    /// Removes the bindings that lead there, and says which exchanges must go for it.
    fn cut_sources(&mut self, destination: Destination, effects: &mut Vec<Effect>) -> Vec<ExchangeId> {
        let sources: Vec<_> = self.sources_of(destination).collect();
        let mut emptied = Vec::new();
        for id in sources {
            self.sources.remove(&(destination, id));
            let Some(exchange) = self.exchange_mut(id) else { continue };
            let removed = exchange.routes.remove_destination(destination);
            if exchange.attributes.auto_delete && exchange.routes.is_empty() {
                emptied.push(id);
            }
            let named = |Removed { key, arguments, .. }| self.named(id, destination, key, arguments);
            effects.extend(removed.into_iter().filter_map(named).map(Effect::Unbound));
        }
        emptied
    }

    fn sources_of(&self, destination: Destination) -> impl Iterator<Item = ExchangeId> {
        let all = (destination, ExchangeId(0))..=(destination, ExchangeId(u32::MAX));
        self.sources.range(all).map(|((_, id), _)| *id)
    }

    fn forget_source(&mut self, destination: Destination, id: ExchangeId) {
        if let Some(count) = self.sources.get_mut(&(destination, id)) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&(destination, id));
            }
        }
    }

    fn refuse_ends(&self, source: &str, to: Target<'_>) -> Result<(), TopologyError> {
        self.refuse_default(source)?;
        match to {
            Target::Exchange(name) => self.refuse_default(name),
            Target::Queue(_) => Ok(()),
        }
    }

    fn named_view(&self, id: ExchangeId, binding: BindingView<'_>) -> Option<NamedBinding> {
        self.named(id, binding.destination, binding.key.into(), Arguments::of(binding.arguments))
    }

    fn named(
        &self,
        source: ExchangeId,
        to: Destination,
        key: Arc<str>,
        arguments: Arguments,
    ) -> Option<NamedBinding> {
        let exchange = self.exchange(source)?;
        let (destination, is_durable) = match to {
            Destination::Queue(id) => {
                let queue = self.queues.at(id)?;
                (End::Queue(Arc::clone(&queue.name)), queue.durable)
            }
            Destination::Exchange(id) => {
                let other = self.exchange(id)?;
                (End::Exchange(Arc::clone(&other.name)), other.attributes.durable)
            }
        };
        let durable = is_durable && exchange.attributes.durable;
        Some(NamedBinding { source: Arc::clone(&exchange.name), destination, key, arguments, durable })
    }
}
