//! One exchange's bindings with the index of its kind: the call that all kinds share. It knows neither names nor what
//! its destinations are.

use std::sync::Arc;

use super::{
    Destination,
    arguments::Arguments,
    bindings::{Binding, BindingId, Bindings, Place},
    direct::Direct,
    fanout::Fanout,
    headers::Headers,
    kind::Matching,
    message::{Message, Sink},
    topic::Topic,
};
use crate::amqp::value::FieldTable;

/// Bindings that leave one exchange at most.
pub const BINDINGS_MAX: usize = 1 << 24;

/// Bindings of one exchange, matched its way.
#[derive(Debug)]
pub struct Routes {
    bindings: Bindings,
    matcher: Matcher,
}

/// A binding as it is listed.
#[derive(Debug, Clone, Copy)]
pub struct BindingView<'a> {
    /// Where it leads.
    pub destination: Destination,
    /// Its key, or pattern.
    pub key: &'a str,
    /// Its arguments, sorted by name.
    pub arguments: &'a FieldTable,
}

/// A binding that is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Where it led.
    pub destination: Destination,
    /// Its key, or pattern.
    pub key: Arc<str>,
    /// Its arguments.
    pub arguments: Arguments,
}

#[derive(Debug)]
enum Matcher {
    Direct(Direct),
    Fanout(Fanout),
    Topic(Topic),
    Headers(Headers),
}

impl Routes {
    /// No bindings yet.
    pub fn new(matching: Matching) -> Self {
        let matcher = match matching {
            Matching::Direct => Matcher::Direct(Direct::default()),
            Matching::Fanout => Matcher::Fanout(Fanout::default()),
            Matching::Topic => Matcher::Topic(Topic::default()),
            Matching::Headers => Matcher::Headers(Headers::default()),
        };
        Self { bindings: Bindings::default(), matcher }
    }

    /// Adds a binding; false if it is there already.
    pub fn bind(&mut self, destination: Destination, key: &str, arguments: &FieldTable) -> bool {
        let arguments = Arguments::of(arguments);
        if self.bindings.find(destination, key, &arguments).is_some() {
            return false;
        }
        let key = self.matcher.kept(key).unwrap_or_else(|| key.into());
        let id = self.bindings.insert(destination, key, arguments);
        if let Some(binding) = self.bindings.at_mut(id) {
            binding.place = self.matcher.attach(id, binding);
        }
        true
    }

    /// Takes a binding away; false if there was none.
    pub fn unbind(&mut self, destination: Destination, key: &str, arguments: &FieldTable) -> bool {
        let found = self.bindings.find(destination, key, &Arguments::of(arguments));
        found.and_then(|id| self.remove(id)).is_some()
    }

    /// Whether there is such a binding.
    pub fn is_bound(&self, destination: Destination, key: &str, arguments: &FieldTable) -> bool {
        self.bindings.find(destination, key, &Arguments::of(arguments)).is_some()
    }

    /// Takes all bindings away that lead there, and hands them back.
    pub fn remove_destination(&mut self, destination: Destination) -> Vec<Removed> {
        std::iter::from_fn(|| {
            let id = self.bindings.leading_to(destination)?;
            let Binding { destination, key, arguments, .. } = self.remove(id)?;
            Some(Removed { destination, key, arguments })
        })
        .collect()
    }

    /// All bindings.
    pub fn bindings(&self) -> impl Iterator<Item = BindingView<'_>> {
        self.bindings.iter().map(Binding::view)
    }

    /// All bindings that lead there.
    pub fn bindings_to(&self, destination: Destination) -> impl Iterator<Item = BindingView<'_>> {
        self.bindings.all_leading_to(destination).map(Binding::view)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn route(&self, message: &Message<'_>, sink: &mut Sink) {
        match &self.matcher {
            Matcher::Direct(direct) => direct.route(message, sink),
            Matcher::Fanout(fanout) => fanout.route(sink),
            Matcher::Topic(topic) => topic.route(message, sink),
            Matcher::Headers(headers) => headers.route(message, sink),
        }
    }

    fn remove(&mut self, id: BindingId) -> Option<Binding> {
        let gone = self.bindings.remove(id)?;
        let moved = self.matcher.detach(&gone);
        if let Some(binding) = moved.and_then(|moved| self.bindings.at_mut(moved)) {
            binding.place.at = gone.place.at;
        }
        Some(gone)
    }
}

impl Matcher {
    fn kept(&self, key: &str) -> Option<Arc<str>> {
        match self {
            Self::Direct(direct) => direct.kept(key),
            Self::Fanout(_) | Self::Topic(_) | Self::Headers(_) => None,
        }
    }

    fn attach(&mut self, id: BindingId, binding: &Binding) -> Place {
        match self {
            Self::Direct(direct) => direct.attach(id, binding),
            Self::Fanout(fanout) => fanout.attach(id, binding),
            Self::Topic(topic) => topic.attach(id, binding),
            Self::Headers(headers) => headers.attach(id, binding),
        }
    }

    fn detach(&mut self, binding: &Binding) -> Option<BindingId> {
        match self {
            Self::Direct(direct) => direct.detach(binding),
            Self::Fanout(fanout) => fanout.detach(binding),
            Self::Topic(topic) => topic.detach(binding),
            Self::Headers(headers) => headers.detach(binding),
        }
    }
}

impl Binding {
    fn view(&self) -> BindingView<'_> {
        BindingView { destination: self.destination, key: &self.key, arguments: self.arguments.table() }
    }
}
