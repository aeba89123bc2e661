//! A virtual host from what its log holds; and what it would need again, as a checkpoint.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use bytes::Bytes;

use super::{
    Vhost, VhostLimits, VhostStats, blocked, compaction, delayed, queues,
    records::{self, BadRecord, Declared},
    seen, sessions, store,
    timers::{TimerKey, Timers},
    turn,
};
use crate::{
    access::Access,
    exchange::{
        message::RouteResult,
        topology::{self, NamedBinding, Topology},
    },
    log::{
        appender::Appender,
        checkpoint::Checkpoint,
        index::QueueIndex,
        segments::Segments,
        state::{QueueState, State},
    },
    policy::{Level, PolicySet},
    queue::{Contents, Declaration, Lines, Queue, Stream, lane::Cold},
};

/// Why a virtual host cannot be built from its log.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// A declaration that a later version wrote, or damage that a checksum did not find.
    #[error(transparent)]
    Record(#[from] BadRecord),
    /// A declaration that does not fit to the others.
    #[error("declaration `{key}` in the log is refused: {reason}")]
    Refused {
        /// Its key.
        key: String,
        /// Why.
        reason: String,
    },
}

/// What is read of declarations, in the order in which they can be made.
#[derive(Default)]
struct Found {
    exchanges: Vec<(String, topology::Attributes)>,
    queues: Vec<(u32, Declaration)>,
    bindings: Vec<NamedBinding>,
    policies: Vec<(Level, String, Vec<u8>)>,
    delayed: Vec<(String, u32)>,
    seen: seen::Kept,
}

impl Vhost {
    /// Builds it from what was recovered.
    ///
    /// # Errors
    /// Where a declaration of the log makes no sense.
    pub fn recover(
        name: &str,
        state: State,
        appender: Appender,
        access: Arc<Access>,
        limits: VhostLimits,
        now_ms: u64,
    ) -> Result<Self, RecoverError> {
        let State { topology, mut queues, segments, queue_numbers_used } = state;
        let mut vhost = Self::empty(name, appender, segments, queue_numbers_used, access, limits);
        vhost.set_time(now_ms);
        let found = read(topology)?;
        for (level, key, value) in found.policies {
            let policy = records::read_policy(level, &value).map_err(|reason| refused(&key, &reason))?;
            vhost.policies.put(level, policy).map_err(|error| refused(&key, &error))?;
        }
        for (name, attributes) in found.exchanges {
            vhost.restore_exchange(&name, &attributes)?;
        }
        for (number, declaration) in found.queues {
            vhost.restore_queue(number, declaration, queues.remove(&number).unwrap_or_default())?;
        }
        vhost.restore_seen(found.seen);
        found.bindings.iter().for_each(|binding| vhost.restore_binding(binding));
        for (exchange, number) in found.delayed {
            let held = queues.remove(&number).unwrap_or_default();
            vhost.add_holder(&Rc::from(exchange.as_str()), number, true);
            vhost.restore_holder(number, held.index, held.next_seq);
        }
        vhost.forget_ownerless(queues);
        vhost.timers.set(TimerKey::ConsumerTimeouts, Some(now_ms + super::CONSUMER_TIMEOUT_LOOK_MS));
        Ok(vhost)
    }

    fn empty(
        name: &str,
        appender: Appender,
        segments: Segments,
        last_number: u32,
        access: Arc<Access>,
        limits: VhostLimits,
    ) -> Self {
        Self {
            name: name.into(),
            topology: Topology::new(name),
            queues: queues::Queues::new(last_number),
            sessions: sessions::Sessions::default(),
            store: store::Store::new(appender, segments),
            policies: PolicySet::new(),
            access,
            timers: Timers::default(),
            delayed: delayed::Delayed::default(),
            windows: seen::Windows::default(),
            turn: turn::Turn::default(),
            routed: RouteResult::new(),
            targets: Vec::new(),
            replies: std::collections::HashMap::new(),
            limbo: std::collections::HashMap::new(),
            unconfirmed: super::confirming::Unconfirmed::default(),
            waiters: super::durable::Waiters::default(),
            commits: std::collections::VecDeque::new(),
            unsynced: std::collections::VecDeque::new(),
            growing: Vec::new(),
            crowd: Vec::new(),
            unread: Vec::new(),
            unwritten: Vec::new(),
            blocked: blocked::State::default(),
            compaction: compaction::State::default(),
            limits,
            warm_bytes: 0,
            fat: Vec::new(),
            stats: VhostStats::default(),
            now_ms: 0,
        }
    }

    fn restore_exchange(
        &mut self,
        name: &str,
        attributes: &topology::Attributes,
    ) -> Result<(), RecoverError> {
        let asked = topology::Declaration {
            name,
            kind: attributes.kind,
            durable: attributes.durable,
            auto_delete: attributes.auto_delete,
            internal: attributes.internal,
            arguments: &attributes.arguments,
        };
        self.topology.declare(&asked).map_err(|error| refused(&records::exchange_key(name), &error))?;
        self.apply_exchange_policy(name);
        Ok(())
    }

    fn restore_queue(
        &mut self,
        number: u32,
        declaration: Declaration,
        held: QueueState,
    ) -> Result<(), RecoverError> {
        let id = self.queues.next_place();
        self.add_queue((id, number), declaration, None)
            .map_err(|error| refused(&records::queue_key(number), &error))?;
        let Some(queue) = self.queues.one_mut(id) else { return Ok(()) };
        fill(queue, held);
        self.touch(id);
        Ok(())
    }

    /// A binding whose end is not there comes of damage to the log, which was reported: it is dropped, and the rest kept.
    fn restore_binding(&mut self, binding: &NamedBinding) {
        let NamedBinding { source, destination, key, arguments, .. } = binding;
        if let Err(error) = self.topology.bind(source, destination.target(), key, arguments.table()) {
            let declared = records::binding_key(binding);
            tracing::error!(vhost = &*self.name, binding = declared, %error, "a binding of the log is dropped");
            self.store.declare(&declared, None);
        }
    }

    /// Messages of queues that are not declared any more: a crash came between the end of a queue and its messages'.
    fn forget_ownerless(&mut self, queues: BTreeMap<u32, QueueState>) {
        for (number, held) in queues {
            self.queues.was_used(number);
            self.store.release(&held.index);
            self.store.forget(number);
        }
    }

    /// What recovery would need, as of now; none within a chain.
    pub fn checkpoint(&mut self) -> Option<Checkpoint> {
        let replay_from = self.store.checkpoint_position()?;
        let mut state = State {
            topology: self.declarations(),
            queues: BTreeMap::new(),
            segments: self.store.segments.clone(),
            queue_numbers_used: self.queues.last_number(),
        };
        for queue in self.queues.iter().filter(|queue| queue.is_written() || !queue.index.is_empty()) {
            let (next_seq, delivered_up_to) = (queue.next_seq(), queue.delivered_up_to);
            // Counts of what came back stand in the slots.
            let held = QueueState {
                index: queue.index.clone(),
                next_seq,
                delivered_up_to,
                returned: BTreeMap::new(),
                times: queue.times().collect(),
            };
            state.queues.insert(queue.number, held);
        }
        for (number, held) in self.delayed.iter() {
            let held =
                QueueState { index: held.index.clone(), next_seq: held.next_seq(), ..QueueState::default() };
            state.queues.insert(number, held);
        }
        self.store.since_checkpoint = 0;
        Some(Checkpoint { state, replay_from })
    }

    fn declarations(&self) -> BTreeMap<String, Bytes> {
        let mut all = BTreeMap::new();
        for queue in self.queues.iter().filter(|queue| queue.is_written()) {
            all.insert(records::queue_key(queue.number), records::queue(queue).into());
        }
        for (id, exchange) in self.topology.exchanges() {
            if exchange.attributes().durable && !is_predeclared(exchange.name()) {
                all.insert(records::exchange_key(exchange.name()), records::exchange(exchange).into());
            }
            for binding in self.topology.bindings_from(id).filter(|binding| binding.durable) {
                all.insert(records::binding_key(&binding), records::binding(&binding).into());
            }
        }
        for level in [Level::User, Level::Operator] {
            for policy in self.policies.iter(level) {
                all.insert(records::policy_key(level, &policy.name), records::policy(policy).into());
            }
        }
        all.extend(self.kept_windows().map(|(key, value)| (key, Bytes::from(value))));
        for (exchange, number) in self.delayed.durable_numbers() {
            all.insert(records::delayed_key(exchange), number.to_string().into());
        }
        all
    }
}

fn is_predeclared(name: &str) -> bool {
    name.is_empty() || name.starts_with("amq.")
}

fn read(topology: BTreeMap<String, Bytes>) -> Result<Found, BadRecord> {
    let mut found = Found::default();
    for (key, value) in topology {
        match records::decode(&key, &value)? {
            Declared::Queue(number, declaration) => found.queues.push((number, declaration)),
            Declared::Exchange(name, attributes) => found.exchanges.push((name, attributes)),
            Declared::Binding(binding) => found.bindings.push(binding),
            Declared::Policy(level, name, value) => found.policies.push((level, name, value)),
            Declared::Delayed(exchange, number) => found.delayed.push((exchange, number)),
            Declared::Seen { whose, entry, until_ms, id } => {
                found.seen.insert((whose, entry), (until_ms, id));
            }
        }
    }
    Ok(found)
}

fn refused(key: &str, error: &impl std::fmt::Display) -> RecoverError {
    RecoverError::Refused { key: key.to_owned(), reason: error.to_string() }
}

/// Gives a queue what the log holds for it: all of it is on the disk.
fn fill(queue: &mut Queue, held: QueueState) {
    let QueueState { index, next_seq, delivered_up_to, times, .. } = held;
    queue.delivered_up_to = delivered_up_to;
    queue.recovered_up_to = delivered_up_to;
    let max_priority = queue.max_priority();
    queue.contents = match &queue.contents {
        Contents::Lines(_) => {
            Contents::Lines(Lines::of_cold(ranges(&index, max_priority), index.bytes(), next_seq.max(1)))
        }
        Contents::Stream(_) => {
            let first = index.next_live(0).map_or(next_seq, |(seq, _)| seq);
            Contents::Stream(Stream::of_log(first, next_seq, index.bytes(), times))
        }
    };
    queue.index = index;
}

/// The cold range of each priority.
fn ranges(index: &QueueIndex, max_priority: u8) -> Vec<Cold> {
    let mut ranges = vec![Cold::default(); usize::from(max_priority) + 1];
    for (seq, slot) in index.iter() {
        let priority = slot.aux.priority().min(max_priority);
        if let Some(range) = ranges.get_mut(usize::from(priority)) {
            if range.count == 0 {
                range.from = seq;
            }
            range.to = seq + 1;
            range.count += 1;
        }
    }
    ranges
}
