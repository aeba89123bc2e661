//! Arguments as part of a binding's identity: in the order of their names, with an equality and a hash of their own.
//!
//! Two bindings that differ in arguments alone are two bindings (RabbitMQ's documentation, "Bindings"). The order
//! in which a client wrote the arguments does not count; the type of a value does.

use std::hash::{Hash, Hasher};

use crate::amqp::value::{FieldTable, FieldValue};

/// What a binding without arguments shows.
static NONE: FieldTable = FieldTable::new();

/// Arguments sorted by name; most bindings have none, and then nothing is allocated.
#[derive(Debug, Clone, Default)]
pub struct Arguments(Option<Box<FieldTable>>);

impl Arguments {
    /// A sorted copy; of several values of one name the order stays.
    pub fn of(table: &FieldTable) -> Self {
        if table.is_empty() {
            return Self(None);
        }
        let mut entries: Vec<_> =
            table.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(Some(Box::new(entries.into_iter().collect())))
    }

    /// The table.
    pub fn table(&self) -> &FieldTable {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl PartialEq for Arguments {
    fn eq(&self, other: &Self) -> bool {
        same_table(self.table(), other.table())
    }
}

impl Eq for Arguments {}

impl Hash for Arguments {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_table(self.table(), state);
    }
}

fn same_table(a: &FieldTable, b: &FieldTable) -> bool {
    a.len() == b.len()
        && a.iter().zip(b.iter()).all(|((name_a, a), (name_b, b))| name_a == name_b && same_value(a, b))
}

/// As the derived equality, but a float equals itself bit by bit: a binding with a NaN must be found again.
fn same_value(a: &FieldValue, b: &FieldValue) -> bool {
    match (a, b) {
        (FieldValue::F32(a), FieldValue::F32(b)) => a.to_bits() == b.to_bits(),
        (FieldValue::F64(a), FieldValue::F64(b)) => a.to_bits() == b.to_bits(),
        (FieldValue::Table(a), FieldValue::Table(b)) => same_table(a, b),
        (FieldValue::Array(a), FieldValue::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (a, b) => a == b,
    }
}

fn hash_table<H: Hasher>(table: &FieldTable, state: &mut H) {
    state.write_usize(table.len());
    for (name, value) in table.iter() {
        name.hash(state);
        hash_value(value, state);
    }
}

fn hash_value<H: Hasher>(value: &FieldValue, state: &mut H) {
    std::mem::discriminant(value).hash(state);
    match value {
        FieldValue::Bool(value) => value.hash(state),
        FieldValue::I8(value) => value.hash(state),
        FieldValue::U8(value) => value.hash(state),
        FieldValue::I16(value) => value.hash(state),
        FieldValue::U16(value) => value.hash(state),
        FieldValue::I32(value) => value.hash(state),
        FieldValue::U32(value) => value.hash(state),
        FieldValue::I64(value) => value.hash(state),
        FieldValue::F32(value) => value.to_bits().hash(state),
        FieldValue::F64(value) => value.to_bits().hash(state),
        FieldValue::Decimal { scale, value } => (scale, value).hash(state),
        FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => bytes.hash(state),
        FieldValue::Array(values) => values.iter().for_each(|value| hash_value(value, state)),
        FieldValue::Timestamp(value) => value.hash(state),
        FieldValue::Table(table) => hash_table(table, state),
        FieldValue::Void => {}
    }
}
