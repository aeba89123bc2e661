//! Field tables on the wire (AMQP 0-9-1, section 4.2.5.5, with the tags of RabbitMQ's errata): a borrowed view that
//! decodes as it is asked, and the way to owned values and back. Owns the limits of depth and size; knows nothing of
//! what a header or an argument means.

use thiserror::Error;

use crate::amqp::{
    table::view::{ValueView, check_entries},
    value::FieldTable,
    wire::{Reader, WireError},
};

pub mod view;
mod write;

#[cfg(test)]
pub(super) mod tests;

pub use write::{encode_table, put_table};

/// How deep tables and arrays may stand in each other. RabbitMQ has no limit; no client in use comes near this one.
pub const TABLE_DEPTH_MAX: usize = 64;
/// Octets of a table. A frame is smaller in all but odd configurations; a decoded value costs up to forty times its octets.
pub const TABLE_OCTETS_MAX: usize = 1024 * 1024;

/// Why bytes are no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TableError {
    /// The bytes end inside a name or a value.
    #[error("a table that ends inside a field")]
    Truncated,
    /// A tag that nobody defines.
    #[error("a table with a field of unknown type {0}")]
    UnknownTag(u8),
    /// Deeper than [`TABLE_DEPTH_MAX`].
    #[error("a table nested more than {TABLE_DEPTH_MAX} levels deep")]
    TooDeep,
    /// Longer than [`TABLE_OCTETS_MAX`].
    #[error("a table of more than {TABLE_OCTETS_MAX} octets")]
    TooLarge,
}

impl From<WireError> for TableError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Table(error) => error,
            WireError::Truncated | WireError::Text => Self::Truncated,
        }
    }
}

/// A table as it stands on the wire, without its length. Reading it allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RawTable<'a> {
    bytes: &'a [u8],
}

impl<'a> RawTable<'a> {
    /// One with no entry.
    pub const EMPTY: Self = Self { bytes: &[] };

    /// Of these bytes, which are believed until they are read: [`validate`](Self::validate) judges them.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes, without their length.
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it has no entry.
    pub const fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// Entries in their order, each decoded when it is reached; after an error there is none.
    pub fn entries(self) -> Entries<'a> {
        Entries { reader: Reader::new(self.bytes) }
    }

    /// The first value of that name. `None` too where the table cannot be read so far.
    pub fn find(self, name: &str) -> Option<ValueView<'a>> {
        self.entries().map_while(Result::ok).find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
    }

    /// Judges the whole of it, to the last depth.
    pub fn validate(self) -> Result<(), TableError> {
        if self.bytes.len() > TABLE_OCTETS_MAX {
            return Err(TableError::TooLarge);
        }
        check_entries(self.bytes, 0)
    }

    /// Owned values. A name that is not UTF-8 has its strange octets replaced.
    pub fn decode(self) -> Result<FieldTable, TableError> {
        self.validate()?;
        view::own_table(self, 0)
    }
}

/// The entries of a table.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(&'a [u8], ValueView<'a>), TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let entry = view::read_entry(&mut self.reader);
        if entry.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(entry)
    }
}

/// Owned values of a table's bytes, which stand without their length.
pub fn decode_table(bytes: &[u8]) -> Result<FieldTable, TableError> {
    RawTable::new(bytes).decode()
}
