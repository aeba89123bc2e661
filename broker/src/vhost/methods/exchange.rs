//! `exchange.…`: declare, delete, bind, unbind.

use super::queue::without_line_ends;
use crate::{
    access::permission::{Action, Resource},
    amqp::{
        method::{
            Exchange,
            exchange::{Bind, BindOk, Declare, DeclareOk, Delete, DeleteOk, Unbind, UnbindOk},
        },
        table::RawTable,
        value::{FieldTable, FieldValue},
    },
    exchange::{
        kind::{Kind, Matching},
        topology::{Declaration, Target},
    },
    queue::Address,
    vhost::{
        Vhost,
        refuse::{self, Refusal},
    },
};

/// One binding as a client names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binding<'a> {
    pub(super) source: &'a str,
    pub(super) to: Target<'a>,
    pub(super) key: &'a str,
    pub(super) arguments: RawTable<'a>,
}

impl Vhost {
    pub(super) fn exchange_method(&mut self, at: Address, method: &Exchange<'_>) -> Result<(), Refusal> {
        match method {
            Exchange::Declare(declare) => {
                self.declare_exchange(at, declare)?;
                if !declare.no_wait {
                    self.answer(at, |number, out| DeclareOk {}.encode(number, out));
                }
            }
            Exchange::Delete(delete) => {
                self.delete_exchange(at, delete)?;
                if !delete.no_wait {
                    self.answer(at, |number, out| DeleteOk {}.encode(number, out));
                }
            }
            Exchange::Bind(bind) => {
                let Bind { destination, source, routing_key: key, arguments, no_wait } = *bind;
                self.bind(at, Binding { source, to: Target::Exchange(destination), key, arguments })?;
                if !no_wait {
                    self.answer(at, |number, out| BindOk {}.encode(number, out));
                }
            }
            Exchange::Unbind(unbind) => {
                let Unbind { destination, source, routing_key: key, arguments, no_wait } = *unbind;
                self.unbind(at, Binding { source, to: Target::Exchange(destination), key, arguments })?;
                if !no_wait {
                    self.answer(at, |number, out| UnbindOk {}.encode(number, out));
                }
            }
            Exchange::DeclareOk(_) | Exchange::DeleteOk(_) | Exchange::BindOk(_) | Exchange::UnbindOk(_) => {
                return Err(refuse::unimplemented());
            }
        }
        Ok(())
    }

    fn declare_exchange(&mut self, at: Address, declare: &Declare<'_>) -> Result<(), Refusal> {
        let name = &*without_line_ends(declare.exchange);
        if declare.passive {
            return self.topology.passive(name).map(drop).map_err(|error| refuse::topology(&error));
        }
        let arguments = table(declare.arguments)?;
        let kind = Kind::parse(declare.kind, &arguments).map_err(|error| refuse::kind(&error))?;
        self.check(at.session, Action::Configure, Resource::Exchange(name))?;
        if let Some(alternate) = arguments.find("alternate-exchange").and_then(FieldValue::as_str) {
            self.check(at.session, Action::Read, Resource::Exchange(name))?;
            self.check(at.session, Action::Write, Resource::Exchange(alternate))?;
        }
        let asked = Declaration {
            name,
            kind,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            arguments: &arguments,
        };
        self.declare_exchange_as(&asked)
    }

    /// Declares an exchange for whoever may.
    pub(in crate::vhost) fn declare_exchange_as(&mut self, asked: &Declaration<'_>) -> Result<(), Refusal> {
        let declared = self.topology.declare(asked).map_err(|error| refuse::topology(&error))?;
        if !declared.is_new {
            return Ok(());
        }
        self.apply_exchange_policy(asked.name);
        if asked.durable {
            self.write_exchange(asked.name);
        }
        Ok(())
    }

    fn delete_exchange(&mut self, at: Address, delete: &Delete<'_>) -> Result<(), Refusal> {
        let name = &*without_line_ends(delete.exchange);
        self.check(at.session, Action::Configure, Resource::Exchange(name))?;
        let effects =
            self.topology.delete(name, delete.if_unused).map_err(|error| refuse::topology(&error))?;
        self.take_effects(effects);
        Ok(())
    }

    /// `queue.bind` and `exchange.bind`.
    pub(super) fn bind(&mut self, at: Address, binding: Binding<'_>) -> Result<(), Refusal> {
        let arguments = table(binding.arguments)?;
        self.check_ends(at, &binding)?;
        let Binding { source, to, key, .. } = binding;
        self.check_topic_binding(at, source, key)?;
        let effect =
            self.topology.bind(source, to, key, &arguments).map_err(|error| refuse::topology(&error))?;
        self.take_effects(effect);
        Ok(())
    }

    /// `queue.unbind` and `exchange.unbind`.
    pub(super) fn unbind(&mut self, at: Address, binding: Binding<'_>) -> Result<(), Refusal> {
        let arguments = table(binding.arguments)?;
        self.check_ends(at, &binding)?;
        let Binding { source, to, key, .. } = binding;
        // Another connection's exclusive queue: RabbitMQ looks only where there is such a binding.
        if let Target::Queue(name) = to
            && let Some(id) = self.topology.queues().find(name)
            && self.topology.is_bound(source, to, key, &arguments)
        {
            self.check_owner(at, id)?;
        }
        let effects =
            self.topology.unbind(source, to, key, &arguments).map_err(|error| refuse::topology(&error))?;
        self.take_effects(effects);
        Ok(())
    }

    fn check_ends(&mut self, at: Address, binding: &Binding<'_>) -> Result<(), Refusal> {
        let destination = match binding.to {
            Target::Queue(name) => Resource::Queue(name),
            Target::Exchange(name) => Resource::Exchange(name),
        };
        self.check(at.session, Action::Write, destination)?;
        self.check(at.session, Action::Read, Resource::Exchange(binding.source))
    }

    fn check_topic_binding(&self, at: Address, source: &str, key: &str) -> Result<(), Refusal> {
        let found = self.topology.find(source).and_then(|id| self.topology.exchange(id));
        match found {
            Some(exchange) if exchange.attributes().kind.matching() == Matching::Topic => {
                self.check_topic(at.session, Action::Read, source, key)
            }
            _ => Ok(()),
        }
    }
}

/// A table of arguments, read.
pub(super) fn table(raw: RawTable<'_>) -> Result<FieldTable, Refusal> {
    raw.decode().map_err(refuse::table)
}
