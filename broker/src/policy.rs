//! Policies of one virtual host, and the settings of a queue that follow from its arguments and its policy.
//! RabbitMQ: "Policies", "Operator Policies", "Queues: optional arguments".
//!
//! Pure: names, arguments and JSON in, decisions out. It knows neither where policies are kept (records of the virtual
//! host's log) nor what a queue does with its settings.
//!
//! ```text
//!  queue.declare ─▶ arguments::check, or where the queue is there already, equivalence::check
//!                        │ kind
//!                        ▼
//!  PolicySet::effective ─▶ definition ─▶ QueueSettings::resolve ─▶ queue
//!  basic.consume ─▶ consume::check ─▶ ConsumeSettings ─▶ queue
//! ```

pub mod arguments;
pub mod consume;
pub mod definition;
pub mod equivalence;
pub mod erlang;
pub mod kind;
pub mod queue_settings;
pub mod transfer;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::{Map, Value};
use thiserror::Error;

use self::{
    definition::{Definition, DefinitionError, merge},
    kind::QueueKind,
};
use crate::access::pattern::{Pattern, PatternError};

/// Policies of a virtual host at most, and operator policies as many.
pub const POLICIES_MAX: usize = 1000;
/// Bytes of a policy's name at most.
pub const NAME_BYTES_MAX: usize = 255;

/// What a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApplyTo {
    /// `all`
    #[default]
    All,
    /// `queues`
    Queues,
    /// `exchanges`
    Exchanges,
    /// `classic_queues`, `quorum_queues` or `streams`
    Kind(QueueKind),
}

impl ApplyTo {
    /// Reads its name.
    ///
    /// # Errors
    /// [`PolicyError::ApplyTo`].
    pub fn parse(name: &str) -> Result<Self, PolicyError> {
        match name {
            "all" => Ok(Self::All),
            "queues" => Ok(Self::Queues),
            "exchanges" => Ok(Self::Exchanges),
            _ => QueueKind::ALL
                .into_iter()
                .find(|kind| kind.apply_to() == name)
                .map(Self::Kind)
                .ok_or_else(|| PolicyError::ApplyTo { name: name.into() }),
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Queues => "queues",
            Self::Exchanges => "exchanges",
            Self::Kind(kind) => kind.apply_to(),
        }
    }

    fn covers(self, target: Target<'_>) -> bool {
        match (self, target) {
            (Self::All, _) | (Self::Queues, Target::Queue(..)) | (Self::Exchanges, Target::Exchange(_)) => {
                true
            }
            (Self::Kind(kind), Target::Queue(_, of)) => kind == of,
            _ => false,
        }
    }
}

/// What a policy may match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// An exchange by its name.
    Exchange(&'a str),
    /// A queue by its name, and its type.
    Queue(&'a str, QueueKind),
}

impl<'a> Target<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Exchange(name) | Self::Queue(name, _) => name,
        }
    }
}

/// Whether a policy is of users or of operators: the latter has fewer keys and only ever lowers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `policy`
    User,
    /// `operator_policy`
    Operator,
}

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// An empty name or one too long.
    #[error("a policy has a name of 1 to {NAME_BYTES_MAX} bytes")]
    Name,
    /// There are as many as may be.
    #[error("limit of {POLICIES_MAX} policies is reached")]
    TooMany,
    /// The pattern is none.
    #[error("{policy} should be regular expression but is invalid: {source}")]
    Pattern {
        /// Whose.
        policy: Box<str>,
        /// What is wrong.
        source: PatternError,
    },
    /// No such target.
    #[error(
        "apply-to '{name}' unrecognised; should be one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', 'exchanges', or 'all'"
    )]
    ApplyTo {
        /// What it said.
        name: Box<str>,
    },
    /// A key or a value is refused.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
}

impl PolicyError {
    /// The reason as the management API and `rabbitmqctl` give it.
    pub fn reason(&self) -> String {
        format!("Validation failed\n\n{self}\n")
    }
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Unique among those of its level in the virtual host.
    pub name: Box<str>,
    /// Searched in names, unanchored.
    pub pattern: Pattern,
    /// What it is for.
    pub apply_to: ApplyTo,
    /// The highest that matches is the one.
    pub priority: i64,
    /// What it sets.
    pub definition: Definition,
}

impl Policy {
    /// A policy that holds what the rules ask.
    ///
    /// # Errors
    /// When name, pattern or definition are refused.
    pub fn new(
        level: Level,
        name: &str,
        pattern: &str,
        apply_to: ApplyTo,
        priority: i64,
        definition: Map<String, Value>,
    ) -> Result<Self, PolicyError> {
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) {
            return Err(PolicyError::Name);
        }
        let pattern =
            Pattern::new(pattern).map_err(|source| PolicyError::Pattern { policy: name.into(), source })?;
        let definition = Definition::check(level, definition)?;
        Ok(Self { name: name.into(), pattern, apply_to, priority, definition })
    }

    /// Whether it is for `target`: by kind, by name, and because that kind of queue knows all of its keys.
    pub fn matches(&self, target: Target<'_>) -> bool {
        self.apply_to.covers(target)
            && match target {
                Target::Queue(_, kind) => self.definition.suits(kind),
                Target::Exchange(_) => true,
            }
            && self.pattern.is_match(target.name())
    }
}

/// The policies of a virtual host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicySet {
    user: Ranked,
    operator: Ranked,
}

/// By name, and in the order in which they are tried: highest priority first, then by name. (RabbitMQ leaves open
/// which of equals is taken.)
#[derive(Debug, Clone, Default, PartialEq)]
struct Ranked {
    by_name: BTreeMap<Box<str>, Arc<Policy>>,
    order: Vec<Arc<Policy>>,
}

impl Ranked {
    fn changed(&mut self) {
        self.order = self.by_name.values().cloned().collect();
        self.order.sort_by_key(|policy| std::cmp::Reverse(policy.priority));
    }

    fn first(&self, target: Target<'_>) -> Option<&Arc<Policy>> {
        self.order.iter().find(|policy| policy.matches(target))
    }
}

impl PolicySet {
    /// Without policies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a policy or replaces the one of that name.
    ///
    /// # Errors
    /// [`PolicyError::TooMany`].
    pub fn put(&mut self, level: Level, policy: Policy) -> Result<(), PolicyError> {
        let ranked = self.level_mut(level);
        if ranked.by_name.len() >= POLICIES_MAX && !ranked.by_name.contains_key(&policy.name) {
            return Err(PolicyError::TooMany);
        }
        ranked.by_name.insert(policy.name.clone(), Arc::new(policy));
        ranked.changed();
        Ok(())
    }

    /// Takes a policy out. Says whether it was there.
    pub fn delete(&mut self, level: Level, name: &str) -> bool {
        let ranked = self.level_mut(level);
        let was = ranked.by_name.remove(name).is_some();
        if was {
            ranked.changed();
        }
        was
    }

    /// The policy of that name.
    pub fn find(&self, level: Level, name: &str) -> Option<&Arc<Policy>> {
        self.level(level).by_name.get(name)
    }

    /// All of a level by name.
    pub fn iter(&self, level: Level) -> impl Iterator<Item = &Arc<Policy>> {
        self.level(level).by_name.values()
    }

    /// What holds for `target`.
    pub fn effective(&self, target: Target<'_>) -> Effective {
        Effective {
            policy: self.user.first(target).cloned(),
            operator_policy: self.operator.first(target).cloned(),
        }
    }

    fn level(&self, level: Level) -> &Ranked {
        match level {
            Level::User => &self.user,
            Level::Operator => &self.operator,
        }
    }

    fn level_mut(&mut self, level: Level) -> &mut Ranked {
        match level {
            Level::User => &mut self.user,
            Level::Operator => &mut self.operator,
        }
    }
}

/// The policies that hold for one queue or exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    /// Of users.
    pub policy: Option<Arc<Policy>>,
    /// Of operators.
    pub operator_policy: Option<Arc<Policy>>,
}

impl Effective {
    /// The name of the policy: `policy` in listings.
    pub fn name(&self) -> Option<&str> {
        self.policy.as_ref().map(|policy| &*policy.name)
    }

    /// The name of the operator policy: `operator_policy` in listings.
    pub fn operator_name(&self) -> Option<&str> {
        self.operator_policy.as_ref().map(|policy| &*policy.name)
    }

    /// Both merged: `effective_policy_definition` in listings.
    pub fn definition(&self) -> Map<String, Value> {
        let mut merged =
            self.policy.as_ref().map(|policy| policy.definition.as_map().clone()).unwrap_or_default();
        let operator = self.operator_policy.iter().flat_map(|policy| policy.definition.as_map());
        for (key, value) in operator {
            let value = match merged.get(key) {
                Some(of_user) => merge(key, of_user, value),
                None => value.clone(),
            };
            merged.insert(key.clone(), value);
        }
        merged
    }

    /// The alternate exchange that a policy gives; the argument of an exchange goes before it.
    pub fn alternate_exchange(&self) -> Option<&str> {
        self.policy.as_ref()?.definition.as_map().get("alternate-exchange")?.as_str()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "policy",
            Self::Operator => "operator_policy",
        })
    }
}

#[cfg(test)]
mod tests;
