//! What a user may do with the resources of one virtual host, and a small memory of what was decided.
//! RabbitMQ: "Access Control: how authorisation works".

use std::fmt;

use super::pattern::{Pattern, PatternError};

/// Decisions a connection remembers. RabbitMQ keeps 12 a channel.
pub const DECISIONS_MAX: usize = 16;

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Declare, delete.
    Configure,
    /// Publish, and bind a queue or exchange to a source.
    Write,
    /// Consume, get, purge, and be the source of a binding.
    Read,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        })
    }
}

/// What it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// An exchange by its name; the default one has an empty name and is asked for as `amq.default`.
    Exchange(&'a str),
    /// A queue by its name.
    Queue(&'a str),
}

impl<'a> Resource<'a> {
    /// The name that patterns are tried on.
    pub fn name(self) -> &'a str {
        match self {
            Self::Exchange("") => "amq.default",
            Self::Exchange(name) | Self::Queue(name) => name,
        }
    }

    /// `exchange` or `queue`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Exchange(_) => "exchange",
            Self::Queue(_) => "queue",
        }
    }
}

/// The three patterns of a user in a virtual host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    configure: Pattern,
    write: Pattern,
    read: Pattern,
}

impl Permission {
    /// Compiles the three. An empty one matches no name, as in RabbitMQ.
    ///
    /// # Errors
    /// For the first that is no pattern.
    pub fn new(configure: &str, write: &str, read: &str) -> Result<Self, PatternError> {
        Ok(Self { configure: pattern(configure)?, write: pattern(write)?, read: pattern(read)? })
    }

    /// Whether `action` on a resource called `name` is allowed.
    pub fn allows(&self, action: Action, name: &str) -> bool {
        self.pattern(action).is_match(name)
    }

    /// The pattern for `action`.
    pub fn pattern(&self, action: Action) -> &Pattern {
        match action {
            Action::Configure => &self.configure,
            Action::Write => &self.write,
            Action::Read => &self.read,
        }
    }
}

/// In permissions the empty pattern stands for "nothing".
pub(super) fn pattern(text: &str) -> Result<Pattern, PatternError> {
    Pattern::compile(text, if text.is_empty() { "^$" } else { text })
}

/// What was decided lately for one connection, so that a publish does not search a pattern each time.
/// It forgets all when the state it was asked of is another than before.
#[derive(Debug, Default)]
pub struct DecisionCache {
    revision: u64,
    /// The latest is last.
    decisions: Vec<Decision>,
}

#[derive(Debug)]
struct Decision {
    action: Action,
    is_queue: bool,
    name: Box<str>,
}

impl DecisionCache {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `action` was allowed under `revision`. Refusals are not remembered: they close the channel.
    pub(super) fn knows(&mut self, revision: u64, action: Action, resource: Resource<'_>) -> bool {
        if self.revision != revision {
            self.decisions.clear();
            self.revision = revision;
            return false;
        }
        self.decisions.iter().rev().any(|decision| decision.is(action, resource))
    }

    /// Remembers that it was allowed; the oldest makes room.
    pub(super) fn allowed(&mut self, action: Action, resource: Resource<'_>) {
        if self.decisions.len() >= DECISIONS_MAX {
            self.decisions.remove(0);
        }
        let is_queue = matches!(resource, Resource::Queue(_));
        self.decisions.push(Decision { action, is_queue, name: resource.name().into() });
    }

    /// Entries in it.
    pub fn len(&self) -> usize {
        self.decisions.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }
}

impl Decision {
    fn is(&self, action: Action, resource: Resource<'_>) -> bool {
        self.action == action
            && self.is_queue == matches!(resource, Resource::Queue(_))
            && *self.name == *resource.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_pattern_allows_nothing() {
        let permission = Permission::new("", "^$", ".*").unwrap();
        for name in ["q", "amq.default", "a b"] {
            assert!(!permission.allows(Action::Configure, name), "{name}");
            assert!(!permission.allows(Action::Write, name), "{name}");
            assert!(permission.allows(Action::Read, name), "{name}");
        }
        assert_eq!(permission.pattern(Action::Configure).as_str(), "");
    }

    #[test]
    fn the_default_exchange_is_asked_for_by_its_other_name() {
        assert_eq!(Resource::Exchange("").name(), "amq.default");
        assert_eq!(Resource::Queue("").name(), "");
    }

    #[test]
    fn a_cache_knows_what_was_allowed_until_the_state_changes() {
        let mut cache = DecisionCache::new();
        assert!(!cache.knows(1, Action::Write, Resource::Exchange("x")));
        cache.allowed(Action::Write, Resource::Exchange("x"));
        assert!(cache.knows(1, Action::Write, Resource::Exchange("x")));
        assert!(!cache.knows(1, Action::Write, Resource::Queue("x")));
        assert!(!cache.knows(1, Action::Read, Resource::Exchange("x")));
        assert!(!cache.knows(2, Action::Write, Resource::Exchange("x")));
        assert!(cache.is_empty());
    }

    #[test]
    fn a_cache_keeps_the_latest() {
        let mut cache = DecisionCache::new();
        cache.knows(1, Action::Read, Resource::Queue("q"));
        for number in 0..=DECISIONS_MAX {
            cache.allowed(Action::Read, Resource::Queue(&number.to_string()));
        }
        assert_eq!(cache.len(), DECISIONS_MAX);
        assert!(!cache.knows(1, Action::Read, Resource::Queue("0")));
        assert!(cache.knows(1, Action::Read, Resource::Queue("16")));
    }
}
