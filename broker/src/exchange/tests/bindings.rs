//! The set of bindings where hashes collide, and the marks where their counters begin again.

use std::hash::{BuildHasherDefault, Hasher};

use proptest::prelude::*;

use super::{NO_ARGUMENTS, queue, reached, sorted};
use crate::exchange::{
    QueueId,
    arguments::Arguments,
    bindings::{Binding, BindingId, Bindings, Place},
    direct::Direct,
    header::NoHeaders,
    kind::Matching,
    message::{Message, RouteResult},
    routes::Routes,
};

/// Three hashes for everything.
#[derive(Default)]
struct Poor(u64);

impl Hasher for Poor {
    fn finish(&self) -> u64 {
        self.0 % 3
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.wrapping_add(u64::from(*byte)));
    }
}

proptest! {
    #[test]
    fn colliding_hashes_lose_no_binding(steps in prop::collection::vec((0..4_u32, 0..5_u32, any::<bool>()), 1..80)) {
        let mut set = Bindings::<BuildHasherDefault<Poor>>::default();
        let mut plain: Vec<(u32, u32)> = Vec::new();
        for (to, key, is_bind) in steps {
            let text = key.to_string();
            let found = set.find(queue(to), &text, &Arguments::default());
            prop_assert_eq!(found.is_some(), plain.contains(&(to, key)));
            match (found, is_bind) {
                (None, true) => {
                    set.insert(queue(to), text.as_str().into(), Arguments::default());
                    plain.push((to, key));
                }
                (Some(id), false) => {
                    set.remove(id);
                    plain.retain(|other| *other != (to, key));
                }
                _ => {}
            }
            prop_assert_eq!(set.len(), plain.len());
            prop_assert_eq!(set.iter().count(), plain.len());
            for to in 0..4 {
                let expected = plain.iter().filter(|(other, _)| *other == to).count();
                prop_assert_eq!(set.all_leading_to(queue(to)).count(), expected);
                prop_assert_eq!(set.leading_to(queue(to)).is_some(), expected > 0);
            }
        }
    }
}

#[test]
fn a_removed_number_is_given_out_again() {
    let mut set: Bindings = Bindings::default();
    let first = set.insert(queue(0), "a".into(), Arguments::default());
    set.insert(queue(0), "b".into(), Arguments::default());
    assert!(set.remove(first).is_some());
    assert!(set.remove(first).is_none());
    assert_eq!(set.insert(queue(1), "c".into(), Arguments::default()), BindingId(0));
}

#[test]
fn marks_hold_when_their_counters_begin_again() {
    let mut routes = Routes::new(Matching::Topic);
    for (to, pattern) in [(0, "#.#"), (0, "#"), (1, "a.#.b")] {
        routes.bind(queue(to), pattern, &NO_ARGUMENTS);
    }
    let mut out = RouteResult::new();
    let mut route = |key: &str, at: Option<u32>| {
        if let Some(at) = at {
            (out.sink.generation, out.sink.walk.step) = (at, u32::MAX - 4);
        }
        out.begin();
        routes.route(&Message::bare(&[key]), &mut out.sink);
        sorted(&out)
    };
    assert_eq!(route("a.x.b", None), [0, 1]);
    assert_eq!(route("other", Some(u32::MAX - 2)), [0]);
    assert_eq!(route("other", None), [0]);
    assert_eq!(route("a.x.b", None), [0, 1]);
    assert_eq!(route("a.x.b", None), [0, 1]);
    assert_eq!(out.sink.generation, 2);
}

#[test]
fn a_direct_exchange_forgets_a_key_with_its_last_binding() {
    let mut direct = Direct::default();
    let place = Place::default();
    let binding = Binding { destination: queue(0), key: "k".into(), arguments: Arguments::default(), place };
    direct.attach(BindingId(0), &binding);
    assert!(direct.kept("k").is_some());
    direct.detach(&binding);
    assert!(direct.kept("k").is_none());
}

#[test]
fn a_large_bag_gives_any_of_its_entries_back() {
    for matching in [Matching::Direct, Matching::Fanout, Matching::Topic, Matching::Headers] {
        let mut routes = Routes::new(matching);
        (0..50).for_each(|number| assert!(routes.bind(queue(number), "k", &NO_ARGUMENTS)));
        for number in (0..50).filter(|number| number % 3 != 0).rev() {
            assert!(routes.unbind(queue(number), "k", &NO_ARGUMENTS));
        }
        assert_eq!(routes.remove_destination(queue(3)).len(), 1);
        let left: Vec<u32> = (0..50).filter(|number| number % 3 == 0 && *number != 3).collect();
        assert_eq!(reached(&routes, "k", &NoHeaders), left, "{matching:?}");
        assert_eq!(routes.bindings_to(crate::exchange::Destination::Queue(QueueId(6))).count(), 1);
    }
}
