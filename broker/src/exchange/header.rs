//! How this room sees a message's headers: borrowed, from wherever they are kept, and compared as RabbitMQ compares.

use std::borrow::Cow;

use crate::amqp::value::{FieldTable, FieldValue};

/// Headers of a message, wherever they stand: an owned table, or bytes that are read in place.
pub trait HeaderView {
    /// The first value of that name.
    fn find(&self, name: &str) -> Option<HeaderValue<'_>>;

    /// Every header in the order of the wire, the later ones of a name as well.
    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, HeaderValue<'a>));
}

/// A value with its width taken off.
///
/// RabbitMQ's headers exchange compares values and not their tags: an octet 5 equals a long-long-int 5 and a
/// timestamp 5, a number equals a float of the same value, a long string equals a byte array of the same bytes.
/// Within arrays and tables the tags count.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue<'a> {
    /// No value.
    Void,
    /// True or false.
    Bool(bool),
    /// Any integer, or a timestamp in seconds.
    Integer(i128),
    /// Any float.
    Float(f64),
    /// value / 10^scale.
    Decimal {
        /// Digits after the point.
        scale: u8,
        /// The digits.
        value: u32,
    },
    /// A long string or a byte array.
    Bytes(&'a [u8]),
    /// An array or a table.
    Nested(Cow<'a, FieldValue>),
}

/// A message without headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHeaders;

impl HeaderView for NoHeaders {
    fn find(&self, _: &str) -> Option<HeaderValue<'_>> {
        None
    }

    fn each<'a>(&'a self, _: &mut dyn FnMut(&'a str, HeaderValue<'a>)) {}
}

impl HeaderView for FieldTable {
    fn find(&self, name: &str) -> Option<HeaderValue<'_>> {
        FieldTable::find(self, name).map(HeaderValue::from)
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, HeaderValue<'a>)) {
        self.iter().for_each(|(name, value)| visit(name, value.into()));
    }
}

impl HeaderValue<'_> {
    /// Whether the headers exchange takes them for the same.
    pub fn matches(&self, other: &HeaderValue<'_>) -> bool {
        match (self, other) {
            (HeaderValue::Integer(number), HeaderValue::Float(float))
            | (HeaderValue::Float(float), HeaderValue::Integer(number)) => float_is(*float, *number),
            (a, b) => a == b,
        }
    }
}

impl<'a> From<&'a FieldValue> for HeaderValue<'a> {
    fn from(value: &'a FieldValue) -> Self {
        match value {
            FieldValue::Void => Self::Void,
            FieldValue::Bool(value) => Self::Bool(*value),
            FieldValue::I8(n) => Self::Integer((*n).into()),
            FieldValue::U8(n) => Self::Integer((*n).into()),
            FieldValue::I16(n) => Self::Integer((*n).into()),
            FieldValue::U16(n) => Self::Integer((*n).into()),
            FieldValue::I32(n) => Self::Integer((*n).into()),
            FieldValue::U32(n) => Self::Integer((*n).into()),
            FieldValue::I64(n) => Self::Integer((*n).into()),
            FieldValue::Timestamp(n) => Self::Integer((*n).into()),
            FieldValue::F32(n) => Self::Float((*n).into()),
            FieldValue::F64(n) => Self::Float(*n),
            FieldValue::Decimal { scale, value } => Self::Decimal { scale: *scale, value: *value },
            FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => Self::Bytes(bytes),
            FieldValue::Array(_) | FieldValue::Table(_) => Self::Nested(Cow::Borrowed(value)),
        }
    }
}

/// Exact: a float beyond 2^53 is compared by the integer it is, not by the rounded other side.
fn float_is(float: f64, number: i128) -> bool {
    whole(float).is_some_and(|whole| whole == number)
}

/// The integer that a float is, if it is one and within reach of the wire's integers.
pub(super) fn whole(float: f64) -> Option<i128> {
    /// 2^64: no integer of a field table reaches it.
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    (float.trunc() == float && float.abs() < BEYOND).then(|| truncated(float))
}

/// The integer part.
#[expect(
    clippy::cast_possible_truncation,
    reason = "an i128 holds every integer below 2^64, and the cast saturates"
)]
pub(super) fn truncated(float: f64) -> i128 {
    float as i128
}
