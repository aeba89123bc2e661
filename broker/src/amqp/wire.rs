//! Fields as they stand on the wire: integers in network order, short and long strings, tables, bits packed into octets
//! (AMQP 0-9-1, section 4.2). Owns how one field is read and written; knows no method, no frame and no limit but those
//! of the field itself.

use thiserror::Error;

use crate::amqp::table::{RawTable, TableError};

/// Octets that a short string holds at most (section 4.2.5.3).
pub const SHORT_STRING_MAX: usize = 255;

/// A field that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// The bytes end inside a field.
    #[error("the bytes end inside a field")]
    Truncated,
    /// A short string of a method that is not UTF-8; the words are RabbitMQ's.
    #[error("Malformed UTF-8 in shortstr")]
    Text,
    /// A table that cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// What is left of some bytes, read from the front. Nothing is copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[octet]| octet)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }

    #[inline]
    pub(crate) fn short_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.u8()?;
        self.take(len.into())
    }

    #[inline]
    pub(crate) fn long_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.u32()?;
        self.take(usize::try_from(len).map_err(|_| WireError::Truncated)?)
    }
}

/// One field of a method: how it is read and written.
pub(crate) trait Field<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError>;
    fn write(&self, out: &mut Vec<u8>);
}

impl<'a> Field<'a> for u8 {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        reader.u8()
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
}

impl<'a> Field<'a> for u16 {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        reader.u16()
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

impl<'a> Field<'a> for u32 {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        reader.u32()
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

impl<'a> Field<'a> for u64 {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        reader.u64()
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

/// A short string.
impl<'a> Field<'a> for &'a str {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        std::str::from_utf8(reader.short_bytes()?).map_err(|_| WireError::Text)
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        put_short_text(out, self);
    }
}

/// A long string.
impl<'a> Field<'a> for &'a [u8] {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        reader.long_bytes()
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        put_long_bytes(out, self);
    }
}

/// A table, checked whole: what a method carries is read by code that does not check again.
impl<'a> Field<'a> for RawTable<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let table = RawTable::new(reader.long_bytes()?);
        table.validate()?;
        Ok(table)
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_long_bytes(out, self.bytes());
    }
}

/// Bits in the order they are packed: the first is the lowest (section 4.2.5.2).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bits {
    octet: u8,
    used: u8,
}

impl Bits {
    #[inline]
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { octet: reader.u8()?, used: 0 })
    }

    #[inline]
    pub(crate) fn take(&mut self) -> bool {
        let bit = self.octet & 1 != 0;
        self.octet >>= 1;
        bit
    }

    #[inline]
    pub(crate) fn put(self, bit: bool) -> Self {
        Self { octet: self.octet | u8::from(bit).wrapping_shl(self.used.into()), used: self.used + 1 }
    }

    #[inline]
    pub(crate) fn octet(self) -> u8 {
        self.octet
    }
}

/// Writes a short string; what is beyond its 255 octets is cut at a character's edge.
#[inline]
pub(crate) fn put_short_text(out: &mut Vec<u8>, text: &str) {
    let cut = text.floor_char_boundary(SHORT_STRING_MAX);
    put_short_bytes(out, text.as_bytes().get(..cut).unwrap_or_default());
}

/// Writes a short string of any bytes, cut at 255 octets.
#[inline]
pub(crate) fn put_short_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = bytes.get(..SHORT_STRING_MAX).unwrap_or(bytes);
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

/// Writes a long string.
#[inline]
pub(crate) fn put_long_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&len_u32(bytes.len()).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Writes four octets of length, then what `content` writes, then mends the length.
pub(crate) fn put_sized(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    content(out);
    let len = out.len() - at - 4;
    patch_len(out, at, len);
}

/// Puts `len` into the four octets at `at`.
#[inline]
pub(crate) fn patch_len(out: &mut [u8], at: usize, len: usize) {
    if let Some(place) = out.get_mut(at..).and_then(|tail| tail.first_chunk_mut::<4>()) {
        *place = len_u32(len).to_be_bytes();
    }
}

/// A length as the wire has it. Nothing that one frame or table holds comes near the limit.
#[inline]
pub(crate) fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
