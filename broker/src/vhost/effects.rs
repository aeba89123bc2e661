//! What changes of the topology mean for the log, for policies and for delayed messages.

use std::rc::Rc;

use super::{Vhost, records, refuse::Refusal};
use crate::{
    amqp::value::FieldValue,
    exchange::{
        QueueId,
        topology::{Effect, NamedBinding},
    },
    policy::{Target, kind::QueueKind, queue_settings::QueueSettings},
    queue::{Contents, Declaration, Queue, dedup, next_live_of},
};

impl Vhost {
    /// Takes in what a change did, as one step of the log: no binding outlives what it binds.
    pub(super) fn take_effects(&mut self, effects: impl IntoIterator<Item = Effect>) {
        self.store.begin_chain();
        for effect in effects {
            match effect {
                Effect::Bound(binding) => self.write_binding(&binding, true),
                Effect::Unbound(binding) => self.write_binding(&binding, false),
                Effect::ExchangeDeleted { name, durable, id } => {
                    self.forget_window(id, &name);
                    if durable {
                        self.store.declare(&records::exchange_key(&name), None);
                    }
                    self.forget_delayed(&name);
                }
            }
        }
        self.store.end_chain();
    }

    fn write_binding(&mut self, binding: &NamedBinding, bound: bool) {
        if binding.durable {
            let key = records::binding_key(binding);
            let value = bound.then(|| records::binding(binding));
            self.store.declare(&key, value.as_deref());
        }
    }

    pub(super) fn write_exchange(&mut self, name: &str) {
        if let Some(exchange) = self.topology.find(name).and_then(|id| self.topology.exchange(id)) {
            self.store.declare(&records::exchange_key(name), Some(&records::exchange(exchange)));
        }
    }

    /// What a client wants of a queue and nothing follows from is counted, and told to who reads the log.
    fn note_not_acted_on(&mut self, id: QueueId) {
        let Some(queue) = self.queues.one(id).filter(|queue| !queue.settings.not_acted_on.is_empty()) else {
            return;
        };
        let arguments = &queue.settings.not_acted_on;
        self.stats.not_acted_on += arguments.len() as u64;
        tracing::debug!(vhost = &*self.name, queue = &**queue.name(), ?arguments, "taken, but not acted on");
    }

    /// Makes a queue that is not there.
    pub(super) fn create_queue(
        &mut self,
        declaration: Declaration,
        owner: Option<u32>,
    ) -> Result<QueueId, Refusal> {
        let (id, number) = self.queues.next_ids();
        self.add_queue((id, number), declaration, owner)?;
        self.stats.queues_created += 1;
        self.note_not_acted_on(id);
        if let Some(queue) = self.queues.one(id).filter(|queue| queue.is_written()) {
            self.store.declare(&records::queue_key(number), Some(&records::queue(queue)));
        }
        Ok(id)
    }

    pub(super) fn add_queue(
        &mut self,
        ids: (QueueId, u32),
        declaration: Declaration,
        owner: Option<u32>,
    ) -> Result<(), Refusal> {
        if !self.topology.add_queue(&declaration.name, ids.0, declaration.durable) {
            self.queues.give_back(ids.0);
            let text = format!("cannot add queue '{}': too many queues", declaration.name);
            return Err(Refusal::new(crate::amqp::reply::ReplyCode::ResourceError, text));
        }
        let mut queue = Queue::new(ids, declaration, QueueSettings::default(), self.now_ms);
        queue.owner = owner;
        if let Some(session) = owner.and_then(|owner| self.sessions.one_mut(owner)) {
            session.owned.push(ids);
        }
        self.apply_queue_policy(&mut queue);
        queue.begin();
        self.queues.put(queue);
        self.set_timers(ids.0);
        Ok(())
    }

    /// Settings of a queue, from its arguments and the policies that match it.
    pub(super) fn apply_queue_policy(&self, queue: &mut Queue) {
        let kind = QueueKind::of(&queue.declaration.arguments);
        let effective = self.policies.effective(Target::Queue(&queue.declaration.name, kind));
        queue.settings = QueueSettings::resolve(&queue.declaration.arguments, &effective.definition());
        queue.policies = (effective.name().map(str::to_owned), effective.operator_name().map(str::to_owned));
        queue.dedup = match (queue.dedup.take(), queue.settings.deduplication) {
            (Some(window), Some(_)) => Some(window),
            (None, Some(wish)) => {
                let size = usize::try_from(wish.cache_size).unwrap_or(usize::MAX);
                Some(dedup::Window::new(size, wish.cache_ttl_ms))
            }
            (_, None) => None,
        };
    }

    pub(super) fn apply_exchange_policy(&mut self, name: &str) {
        let effective = self.policies.effective(Target::Exchange(name));
        let alternate = effective.alternate_exchange().map(str::to_owned);
        self.topology.set_policy_alternate(name, alternate.as_deref());
    }

    /// Policies have changed: they are applied to all.
    pub(super) fn apply_policies(&mut self) {
        let ids: Vec<QueueId> = self.queues.iter().map(|queue| queue.id).collect();
        for id in ids {
            if let Some(mut queue) = self.queues.take(id) {
                self.apply_queue_policy(&mut queue);
                self.queues.restore(queue);
                self.touch(id);
            }
        }
        let names: Vec<String> =
            self.topology.exchanges().map(|(_, exchange)| exchange.name().to_owned()).collect();
        for name in names {
            self.apply_exchange_policy(&name);
        }
    }

    /// The queue for messages that must not be dropped. It keeps all of them, and none dies in it for being looked at.
    pub(super) fn parked_queue(&mut self) -> Option<QueueId> {
        let name = super::dead::PARKED_QUEUE;
        if let Some(id) = self.topology.queues().find(name) {
            return Some(id);
        }
        let arguments =
            [("x-queue-type", FieldValue::text("quorum")), ("x-delivery-limit", FieldValue::I32(-1))];
        let declaration = Declaration {
            name: Rc::from(name),
            durable: true,
            auto_delete: false,
            exclusive: false,
            arguments: arguments.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        };
        if let Err(refusal) = self.create_queue(declaration, None) {
            tracing::error!(vhost = &*self.name, %refusal, "the queue of parked messages cannot be declared");
        }
        self.topology.queues().find(name)
    }

    /// Takes out all that waits; how many. None for what cannot be purged.
    pub(super) fn purge(&mut self, id: QueueId) -> Option<u64> {
        let queue = self.queues.one_mut(id)?;
        let (number, max_priority) = (queue.number, queue.max_priority());
        let Contents::Lines(lines) = &mut queue.contents else { return None };
        let purged = lines.ready();
        let (warm, cold) = lines.clear();
        for entry in warm.iter().filter(|entry| entry.stored) {
            if let Some(slot) = queue.index.settle(entry.seq) {
                self.store.settle(number, entry.seq, slot);
            }
        }
        for (priority, range) in cold {
            let mut from = range.from;
            while let Some((seq, slot)) =
                next_live_of(&queue.index, from, priority, max_priority).filter(|(seq, _)| *seq < range.to)
            {
                queue.index.settle(seq);
                self.store.settle(number, seq, slot);
                from = seq + 1;
            }
        }
        self.touch(id);
        Some(purged)
    }
}
