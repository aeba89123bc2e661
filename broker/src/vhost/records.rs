//! Declarations as the log keeps them: a key that names each, and a field table of AMQP that says what it is.
//!
//! | key | value |
//! |---|---|
//! | `queue/<number>` | name, durable, auto_delete, exclusive, arguments |
//! | `exchange/<name>` | type, durable, auto_delete, internal, arguments |
//! | `binding/<hash of its parts>` | source, destination, to_queue, key, arguments |
//! | `policy/<name>`, `operator_policy/<name>` | JSON |
//! | `delayed/<exchange>` | number of the queue that holds its delayed messages |
//! | `seen/<number of a queue>/<number>`, `passed/<number>/<exchange>` | until when (u64, little-endian, milliseconds since 1970), identifier |

use std::{collections::BTreeMap, rc::Rc};

use serde::{Deserialize, Serialize};

use super::seen::Whose;

use crate::{
    amqp::{
        table::{decode_table, encode_table},
        value::{FieldTable, FieldValue},
    },
    exchange::{
        arguments::Arguments,
        kind::Kind,
        topology::{Attributes, End, Exchange, NamedBinding},
    },
    policy::{ApplyTo, Level, Policy},
    queue::{Declaration, Queue},
};

/// A declaration of the log that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("declaration `{key}` in the log cannot be read")]
pub struct BadRecord {
    /// Its key.
    pub key: String,
}

/// A queue as a log declares it, for who looks at a log from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredQueue {
    /// Its name; of one that holds the messages of a delayed exchange, the exchange's.
    pub name: String,
    /// Its type, as `x-queue-type` has it; `delayed` for one that holds the messages of a delayed exchange.
    pub kind: String,
    /// Whether it outlives a restart.
    pub durable: bool,
}

/// The queues that the declarations of a log name, by their number in it. Those that cannot be read are left out.
pub fn declared_queues<'a>(
    topology: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> BTreeMap<u32, DeclaredQueue> {
    let queue = |(key, value)| match parse(key, value)? {
        Declared::Queue(number, declaration) => {
            let kind = text(&declaration.arguments, "x-queue-type").unwrap_or("classic").to_owned();
            let Declaration { name, durable, .. } = &declaration;
            Some((number, DeclaredQueue { name: name.to_string(), kind, durable: *durable }))
        }
        Declared::Delayed(exchange, number) => {
            Some((number, DeclaredQueue { name: exchange, kind: "delayed".to_owned(), durable: true }))
        }
        _ => None,
    };
    topology.into_iter().filter_map(queue).collect()
}

/// What a declaration declares.
#[derive(Debug)]
pub(super) enum Declared {
    Queue(u32, Declaration),
    Exchange(String, Attributes),
    Binding(NamedBinding),
    Policy(Level, String, Vec<u8>),
    Delayed(String, u32),
    Seen { whose: Whose, entry: u64, until_ms: u64, id: Vec<u8> },
}

pub(super) fn queue_key(number: u32) -> String {
    format!("queue/{number}")
}

pub(super) fn exchange_key(name: &str) -> String {
    format!("exchange/{name}")
}

pub(super) fn policy_key(level: Level, name: &str) -> String {
    format!("{level}/{name}")
}

pub(super) fn delayed_key(exchange: &str) -> String {
    format!("delayed/{exchange}")
}

pub(super) fn seen_key(whose: &Whose, entry: u64) -> String {
    match whose {
        Whose::Queue(number) => format!("seen/{number}/{entry}"),
        Whose::Exchange(name) => format!("passed/{entry}/{name}"),
    }
}

/// An identifier that a queue or an exchange has seen.
pub(super) fn seen(until_ms: u64, id: &[u8]) -> Vec<u8> {
    [&until_ms.to_le_bytes(), id].concat()
}

fn read_seen(kind: &str, name: &str, value: &[u8]) -> Option<Declared> {
    let (first, second) = name.split_once('/')?;
    let (whose, entry) = match kind {
        "seen" => (Whose::Queue(first.parse().ok()?), second),
        _ => (Whose::Exchange(second.to_owned()), first),
    };
    let (until_ms, id) = value.split_first_chunk::<8>()?;
    let (entry, until_ms) = (entry.parse().ok()?, u64::from_le_bytes(*until_ms));
    Some(Declared::Seen { whose, entry, until_ms, id: id.to_vec() })
}

/// Unique, for it holds all that tells two bindings apart.
pub(super) fn binding_key(binding: &NamedBinding) -> String {
    let (kind, destination) = end(&binding.destination);
    let arguments = encode_table(binding.arguments.table());
    let digest = crc32c::crc32c(&arguments);
    let lengths = (binding.source.len(), destination.len());
    format!(
        "binding/{kind}/{}.{}/{}/{destination}/{}/{digest:08x}",
        lengths.0, lengths.1, binding.source, binding.key
    )
}

pub(super) fn queue(queue: &Queue) -> Vec<u8> {
    let declaration = &queue.declaration;
    encode(vec![
        ("name", FieldValue::text(&declaration.name)),
        ("durable", FieldValue::Bool(declaration.durable)),
        ("auto_delete", FieldValue::Bool(declaration.auto_delete)),
        ("exclusive", FieldValue::Bool(declaration.exclusive)),
        ("arguments", FieldValue::Table(declaration.arguments.clone())),
    ])
}

pub(super) fn exchange(exchange: &Exchange) -> Vec<u8> {
    let attributes = exchange.attributes();
    encode(vec![
        ("type", FieldValue::text(attributes.kind.name())),
        ("durable", FieldValue::Bool(attributes.durable)),
        ("auto_delete", FieldValue::Bool(attributes.auto_delete)),
        ("internal", FieldValue::Bool(attributes.internal)),
        ("arguments", FieldValue::Table(attributes.arguments.clone())),
    ])
}

pub(super) fn binding(binding: &NamedBinding) -> Vec<u8> {
    let (kind, destination) = end(&binding.destination);
    encode(vec![
        ("source", FieldValue::text(&binding.source)),
        ("destination", FieldValue::text(destination)),
        ("to_queue", FieldValue::Bool(kind == "q")),
        ("key", FieldValue::text(&binding.key)),
        ("arguments", FieldValue::Table(binding.arguments.table().clone())),
    ])
}

/// A policy as JSON, which is what its definition is.
pub(super) fn policy(policy: &Policy) -> Vec<u8> {
    let fields = PolicyFields {
        name: policy.name.to_string(),
        pattern: policy.pattern.as_str().to_owned(),
        apply_to: policy.apply_to.as_str().to_owned(),
        priority: policy.priority,
        definition: policy.definition.as_map().clone(),
    };
    serde_json::to_vec(&fields).unwrap_or_default()
}

/// The reverse, or why not.
pub(super) fn read_policy(level: Level, value: &[u8]) -> Result<Policy, String> {
    let fields: PolicyFields = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    let apply_to = ApplyTo::parse(&fields.apply_to).map_err(|error| error.to_string())?;
    Policy::new(level, &fields.name, &fields.pattern, apply_to, fields.priority, fields.definition)
        .map_err(|error| error.to_string())
}

#[derive(Serialize, Deserialize)]
struct PolicyFields {
    name: String,
    pattern: String,
    apply_to: String,
    priority: i64,
    definition: serde_json::Map<String, serde_json::Value>,
}

/// Reads one back.
pub(super) fn decode(key: &str, value: &[u8]) -> Result<Declared, BadRecord> {
    parse(key, value).ok_or_else(|| BadRecord { key: key.to_owned() })
}

fn parse(key: &str, value: &[u8]) -> Option<Declared> {
    let (kind, name) = key.split_once('/')?;
    let fields = || decode_table(value).ok();
    Some(match kind {
        "queue" => Declared::Queue(name.parse().ok()?, read_queue(&fields()?)?),
        "exchange" => Declared::Exchange(name.to_owned(), read_exchange(&fields()?)?),
        "binding" => Declared::Binding(read_binding(&fields()?)?),
        "policy" => Declared::Policy(Level::User, name.to_owned(), value.to_vec()),
        "operator_policy" => Declared::Policy(Level::Operator, name.to_owned(), value.to_vec()),
        "seen" | "passed" => read_seen(kind, name, value)?,
        "delayed" => Declared::Delayed(name.to_owned(), std::str::from_utf8(value).ok()?.parse().ok()?),
        _ => return None,
    })
}

fn read_queue(fields: &FieldTable) -> Option<Declaration> {
    Some(Declaration {
        name: Rc::from(text(fields, "name")?),
        durable: flag(fields, "durable")?,
        auto_delete: flag(fields, "auto_delete")?,
        exclusive: flag(fields, "exclusive")?,
        arguments: table(fields)?,
    })
}

fn read_exchange(fields: &FieldTable) -> Option<Attributes> {
    let arguments = table(fields)?;
    Some(Attributes {
        kind: Kind::parse(text(fields, "type")?, &arguments).ok()?,
        durable: flag(fields, "durable")?,
        auto_delete: flag(fields, "auto_delete")?,
        internal: flag(fields, "internal")?,
        arguments,
    })
}

fn read_binding(fields: &FieldTable) -> Option<NamedBinding> {
    let destination = text(fields, "destination")?;
    Some(NamedBinding {
        source: text(fields, "source")?.into(),
        destination: match flag(fields, "to_queue")? {
            true => End::Queue(destination.into()),
            false => End::Exchange(destination.into()),
        },
        key: text(fields, "key")?.into(),
        arguments: Arguments::of(&table(fields)?),
        durable: true,
    })
}

fn encode(fields: Vec<(&str, FieldValue)>) -> Vec<u8> {
    encode_table(&fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn end(end: &End) -> (&'static str, &str) {
    match end {
        End::Queue(name) => ("q", name),
        End::Exchange(name) => ("e", name),
    }
}

fn text<'a>(fields: &'a FieldTable, name: &str) -> Option<&'a str> {
    fields.find(name)?.as_str()
}

fn flag(fields: &FieldTable, name: &str) -> Option<bool> {
    match fields.find(name)? {
        FieldValue::Bool(flag) => Some(*flag),
        _ => None,
    }
}

fn table(fields: &FieldTable) -> Option<FieldTable> {
    match fields.find("arguments")? {
        FieldValue::Table(table) => Some(table.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_names_its_queues() {
        let declared = |name: &str, arguments: &[(&str, &str)]| {
            let arguments = arguments.iter().map(|(name, text)| ((*name).to_owned(), FieldValue::text(text)));
            encode(vec![
                ("name", FieldValue::text(name)),
                ("durable", FieldValue::Bool(true)),
                ("auto_delete", FieldValue::Bool(false)),
                ("exclusive", FieldValue::Bool(false)),
                ("arguments", FieldValue::Table(arguments.collect())),
            ])
        };
        let (plain, stream) = (declared("orders", &[]), declared("events", &[("x-queue-type", "stream")]));
        let topology: [(&str, &[u8]); 5] = [
            ("queue/1", &plain),
            ("queue/7", &stream),
            ("queue/8", b"damaged"),
            ("delayed/later", b"9"),
            ("policy/p", b"{}"),
        ];
        let found = declared_queues(topology);
        let found: Vec<_> =
            found.iter().map(|(number, queue)| (*number, &*queue.name, &*queue.kind)).collect();
        assert_eq!(found, [(1, "orders", "classic"), (7, "events", "stream"), (9, "later", "delayed")]);
    }
}
