//! The topology against a plain set of bindings, under random declarations, bindings and deletions.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{NO_ARGUMENTS, exchange, published};
use crate::exchange::{
    QueueId,
    kind::Matching,
    topology::{Declaration, End, Target, Topology},
};

const KEYS: [&str; 3] = ["a", "b", "a.b"];
const EXCHANGES: [&str; 5] = ["e0", "e1", "e2", "e3", "e4"];

#[derive(Debug, Clone)]
enum Step {
    Declare { name: usize, matching: Matching, auto_delete: bool },
    Delete { name: usize },
    AddQueue { number: u32 },
    RemoveQueue { number: u32 },
    Bind { source: usize, to: End, key: usize },
    Unbind { source: usize, to: End, key: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..EXCHANGES.len();
    let to = || {
        prop_oneof![
            (0..6_u32).prop_map(|number| End::Queue(format!("q{number}").into())),
            name().prop_map(|at| End::Exchange(EXCHANGES[at].into())),
        ]
    };
    let matching = prop::sample::select(vec![Matching::Direct, Matching::Fanout, Matching::Topic]);
    let key = || 0..KEYS.len();
    prop_oneof![
        3 => (name(), matching, any::<bool>())
            .prop_map(|(name, matching, auto_delete)| Step::Declare { name, matching, auto_delete }),
        1 => name().prop_map(|name| Step::Delete { name }),
        3 => (0..6_u32).prop_map(|number| Step::AddQueue { number }),
        1 => (0..6_u32).prop_map(|number| Step::RemoveQueue { number }),
        8 => (name(), to(), key()).prop_map(|(source, to, key)| Step::Bind { source, to, key }),
        4 => (name(), to(), key()).prop_map(|(source, to, key)| Step::Unbind { source, to, key }),
    ]
}

/// The plain set.
#[derive(Default)]
struct Model {
    exchanges: BTreeMap<&'static str, (Matching, bool)>,
    queues: BTreeSet<u32>,
    bindings: BTreeSet<(&'static str, End, &'static str)>,
}

impl Model {
    fn has(&self, end: &End) -> bool {
        match end.target() {
            Target::Queue(name) => self.queues.iter().any(|number| format!("q{number}") == name),
            Target::Exchange(name) => self.exchanges.contains_key(name),
        }
    }

    /// Takes bindings away, and the exchanges that go with their last.
    fn drop_bindings(&mut self, is_gone: impl Fn(&(&'static str, End, &'static str)) -> bool) {
        let gone: Vec<_> = self.bindings.iter().filter(|binding| is_gone(binding)).cloned().collect();
        self.bindings.retain(|binding| !gone.contains(binding));
        for (source, ..) in gone {
            let is_left = !self.bindings.iter().any(|(from, ..)| *from == source);
            if is_left && self.exchanges.get(source).is_some_and(|(_, auto_delete)| *auto_delete) {
                self.delete(source);
            }
        }
    }

    fn delete(&mut self, name: &'static str) {
        if self.exchanges.remove(name).is_some() {
            self.drop_bindings(|(source, to, _)| *source == name || to.target() == Target::Exchange(name));
        }
    }

    fn route(&self, start: &str, key: &str) -> Vec<u32> {
        let (mut queues, mut seen, mut pending) = (BTreeSet::new(), BTreeSet::new(), vec![start.to_owned()]);
        while let Some(name) = pending.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            for (_, to, _) in self.bindings.iter().filter(|(source, _, pattern)| {
                *source == name && (self.exchanges[source].0 == Matching::Fanout || *pattern == key)
            }) {
                match to.target() {
                    Target::Queue(name) => drop(queues.insert(name[1..].parse().unwrap())),
                    Target::Exchange(name) => pending.push(name.to_owned()),
                }
            }
        }
        queues.into_iter().collect()
    }
}

fn apply(step: &Step, host: &mut Topology, model: &mut Model) {
    match step {
        Step::Declare { name, matching, auto_delete } => {
            let name = EXCHANGES[*name];
            let asked = Declaration { auto_delete: *auto_delete, ..exchange(name, *matching) };
            let known = *model.exchanges.entry(name).or_insert((*matching, *auto_delete));
            assert_eq!(host.declare(&asked).is_ok(), known == (*matching, *auto_delete));
        }
        Step::Delete { name } => {
            host.delete(EXCHANGES[*name], false).unwrap();
            model.delete(EXCHANGES[*name]);
        }
        Step::AddQueue { number } => {
            assert_eq!(
                host.add_queue(&format!("q{number}"), QueueId(*number), true),
                model.queues.insert(*number)
            );
        }
        Step::RemoveQueue { number } => {
            host.remove_queue(QueueId(*number));
            model.queues.remove(number);
            let name = format!("q{number}");
            model.drop_bindings(|(_, to, _)| to.target() == Target::Queue(&name));
        }
        Step::Bind { source, to, key } => {
            let (source, key) = (EXCHANGES[*source], KEYS[*key]);
            let bound = host.bind(source, to.target(), key, &NO_ARGUMENTS);
            let exists = model.exchanges.contains_key(source) && model.has(to);
            assert_eq!(bound.is_ok(), exists);
            let is_new = exists && model.bindings.insert((source, to.clone(), key));
            assert_eq!(bound.is_ok_and(|effect| effect.is_some()), is_new);
        }
        Step::Unbind { source, to, key } => {
            let binding = (EXCHANGES[*source], to.clone(), KEYS[*key]);
            let effects = host.unbind(binding.0, to.target(), binding.2, &NO_ARGUMENTS).unwrap();
            assert_eq!(!effects.is_empty(), model.bindings.contains(&binding));
            model.drop_bindings(|other| *other == binding);
        }
    }
}

proptest! {
    #[test]
    fn the_topology_agrees_with_a_plain_set(steps in prop::collection::vec(step(), 1..120)) {
        let (mut host, mut model) = (Topology::new("/"), Model::default());
        for step in &steps {
            apply(step, &mut host, &mut model);
            let listed: BTreeSet<_> = host
                .exchanges()
                .flat_map(|(id, _)| host.bindings_from(id))
                .map(|binding| (binding.source.to_string(), binding.destination, binding.key.to_string()))
                .collect();
            let expected: BTreeSet<_> =
                model.bindings.iter().map(|(s, to, k)| ((*s).to_owned(), to.clone(), (*k).to_owned())).collect();
            prop_assert_eq!(listed, expected);
            for (name, _) in model.exchanges.iter() {
                prop_assert!(host.find(name).is_some());
                for key in KEYS {
                    prop_assert_eq!(published(&host, name, key), model.route(name, key));
                }
            }
            prop_assert_eq!(host.exchanges().count(), 7 + model.exchanges.len());
        }
    }
}
