//! One value of a table, borrowed: read where it stands, checked to its last depth, and turned into an owned one.
//! Recursion goes no deeper than the table's limit, whatever the bytes say.

use bytes::Bytes;

use crate::amqp::{
    table::{RawTable, TABLE_DEPTH_MAX, TableError},
    value::{FieldTable, FieldValue},
    wire::Reader,
};

/// One value where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueView<'a> {
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l` and `L`
    I64(i64),
    /// `f`
    F32(f32),
    /// `d`
    F64(f64),
    /// `D`: value / 10^scale
    Decimal {
        /// Digits after the point.
        scale: u8,
        /// The digits.
        value: u32,
    },
    /// `S`: bytes, mostly UTF-8.
    LongString(&'a [u8]),
    /// `A`
    Array(RawArray<'a>),
    /// `T`: seconds since 1970.
    Timestamp(u64),
    /// `F`
    Table(RawTable<'a>),
    /// `x`
    Bytes(&'a [u8]),
    /// `V`
    Void,
}

impl<'a> ValueView<'a> {
    /// The text of a long string that is UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::LongString(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The number, whichever integer type carries it.
    pub fn as_integer(&self) -> Option<i64> {
        Some(match *self {
            Self::I8(n) => n.into(),
            Self::U8(n) => n.into(),
            Self::I16(n) => n.into(),
            Self::U16(n) => n.into(),
            Self::I32(n) => n.into(),
            Self::U32(n) => n.into(),
            Self::I64(n) => n,
            _ => return None,
        })
    }

    /// The truth value of a `t`.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(bit) => Some(bit),
            _ => None,
        }
    }

    /// The table of an `F`.
    pub fn as_table(&self) -> Option<RawTable<'a>> {
        match *self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// An owned value.
    pub fn decode(self) -> Result<FieldValue, TableError> {
        check_value(self, 0)?;
        own_value(self, 0)
    }
}

/// An array as it stands on the wire, without its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RawArray<'a> {
    bytes: &'a [u8],
}

impl<'a> RawArray<'a> {
    /// Its values in their order, each decoded when it is reached; after an error there is none.
    pub fn values(self) -> Values<'a> {
        Values { reader: Reader::new(self.bytes) }
    }

    /// The bytes, without their length.
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }
}

/// The values of an array.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Values<'a> {
    type Item = Result<ValueView<'a>, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let value = read_value(&mut self.reader);
        if value.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(value)
    }
}

/// One name and its value.
pub(super) fn read_entry<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], ValueView<'a>), TableError> {
    Ok((reader.short_bytes()?, read_value(reader)?))
}

fn read_value<'a>(reader: &mut Reader<'a>) -> Result<ValueView<'a>, TableError> {
    Ok(match reader.u8()? {
        b'S' => ValueView::LongString(reader.long_bytes()?),
        b't' => ValueView::Bool(reader.u8()? != 0),
        b'b' => ValueView::I8(i8::from_be_bytes(reader.array()?)),
        b'B' => ValueView::U8(reader.u8()?),
        b's' => ValueView::I16(i16::from_be_bytes(reader.array()?)),
        b'u' => ValueView::U16(reader.u16()?),
        b'I' => ValueView::I32(i32::from_be_bytes(reader.array()?)),
        b'i' => ValueView::U32(reader.u32()?),
        b'l' | b'L' => ValueView::I64(i64::from_be_bytes(reader.array()?)),
        b'f' => ValueView::F32(f32::from_be_bytes(reader.array()?)),
        b'd' => ValueView::F64(f64::from_be_bytes(reader.array()?)),
        b'D' => ValueView::Decimal { scale: reader.u8()?, value: reader.u32()? },
        b'A' => ValueView::Array(RawArray { bytes: reader.long_bytes()? }),
        b'T' => ValueView::Timestamp(reader.u64()?),
        b'F' => ValueView::Table(RawTable::new(reader.long_bytes()?)),
        b'x' => ValueView::Bytes(reader.long_bytes()?),
        b'V' => ValueView::Void,
        unknown => return Err(TableError::UnknownTag(unknown)),
    })
}

/// Judges the entries of a table that stands `depth` levels deep.
pub(super) fn check_entries(bytes: &[u8], depth: usize) -> Result<(), TableError> {
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        check_value(read_entry(&mut reader)?.1, depth)?;
    }
    Ok(())
}

fn check_value(value: ValueView<'_>, depth: usize) -> Result<(), TableError> {
    match value {
        ValueView::Array(_) | ValueView::Table(_) if depth >= TABLE_DEPTH_MAX => Err(TableError::TooDeep),
        ValueView::Array(array) => array.values().try_for_each(|value| check_value(value?, depth + 1)),
        ValueView::Table(table) => check_entries(table.bytes(), depth + 1),
        _ => Ok(()),
    }
}

pub(super) fn own_table(table: RawTable<'_>, depth: usize) -> Result<FieldTable, TableError> {
    let mut owned = FieldTable::new();
    for entry in table.entries() {
        let (name, value) = entry?;
        owned.push(String::from_utf8_lossy(name).into_owned(), own_value(value, depth)?);
    }
    Ok(owned)
}

fn own_value(value: ValueView<'_>, depth: usize) -> Result<FieldValue, TableError> {
    Ok(match value {
        ValueView::Array(_) | ValueView::Table(_) if depth >= TABLE_DEPTH_MAX => {
            return Err(TableError::TooDeep);
        }
        ValueView::Array(array) => FieldValue::Array(
            array.values().map(|value| own_value(value?, depth + 1)).collect::<Result<_, _>>()?,
        ),
        ValueView::Table(table) => FieldValue::Table(own_table(table, depth + 1)?),
        ValueView::LongString(bytes) => FieldValue::LongString(Bytes::copy_from_slice(bytes)),
        ValueView::Bytes(bytes) => FieldValue::Bytes(Bytes::copy_from_slice(bytes)),
        ValueView::Bool(bit) => FieldValue::Bool(bit),
        ValueView::I8(n) => FieldValue::I8(n),
        ValueView::U8(n) => FieldValue::U8(n),
        ValueView::I16(n) => FieldValue::I16(n),
        ValueView::U16(n) => FieldValue::U16(n),
        ValueView::I32(n) => FieldValue::I32(n),
        ValueView::U32(n) => FieldValue::U32(n),
        ValueView::I64(n) => FieldValue::I64(n),
        ValueView::F32(n) => FieldValue::F32(n),
        ValueView::F64(n) => FieldValue::F64(n),
        ValueView::Decimal { scale, value } => FieldValue::Decimal { scale, value },
        ValueView::Timestamp(seconds) => FieldValue::Timestamp(seconds),
        ValueView::Void => FieldValue::Void,
    })
}
