//! Headers of a message as routing sees them, read in place from the bytes that were published.

use std::borrow::Cow;

use crate::{
    amqp::{
        table::{RawTable, view::ValueView},
        value::FieldValue,
    },
    exchange::header::{HeaderValue, HeaderView},
};

/// A table that is still bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawHeaders<'t>(pub(super) RawTable<'t>);

impl HeaderView for RawHeaders<'_> {
    fn find(&self, name: &str) -> Option<HeaderValue<'_>> {
        self.0.find(name).map(value)
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, HeaderValue<'a>)) {
        for (name, view) in self.0.entries().flatten() {
            if let Ok(name) = std::str::from_utf8(name) {
                visit(name, value(view));
            }
        }
    }
}

fn value(view: ValueView<'_>) -> HeaderValue<'_> {
    match view {
        ValueView::LongString(bytes) | ValueView::Bytes(bytes) => HeaderValue::Bytes(bytes),
        other => match other.decode() {
            Ok(FieldValue::Array(values)) => HeaderValue::Nested(Cow::Owned(FieldValue::Array(values))),
            Ok(FieldValue::Table(table)) => HeaderValue::Nested(Cow::Owned(FieldValue::Table(table))),
            Ok(plain) => match HeaderValue::from(&plain) {
                HeaderValue::Void => HeaderValue::Void,
                HeaderValue::Bool(value) => HeaderValue::Bool(value),
                HeaderValue::Integer(value) => HeaderValue::Integer(value),
                HeaderValue::Float(value) => HeaderValue::Float(value),
                HeaderValue::Decimal { scale, value } => HeaderValue::Decimal { scale, value },
                HeaderValue::Bytes(_) | HeaderValue::Nested(_) => HeaderValue::Void,
            },
            Err(_) => HeaderValue::Void,
        },
    }
}
