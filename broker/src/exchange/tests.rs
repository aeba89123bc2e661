//! Tests of exchanges: each kind against a naive evaluator, the topology against a plain set of bindings, and how
//! much time and memory 100,000 bindings take.

mod bindings;
mod cost;
mod delayed;
mod headers;
mod model;
mod routing;
mod texts;
mod topic;
mod topology;

use super::{
    Destination, QueueId,
    header::HeaderView,
    kind::{Kind, Matching},
    message::{Message, RouteResult},
    routes::Routes,
    topology::{Declaration, Target, Topology},
};
use crate::amqp::value::{FieldTable, FieldValue};

static NO_ARGUMENTS: FieldTable = FieldTable::new();

fn table<const N: usize>(entries: [(&str, FieldValue); N]) -> FieldTable {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn queue(number: u32) -> Destination {
    Destination::Queue(QueueId(number))
}

/// The queues that one exchange's bindings lead to, sorted, each once.
fn reached(routes: &Routes, key: &str, headers: &dyn HeaderView) -> Vec<u32> {
    let mut out = RouteResult::new();
    out.begin();
    routes.route(&Message::new(&[key], headers), &mut out.sink);
    sorted(&out)
}

fn sorted(out: &RouteResult) -> Vec<u32> {
    let mut queues: Vec<_> = out.queues().iter().map(|id| id.0).collect();
    queues.sort_unstable();
    queues
}

/// A durable exchange of that kind.
fn exchange(name: &str, matching: Matching) -> Declaration<'_> {
    Declaration {
        name,
        kind: Kind::Plain(matching),
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: &NO_ARGUMENTS,
    }
}

/// A virtual host `/` with the exchanges `a`, `b`, `c` (direct) and the queues `q0` to `q9`.
fn small_host() -> Topology {
    let mut host = Topology::new("/");
    for name in ["a", "b", "c"] {
        host.declare(&exchange(name, Matching::Direct)).unwrap();
    }
    for number in 0..10 {
        assert!(host.add_queue(&format!("q{number}"), QueueId(number), true));
    }
    host
}

fn bind(host: &mut Topology, source: &str, to: Target<'_>, key: &str) {
    host.bind(source, to, key, &NO_ARGUMENTS).unwrap();
}

/// Where a message without headers goes.
fn published(host: &Topology, exchange: &str, key: &str) -> Vec<u32> {
    let mut out = RouteResult::new();
    host.route(host.publishable(exchange).unwrap(), &Message::bare(&[key]), &mut out);
    sorted(&out)
}
