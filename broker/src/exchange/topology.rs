//! The exchanges of a virtual host, by name: declared, deleted, bound, and routed through. It knows no permission and
//! no exclusive queue; who calls has checked those. What changes beside what was asked for is handed back as effects.

mod binding;
pub mod effect;
pub mod equivalence;
pub mod error;
mod route;
pub mod show;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use foldhash::fast::RandomState;

use self::equivalence::ALTERNATE;
pub use self::{
    effect::{Effect, End, NamedBinding, Target},
    equivalence::{Difference, Shown},
    error::{Fault, TopologyError},
};
use super::{
    Destination, ExchangeId,
    default::Queues,
    kind::{Kind, Matching},
    routes::Routes,
};
use crate::amqp::value::{FieldTable, FieldValue};

/// Exchanges of a virtual host at most.
pub const EXCHANGES_MAX: usize = 1 << 20;

/// The default exchange.
pub const DEFAULT: ExchangeId = ExchangeId(0);

/// Names that begin so are the broker's own.
const RESERVED: &str = "amq.";

/// What each virtual host has from the start; all durable.
const PREDECLARED: [(&str, Matching, bool); 7] = [
    ("", Matching::Direct, false),
    ("amq.direct", Matching::Direct, false),
    ("amq.fanout", Matching::Fanout, false),
    ("amq.topic", Matching::Topic, false),
    ("amq.headers", Matching::Headers, false),
    ("amq.match", Matching::Headers, false),
    ("amq.rabbitmq.trace", Matching::Topic, true),
];

/// What an exchange was declared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributes {
    /// Its type.
    pub kind: Kind,
    /// Whether it outlives the broker.
    pub durable: bool,
    /// Whether it goes with the last binding that leaves it.
    pub auto_delete: bool,
    /// Whether only other exchanges may publish to it.
    pub internal: bool,
    /// As declared.
    pub arguments: FieldTable,
}

/// `exchange.declare`.
#[derive(Debug, Clone, Copy)]
pub struct Declaration<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub kind: Kind,
    /// Whether it outlives the broker.
    pub durable: bool,
    /// Whether it goes with the last binding that leaves it.
    pub auto_delete: bool,
    /// Whether only other exchanges may publish to it.
    pub internal: bool,
    /// Its arguments.
    pub arguments: &'a FieldTable,
}

/// An exchange that stands after a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// Its number.
    pub id: ExchangeId,
    /// Whether it is new.
    pub is_new: bool,
}

/// The exchanges of one virtual host, and the names of its queues.
#[derive(Debug)]
pub struct Topology {
    vhost: Box<str>,
    exchanges: Vec<Option<Exchange>>,
    free: Vec<ExchangeId>,
    by_name: HashMap<Arc<str>, ExchangeId, RandomState>,
    queues: Queues,
    /// How many bindings lead to the first from the second.
    sources: BTreeMap<(Destination, ExchangeId), u32>,
}

/// One exchange.
#[derive(Debug)]
pub struct Exchange {
    name: Arc<str>,
    attributes: Attributes,
    policy_alternate: Option<Box<str>>,
    routes: Routes,
}

impl Exchange {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it was declared with.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Its bindings.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Where a message goes that it leads nowhere: by its own argument, else by policy.
    pub fn alternate(&self) -> Option<&str> {
        let own = self.attributes.arguments.find(ALTERNATE).and_then(FieldValue::as_str);
        own.or(self.policy_alternate.as_deref())
    }
}

impl Topology {
    /// A virtual host of that name with what each has from the start.
    pub fn new(vhost: &str) -> Self {
        let mut new = Self {
            vhost: vhost.into(),
            exchanges: Vec::new(),
            free: Vec::new(),
            by_name: HashMap::default(),
            queues: Queues::default(),
            sources: BTreeMap::new(),
        };
        for (name, matching, internal) in PREDECLARED {
            let kind = Kind::Plain(matching);
            let arguments = FieldTable::new();
            new.add(name, Attributes { kind, durable: true, auto_delete: false, internal, arguments });
        }
        new
    }

    /// Declares an exchange, or finds it as declared.
    pub fn declare(&mut self, asked: &Declaration<'_>) -> Result<Declared, TopologyError> {
        self.refuse_default(asked.name)?;
        if let Some(id) = self.find(asked.name) {
            return self.equivalent(id, asked).map(|()| Declared { id, is_new: false });
        }
        self.check_new(asked)?;
        let Declaration { name, kind, durable, auto_delete, internal, arguments } = *asked;
        let arguments = arguments.clone();
        let id = self.add(name, Attributes { kind, durable, auto_delete, internal, arguments });
        Ok(Declared { id, is_new: true })
    }

    /// `exchange.declare` with passive: is there such an exchange?
    pub fn passive(&self, name: &str) -> Result<ExchangeId, TopologyError> {
        self.refuse_default(name)?;
        self.existing(name)
    }

    /// Where a client's `basic.publish` goes: any exchange that is not internal.
    pub fn publishable(&self, name: &str) -> Result<ExchangeId, TopologyError> {
        if name.is_empty() {
            return Ok(DEFAULT);
        }
        let id = self.existing(name)?;
        match self.exchange(id) {
            Some(exchange) if exchange.attributes.internal => {
                Err(TopologyError::Internal { name: name.into(), vhost: self.vhost.clone() })
            }
            _ => Ok(id),
        }
    }

    /// Deletes an exchange and the bindings that touch it; with them go exchanges that were to go with their last
    /// binding. What does not exist is deleted already.
    pub fn delete(&mut self, name: &str, if_unused: bool) -> Result<Vec<Effect>, TopologyError> {
        self.refuse_default(name)?;
        if name.starts_with(RESERVED) {
            return Err(TopologyError::System { name: name.into(), vhost: self.vhost.clone() });
        }
        let Some(id) = self.find(name) else { return Ok(Vec::new()) };
        let is_used = self.exchange(id).is_some_and(|exchange| !exchange.routes.is_empty());
        if if_unused && is_used {
            return Err(TopologyError::InUse { name: name.into(), vhost: self.vhost.clone() });
        }
        let mut effects = Vec::new();
        self.delete_all(vec![id], &mut effects);
        Ok(effects)
    }

    /// The exchange of that name.
    pub fn find(&self, name: &str) -> Option<ExchangeId> {
        self.by_name.get(name).copied()
    }

    /// The exchange of that number.
    pub fn exchange(&self, id: ExchangeId) -> Option<&Exchange> {
        self.exchanges.get(id.0 as usize)?.as_ref()
    }

    /// All exchanges.
    pub fn exchanges(&self) -> impl Iterator<Item = (ExchangeId, &Exchange)> {
        (0_u32..).map(ExchangeId).zip(&self.exchanges).filter_map(|(id, place)| Some((id, place.as_ref()?)))
    }

    /// The queues, which are the default exchange's bindings.
    pub fn queues(&self) -> &Queues {
        &self.queues
    }

    /// What a policy says of an exchange's alternate; its own argument wins. False if there is no such exchange.
    pub fn set_policy_alternate(&mut self, name: &str, alternate: Option<&str>) -> bool {
        let Some(exchange) = self.find(name).and_then(|id| self.exchange_mut(id)) else { return false };
        exchange.policy_alternate = alternate.map(Into::into);
        true
    }

    fn exchange_mut(&mut self, id: ExchangeId) -> Option<&mut Exchange> {
        self.exchanges.get_mut(id.0 as usize)?.as_mut()
    }

    fn existing(&self, name: &str) -> Result<ExchangeId, TopologyError> {
        let missing = || TopologyError::NoExchange { name: name.into(), vhost: self.vhost.clone() };
        self.find(name).ok_or_else(missing)
    }

    fn refuse_default(&self, name: &str) -> Result<(), TopologyError> {
        if name.is_empty() { Err(TopologyError::Default) } else { Ok(()) }
    }

    fn equivalent(&self, id: ExchangeId, asked: &Declaration<'_>) -> Result<(), TopologyError> {
        let current = self.exchange(id).map(|exchange| &exchange.attributes);
        match current.and_then(|current| equivalence::difference(current, asked)) {
            None => Ok(()),
            Some(difference) => Err(TopologyError::Inequivalent {
                name: asked.name.into(),
                vhost: self.vhost.clone(),
                difference: Box::new(difference),
            }),
        }
    }

    fn check_new(&self, asked: &Declaration<'_>) -> Result<(), TopologyError> {
        if asked.name.starts_with(RESERVED) {
            return Err(TopologyError::Reserved { name: asked.name.into() });
        }
        let (name, vhost) = (asked.name.into(), self.vhost.clone());
        match asked.arguments.find(ALTERNATE) {
            None | Some(FieldValue::LongString(_)) => {}
            Some(other) => {
                let kind = other.type_name();
                return Err(TopologyError::ArgumentType { name, vhost, argument: ALTERNATE, kind });
            }
        }
        if self.by_name.len() >= EXCHANGES_MAX {
            return Err(TopologyError::ExchangeLimit { name, vhost, max: EXCHANGES_MAX });
        }
        Ok(())
    }

    fn add(&mut self, name: &str, attributes: Attributes) -> ExchangeId {
        let name: Arc<str> = name.into();
        let id = self.free.pop().unwrap_or_else(|| {
            self.exchanges.push(None);
            ExchangeId(u32::try_from(self.exchanges.len() - 1).unwrap_or(u32::MAX))
        });
        let routes = Routes::new(attributes.kind.matching());
        let exchange = Exchange { name: Arc::clone(&name), attributes, policy_alternate: None, routes };
        if let Some(place) = self.exchanges.get_mut(id.0 as usize) {
            *place = Some(exchange);
        }
        self.by_name.insert(name, id);
        id
    }
}
