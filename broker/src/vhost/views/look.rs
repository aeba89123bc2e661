//! How the views are taken. What is long is walked by a place that each piece hands on; between two pieces things may
//! come and go, as they may between two looks.

use std::sync::Arc;

use super::{ChannelView, ConnectionView, ConsumerView, ExchangeView, Peer, Piece, QueueView, Totals};
use crate::{
    exchange::topology::{DEFAULT, End, NamedBinding},
    policy::{Effective, Level, Target},
    queue::{Consumer, Queue},
    vhost::{
        Vhost,
        channel::{Channel, Mode},
        session::{Session, SessionId, SessionState},
    },
};

impl Vhost {
    /// Queues from a place on, so many at most.
    pub fn queue_views(&self, from: u64, most: usize) -> Piece<QueueView> {
        let queues = self.queues.iter().filter(|queue| u64::from(queue.id.0) >= from).take(most + 1);
        let mut queues: Vec<&Queue> = queues.collect();
        let next = (queues.len() > most).then(|| queues.pop()).flatten();
        Piece {
            items: queues.into_iter().map(|queue| self.view_queue(queue)).collect(),
            next: next.map(|queue| queue.id.0.into()),
        }
    }

    /// Whether there is a queue of that name.
    pub fn has_queue(&self, name: &str) -> bool {
        self.topology.queues().find(name).is_some()
    }

    /// Whether there is an exchange of that name.
    pub fn has_exchange(&self, name: &str) -> bool {
        self.topology.find(name).is_some()
    }

    /// One queue.
    pub fn queue_view(&self, name: &str) -> Option<QueueView> {
        let id = self.topology.queues().find(name)?;
        self.queues.one(id).map(|queue| self.view_queue(queue))
    }

    fn view_queue(&self, queue: &Queue) -> QueueView {
        let declaration = &queue.declaration;
        let of = |level, name: &Option<String>| self.policies.find(level, name.as_deref()?).cloned();
        let alone = queue.consumers.iter().find(|consumer| consumer.wish.exclusive);
        let active = queue.consumers.iter().find(|consumer| consumer.is_active());
        let tag = |consumer: &Consumer| consumer.wish.tag.to_string();
        QueueView {
            name: declaration.name.to_string(),
            durable: declaration.durable,
            auto_delete: declaration.auto_delete,
            exclusive: declaration.exclusive,
            arguments: declaration.arguments.clone(),
            kind: queue.settings.kind,
            effective: Effective {
                policy: of(Level::User, &queue.policies.0),
                operator_policy: of(Level::Operator, &queue.policies.1),
            },
            owner: queue.owner.and_then(|id| self.sessions.one(id)).map(peer),
            ready: queue.ready(),
            ready_bytes: queue.ready_bytes(),
            unacked: queue.unacked,
            unacked_bytes: queue.unacked_bytes,
            stored: queue.index.len(),
            memory_bytes: queue.warm_bytes(),
            consumers: queue.consumers.len(),
            consumers_ready: queue.consumers.front().is_some(),
            exclusive_consumer: alone.map(tag),
            active_consumer: active.filter(|_| queue.settings.single_active_consumer).map(tag),
            stats: queue.stats,
            used_at_ms: queue.used_at_ms,
        }
    }

    /// Exchanges from a place on, so many at most.
    pub fn exchange_views(&self, from: u64, most: usize) -> Piece<ExchangeView> {
        let mut items: Vec<_> = self
            .topology
            .exchanges()
            .filter(|(id, _)| u64::from(id.0) >= from)
            .take(most + 1)
            .map(|(id, exchange)| (id, exchange.name()))
            .collect();
        let next = (items.len() > most).then(|| items.pop()).flatten();
        Piece {
            items: items.into_iter().filter_map(|(_, name)| self.exchange_view(name)).collect(),
            next: next.map(|(id, _)| id.0.into()),
        }
    }

    /// One exchange.
    pub fn exchange_view(&self, name: &str) -> Option<ExchangeView> {
        let exchange = self.topology.find(name).and_then(|id| self.topology.exchange(id))?;
        Some(ExchangeView {
            name: name.to_owned(),
            attributes: exchange.attributes().clone(),
            effective: self.policies.effective(Target::Exchange(name)),
            delayed: self.delayed.count(name),
        })
    }

    /// Bindings from a place on, so many at most; first those of the default exchange, which are its queues.
    pub fn binding_views(&self, from: u64, most: usize) -> Piece<NamedBinding> {
        let skipped = usize::try_from(from).unwrap_or(usize::MAX);
        let own = self.queues.iter().map(own_binding);
        let others = self.topology.exchanges().filter(|(id, _)| *id != DEFAULT);
        let others = others.flat_map(|(id, _)| self.topology.bindings_from(id));
        let items: Vec<_> = own.chain(others).skip(skipped).take(most).collect();
        let next = (items.len() == most).then(|| from + most as u64);
        Piece { items, next }
    }

    /// The bindings that leave an exchange; none where there is no such exchange.
    pub fn bindings_of_source(&self, name: &str) -> Option<Vec<NamedBinding>> {
        let id = self.topology.find(name)?;
        Some(match id {
            DEFAULT => self.queues.iter().map(own_binding).collect(),
            _ => self.topology.bindings_from(id).collect(),
        })
    }

    /// The bindings that lead to a queue or an exchange; none where there is no such thing.
    pub fn bindings_of_destination(&self, end: &End) -> Option<Vec<NamedBinding>> {
        let destination = self.topology.destination(end.target()).ok()?;
        let own = match end {
            End::Queue(name) => {
                let id = self.topology.queues().find(name)?;
                self.queues.one(id).map(own_binding)
            }
            End::Exchange(_) => None,
        };
        Some(own.into_iter().chain(self.topology.bindings_to(destination)).collect())
    }

    /// The consumers of queues from a place on, of so many queues at most.
    pub fn consumer_views(&self, from: u64, most: usize) -> Piece<ConsumerView> {
        let queues = self.queues.iter().filter(|queue| u64::from(queue.id.0) >= from).take(most + 1);
        let mut queues: Vec<&Queue> = queues.collect();
        let next = (queues.len() > most).then(|| queues.pop()).flatten();
        let items = queues.into_iter().flat_map(|queue| self.consumers_of(queue)).collect();
        Piece { items, next: next.map(|queue| queue.id.0.into()) }
    }

    /// The consumers of one queue.
    pub fn consumer_views_of(&self, name: &str) -> Vec<ConsumerView> {
        let queue = self.topology.queues().find(name).and_then(|id| self.queues.one(id));
        queue.into_iter().flat_map(|queue| self.consumers_of(queue)).collect()
    }

    fn consumers_of<'a>(&'a self, queue: &'a Queue) -> impl Iterator<Item = ConsumerView> + 'a {
        let timeout_ms = queue.settings.consumer_timeout_ms.unwrap_or(self.limits.consumer_timeout_ms);
        queue.consumers.iter().map(move |consumer| ConsumerView {
            queue: queue.name().to_string(),
            tag: consumer.wish.tag.to_string(),
            peer: self.sessions.one(consumer.wish.address.session).map(peer),
            channel: consumer.wish.address.channel,
            acknowledges: !consumer.wish.no_ack,
            exclusive: consumer.wish.exclusive,
            active: consumer.is_active(),
            prefetch: consumer.wish.prefetch,
            arguments: consumer.wish.arguments.clone(),
            timeout_ms,
        })
    }

    /// Connections above a number, so many at most.
    pub fn connection_views(&self, from: u64, most: usize) -> Piece<ConnectionView> {
        let (sessions, next) = self.sessions_from(from, most);
        Piece {
            items: sessions.into_iter().map(|(_, session)| self.view_connection(session)).collect(),
            next,
        }
    }

    /// One connection, by its name.
    pub fn connection_view(&self, name: &str) -> Option<ConnectionView> {
        let (_, session) = self.sessions.iter().find(|(_, session)| &*session.name == name)?;
        Some(self.view_connection(session))
    }

    fn view_connection(&self, session: &Session) -> ConnectionView {
        ConnectionView {
            name: session.name.to_string(),
            info: session.info.clone(),
            closing: session.state != SessionState::Open,
            blocked: session.publishes && self.blocked.is_any(),
            channels: session.channel_count(),
            received_bytes: session.received_bytes,
            sent_bytes: session.sent_bytes,
            waiting_bytes: session.outbox.len(),
        }
    }

    /// The channels of connections above a number, of so many connections at most.
    pub fn channel_views(&self, from: u64, most: usize) -> Piece<ChannelView> {
        let (sessions, next) = self.sessions_from(from, most);
        Piece { items: sessions.into_iter().flat_map(|(_, session)| channels_of(session)).collect(), next }
    }

    /// The channels of one connection; none where it is not there.
    pub fn channel_views_of(&self, connection: &str) -> Option<Vec<ChannelView>> {
        let (_, session) = self.sessions.iter().find(|(_, session)| &*session.name == connection)?;
        Some(channels_of(session).collect())
    }

    fn sessions_from(&self, from: u64, most: usize) -> (Vec<(SessionId, &Session)>, Option<u64>) {
        let mut all: Vec<_> = self.sessions.iter().filter(|(id, _)| u64::from(*id) >= from).collect();
        all.sort_by_key(|(id, _)| *id);
        let next = all.get(most).map(|(id, _)| u64::from(*id));
        all.truncate(most);
        (all, next)
    }

    /// Sums over all of it.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            queues: self.queues.len(),
            exchanges: self.topology.exchanges().count(),
            connections: self.sessions.len(),
            queue_stats: self.stats.of_gone_queues,
            stats: self.stats,
            blocked: self.blocked_reasons(),
            ..Totals::default()
        };
        for queue in self.queues.iter() {
            totals.ready += queue.ready();
            totals.unacked += queue.unacked;
            totals.consumers += queue.consumers.len();
            totals.queue_stats += queue.stats;
        }
        for (_, session) in self.sessions.iter() {
            totals.channels += session.channel_count();
            totals.publishers += publishers_of(session);
            totals.received_bytes += session.received_bytes;
            totals.sent_bytes += session.sent_bytes;
        }
        totals
    }
}

/// Channels that have published.
fn publishers_of(session: &Session) -> usize {
    let published =
        |number: &u16| session.channel(*number).is_some_and(|channel| channel.counts.published > 0);
    session.channel_numbers().filter(published).count()
}

fn own_binding(queue: &Queue) -> NamedBinding {
    let name: Arc<str> = Arc::from(&*queue.declaration.name);
    NamedBinding {
        source: "".into(),
        destination: End::Queue(Arc::clone(&name)),
        key: name,
        arguments: crate::exchange::arguments::Arguments::default(),
        durable: queue.declaration.durable,
    }
}

fn peer(session: &Session) -> Peer {
    Peer {
        connection: session.name.to_string(),
        address: session.info.peer,
        user: session.info.user.name.to_string(),
    }
}

fn channels_of(session: &Session) -> impl Iterator<Item = ChannelView> {
    let of = |number| session.channel(number).map(|channel| view_channel(session, number, channel));
    session.channel_numbers().filter_map(of)
}

fn view_channel(session: &Session, number: u16, channel: &Channel) -> ChannelView {
    let counts = channel.counts;
    let (unconfirmed, uncommitted) = match &channel.mode {
        Mode::Plain => (0, (0, 0)),
        Mode::Confirm(confirms) => (confirms.len(), (0, 0)),
        Mode::Transaction(transaction) => (0, (transaction.publishes.len(), transaction.settlements.len())),
    };
    ChannelView {
        peer: peer(session),
        number,
        confirms: matches!(channel.mode, Mode::Confirm(_)),
        transactional: matches!(channel.mode, Mode::Transaction(_)),
        consumers: channel.consumers.len(),
        unacked: channel.unacked.len(),
        unconfirmed,
        uncommitted,
        prefetch: channel.prefetch,
        prefetch_global: channel.prefetch_global,
        counts: [counts.published, counts.confirmed, counts.returned, counts.delivered, counts.acked],
    }
}
