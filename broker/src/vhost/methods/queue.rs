//! `queue.…`: declare, bind, unbind, purge, delete.

use std::{borrow::Cow, rc::Rc};

use super::exchange::{Binding, table};
use crate::{
    access::permission::{Action, Resource},
    amqp::{
        method::{
            Queue as QueueMethod,
            queue::{Bind, BindOk, Declare, DeclareOk, Delete, DeleteOk, Purge, PurgeOk, Unbind, UnbindOk},
        },
        reply::ReplyCode,
        value::{FieldTable, FieldValue},
    },
    exchange::{QueueId, topology::Target},
    policy::{
        arguments, equivalence,
        kind::{self, QueueKind},
    },
    queue::{Address, Declaration},
    vhost::{
        Vhost,
        refuse::{self, Refusal},
        reply_to::PSEUDO_QUEUE,
    },
};

/// What server-made names begin with.
const GENERATED: &str = "amq.gen-";
/// What clients may not use.
const RESERVED: &str = "amq.";

impl Vhost {
    pub(super) fn queue_method(&mut self, at: Address, method: &QueueMethod<'_>) -> Result<(), Refusal> {
        match method {
            QueueMethod::Declare(declare) => self.declare_queue(at, declare),
            QueueMethod::Bind(bind) => {
                let Bind { queue, exchange: source, routing_key, arguments, no_wait } = *bind;
                let (name, key) = self.named_and_keyed(at, queue, routing_key)?;
                if let Some(id) = self.topology.queues().find(&name) {
                    self.check_owner(at, id)?;
                }
                self.bind(at, Binding { source, to: Target::Queue(&name), key: &key, arguments })?;
                if !no_wait {
                    self.answer(at, |number, out| BindOk {}.encode(number, out));
                }
                Ok(())
            }
            QueueMethod::Unbind(unbind) => {
                let Unbind { queue, exchange: source, routing_key, arguments } = *unbind;
                let (name, key) = self.named_and_keyed(at, queue, routing_key)?;
                self.unbind(at, Binding { source, to: Target::Queue(&name), key: &key, arguments })?;
                self.answer(at, |number, out| UnbindOk {}.encode(number, out));
                Ok(())
            }
            QueueMethod::Purge(purge) => self.purge_queue(at, purge),
            QueueMethod::Delete(delete) => self.delete_queue_asked(at, delete),
            QueueMethod::DeclareOk(_)
            | QueueMethod::BindOk(_)
            | QueueMethod::UnbindOk(_)
            | QueueMethod::PurgeOk(_)
            | QueueMethod::DeleteOk(_) => Err(refuse::unimplemented()),
        }
    }

    /// The name that is meant: an empty one is the queue that this channel declared last.
    pub(super) fn name_meant(&self, at: Address, name: &str) -> Result<Rc<str>, Refusal> {
        if !name.is_empty() {
            return Ok(name.into());
        }
        let channel = self.sessions.one(at.session).and_then(|session| session.channel(at.channel));
        channel
            .and_then(|channel| channel.last_queue.clone())
            .ok_or_else(|| Refusal::new(ReplyCode::NotFound, "no previously declared queue"))
    }

    /// The same for a binding, whose empty key then means the queue's name.
    fn named_and_keyed(&self, at: Address, name: &str, key: &str) -> Result<(Rc<str>, Rc<str>), Refusal> {
        let meant = self.name_meant(at, name)?;
        let key = if name.is_empty() && key.is_empty() { Rc::clone(&meant) } else { key.into() };
        Ok((meant, key))
    }

    /// The queue of a name, if this connection may use it.
    pub(super) fn queue_of(&self, at: Address, name: &str) -> Result<QueueId, Refusal> {
        let Some(id) = self.topology.queues().find(name) else {
            let text = format!("no queue '{name}' in vhost '{}'", self.name);
            return Err(Refusal::new(ReplyCode::NotFound, text));
        };
        self.check_owner(at, id)?;
        Ok(id)
    }

    /// An exclusive queue is its own connection's.
    pub(super) fn check_owner(&self, at: Address, id: QueueId) -> Result<(), Refusal> {
        let Some(queue) = self.queues.one(id) else { return Ok(()) };
        match queue.owner {
            Some(owner) if owner != at.session => Err(self.locked(queue.name())),
            _ => Ok(()),
        }
    }

    fn locked(&self, name: &str) -> Refusal {
        let queue = arguments::QueueName { queue: name.into(), vhost: (&*self.name).into() };
        Refusal::new(ReplyCode::ResourceLocked, equivalence::Inequivalent::Locked { queue }.to_string())
    }

    fn declare_queue(&mut self, at: Address, declare: &Declare<'_>) -> Result<(), Refusal> {
        let name = without_line_ends(declare.queue);
        // What goes with its connection is not durable, whatever is asked for.
        let declare = &Declare { queue: &name, durable: declare.durable && !declare.exclusive, ..*declare };
        if declare.queue.starts_with(PSEUDO_QUEUE) {
            return self.find_requester(at, declare);
        }
        let (id, name) = match declare.passive {
            true => self.find_declared(at, declare)?,
            false => self.find_or_create(at, declare)?,
        };
        if let Some(channel) = self.channel_mut(at) {
            channel.last_queue = Some(Rc::clone(&name));
        }
        let now_ms = self.now_ms;
        let Some(queue) = self.queues.one_mut(id) else { return Ok(()) };
        queue.used_at_ms = now_ms;
        let (messages, consumers) = (queue.ready(), queue.consumers.len());
        self.touch(id);
        if !declare.no_wait {
            let declared = DeclareOk {
                queue: &name,
                message_count: u32::try_from(messages).unwrap_or(u32::MAX),
                consumer_count: u32::try_from(consumers).unwrap_or(u32::MAX),
            };
            self.answer(at, |number, out| declared.encode(number, out));
        }
        Ok(())
    }

    /// A server may ask so whether who waits for its reply is still there.
    fn find_requester(&mut self, at: Address, declare: &Declare<'_>) -> Result<(), Refusal> {
        let name = declare.queue;
        if name != PSEUDO_QUEUE && !self.replies.contains_key(name) {
            let text = format!("no queue '{name}' in vhost '{}'", self.name);
            return Err(Refusal::new(ReplyCode::NotFound, text));
        }
        let declared = DeclareOk { queue: name, message_count: 0, consumer_count: 1 };
        if !declare.no_wait {
            self.answer(at, |number, out| declared.encode(number, out));
        }
        Ok(())
    }

    fn find_declared(&self, at: Address, declare: &Declare<'_>) -> Result<(QueueId, Rc<str>), Refusal> {
        let id = self.queue_of(at, declare.queue)?;
        Ok((id, declare.queue.into()))
    }

    fn find_or_create(&mut self, at: Address, declare: &Declare<'_>) -> Result<(QueueId, Rc<str>), Refusal> {
        let mut arguments = table(declare.arguments)?;
        let generated = declare.queue.is_empty();
        let name: Rc<str> =
            if generated { format!("{GENERATED}{}", random_name()).into() } else { declare.queue.into() };
        self.check(at.session, Action::Configure, Resource::Queue(&name))?;
        self.check_dead_letters(at, &name, &arguments)?;
        let default_kind = self.access.vhost(&self.name).and_then(|vhost| vhost.default_queue_type);
        kind::add_default(
            &mut arguments,
            default_kind,
            declare.durable,
            declare.exclusive,
            declare.auto_delete,
        );
        if let Some(id) = self.topology.queues().find(&name) {
            self.check_equivalent(at, id, declare, &arguments)?;
            return Ok((id, name));
        }
        self.create_asked(at, declare, &name, arguments).map(|id| (id, Rc::clone(&name)))
    }

    /// A queue that is not there yet.
    fn create_asked(
        &mut self,
        at: Address,
        declare: &Declare<'_>,
        name: &Rc<str>,
        arguments: FieldTable,
    ) -> Result<QueueId, Refusal> {
        let generated = declare.queue.is_empty();
        let is_trusted = self.sessions.one(at.session).is_some_and(|session| session.is_trusted);
        if !generated && !is_trusted && name.starts_with(RESERVED) {
            let text = format!("queue name '{name}' contains reserved prefix 'amq.*'");
            return Err(Refusal::new(ReplyCode::AccessRefused, text));
        }
        arguments::check(&arguments::Declaration {
            vhost: &self.name,
            queue: name,
            is_server_named: generated,
            durable: declare.durable,
            exclusive: declare.exclusive,
            auto_delete: declare.auto_delete,
            arguments: &arguments,
        })
        .map_err(|error| refuse::declare(&error))?;
        let count = u64::try_from(self.queues.len()).unwrap_or(u64::MAX);
        self.access.add_queue(&self.name, name, count).map_err(|refused| refuse::access(&refused))?;
        let declaration = Declaration {
            name: Rc::clone(name),
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            exclusive: declare.exclusive,
            arguments,
        };
        let owner = declare.exclusive.then_some(at.session);
        self.create_queue(declaration, owner)
    }

    fn check_equivalent(
        &self,
        at: Address,
        id: QueueId,
        declare: &Declare<'_>,
        arguments: &FieldTable,
    ) -> Result<(), Refusal> {
        let Some(queue) = self.queues.one(id) else { return Ok(()) };
        self.check_owner(at, id)?;
        let current = &queue.declaration;
        let of = |declared: &'_ Declaration| (declared.durable, declared.exclusive, declared.auto_delete);
        let (durable, exclusive, auto_delete) = of(current);
        let is = equivalence::Attributes { durable, exclusive, auto_delete, arguments: &current.arguments };
        let Declare { durable, exclusive, auto_delete, .. } = *declare;
        let came = equivalence::Attributes { durable, exclusive, auto_delete, arguments };
        equivalence::check(&self.name, &current.name, is, came).map_err(|error| refuse::inequivalent(&error))
    }

    /// Who names a dead-letter exchange may read the queue and write to the exchange.
    fn check_dead_letters(&mut self, at: Address, name: &str, arguments: &FieldTable) -> Result<(), Refusal> {
        let Some(exchange) = arguments.find("x-dead-letter-exchange").and_then(FieldValue::as_str) else {
            return Ok(());
        };
        self.check(at.session, Action::Read, Resource::Queue(name))?;
        self.check(at.session, Action::Write, Resource::Exchange(exchange))
    }

    fn purge_queue(&mut self, at: Address, purge: &Purge<'_>) -> Result<(), Refusal> {
        let name = self.name_meant(at, purge.queue)?;
        self.check(at.session, Action::Read, Resource::Queue(&name))?;
        let id = self.queue_of(at, &name)?;
        let purged = self.purge(id).ok_or_else(|| {
            let text =
                format!("queue.purge not supported by stream queues queue '{name}' in vhost '{}'", self.name);
            Refusal::new(ReplyCode::NotImplemented, text)
        })?;
        if !purge.no_wait {
            let message_count = u32::try_from(purged).unwrap_or(u32::MAX);
            self.answer(at, |number, out| PurgeOk { message_count }.encode(number, out));
        }
        Ok(())
    }

    fn delete_queue_asked(&mut self, at: Address, delete: &Delete<'_>) -> Result<(), Refusal> {
        let name = self.name_meant(at, &without_line_ends(delete.queue))?;
        self.check(at.session, Action::Configure, Resource::Queue(&name))?;
        let found = self.topology.queues().find(&name);
        let mut message_count = 0;
        if let Some(id) = found {
            self.check_owner(at, id)?;
            message_count = self.deletable(id, delete)?;
        }
        // The answer comes before the channel's own consumers hear of it: clients wait for nothing else.
        if !delete.no_wait {
            self.answer(at, |number, out| DeleteOk { message_count }.encode(number, out));
        }
        if let Some(id) = found {
            self.delete_queue(id);
        }
        Ok(())
    }
}

impl Vhost {
    /// Whether a queue may go, and how many messages go with it. Streams know neither condition and count nothing, quorum
    /// queues refuse both, as in RabbitMQ.
    fn deletable(&self, id: QueueId, delete: &Delete<'_>) -> Result<u32, Refusal> {
        let Some(queue) = self.queues.one(id) else { return Ok(0) };
        let name = format!("queue '{}' in vhost '{}'", queue.name(), self.name);
        let refused = |why: &str| Err(Refusal::new(ReplyCode::PreconditionFailed, format!("{name} {why}")));
        match queue.settings.kind {
            QueueKind::Stream => return Ok(0),
            QueueKind::Quorum if delete.if_unused || delete.if_empty => {
                let flag = if delete.if_unused { "if-unused" } else { "if-empty" };
                let text = format!(
                    "cannot delete {name}. queue.delete operations with {flag} flag set are not supported by quorum queues"
                );
                return Err(Refusal::new(ReplyCode::NotImplemented, text));
            }
            QueueKind::Quorum | QueueKind::Classic => {}
        }
        if delete.if_unused && !queue.consumers.is_empty() {
            return refused("in use");
        }
        if delete.if_empty && queue.ready() > 0 {
            return refused("not empty");
        }
        Ok(u32::try_from(queue.ready()).unwrap_or(u32::MAX))
    }
}

/// A declared name as RabbitMQ takes it: without carriage returns and line feeds.
pub(super) fn without_line_ends(name: &str) -> Cow<'_, str> {
    match name.contains(['\r', '\n']) {
        true => name.replace(['\r', '\n'], "").into(),
        false => name.into(),
    }
}

/// What a server-made name ends with: as RabbitMQ's, 22 characters that nobody guesses.
pub(super) fn random_name() -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    URL_SAFE_NO_PAD.encode(uuid::Uuid::new_v4().as_bytes())
}
