//! Reads a JSON value into domain types and notes every error with its place, where serde would stop at the
//! first. It must not know what a resource is.
//!
//! ```text
//!  Value ─▶ Node (value, path) ─ object ─▶ Fields ─ required, optional, list ─▶ Node …
//!                 └─ text, integer, one_of ─▶ Option<T>, `None` = noted in the sink
//! ```
//! What a reader gives after an error is thrown away in the end, so it may be anything that lets the reading go
//! on: an optional field that is wrong reads as absent, an item of a list that is wrong is left out.

use std::{
    cell::{Cell, RefCell},
    ops::RangeInclusive,
};

use serde_json::{Map, Value};

use super::error::{ERRORS_MAX, Errors, FieldError, Reason, clip};

mod suggest;
#[cfg(test)]
mod tests;

pub(super) use suggest::nearest;

/// Where errors are noted.
#[derive(Debug, Default)]
pub(super) struct Sink {
    errors: RefCell<Vec<FieldError>>,
    untold: Cell<usize>,
    expressions: Cell<usize>,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    value: &'a Value,
    path: String,
    sink: &'a Sink,
}

/// The fields of an object. Those that nobody asked for are unknown.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    sink: &'a Sink,
    asked: Vec<&'static str>,
    /// Known, and not to be recommended.
    refused: Vec<&'static str>,
}

impl Sink {
    pub(super) fn note(&self, path: &str, reason: Reason, message: impl Into<String>) {
        let mut errors = self.errors.borrow_mut();
        if errors.len() < ERRORS_MAX {
            errors.push(FieldError { path: path.into(), reason, message: message.into() });
        } else {
            self.untold.set(self.untold.get() + 1);
        }
    }

    /// Whether an error more would only be counted.
    fn is_full(&self) -> bool {
        self.errors.borrow().len() >= ERRORS_MAX
    }

    /// What was read, unless something was wrong.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, Errors> {
        Errors::check(self.errors.into_inner(), self.untold.get())?;
        read.ok_or_else(|| Errors::one("$", Reason::Invalid, "cannot be read"))
    }
}

impl<'a> Node<'a> {
    pub(super) const fn root(value: &'a Value, sink: &'a Sink) -> Self {
        Self { value, path: String::new(), sink }
    }

    pub(super) fn path(&self) -> &str {
        if self.path.is_empty() { "$" } else { &self.path }
    }

    pub(super) fn fail(&self, reason: Reason, message: impl Into<String>) {
        self.sink.note(self.path(), reason, message);
    }

    pub(super) fn invalid(&self, message: impl Into<String>) {
        self.fail(Reason::Invalid, message);
    }

    /// How many regular expressions were read so far, this one included.
    pub(super) fn count_expression(&self) -> usize {
        self.sink.expressions.set(self.sink.expressions.get() + 1);
        self.sink.expressions.get()
    }

    /// The value, or `None` with its error noted.
    pub(super) fn keep<T>(&self, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.invalid(message)).ok()
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            let quoted = match self.value {
                Value::Number(_) | Value::Bool(_) => format!(": write \"{}\", in quotes", self.value),
                _ => String::new(),
            };
            self.wrong_type("text", &quoted);
        }
        text
    }

    /// The text, if it is one; anything else is no error.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// A text of `min` to `max` bytes.
    pub(super) fn text_of(&self, length: RangeInclusive<usize>) -> Option<&'a str> {
        let text = self.text()?;
        if text.len() > *length.end() {
            self.fail(Reason::TooLong, format!("has {} bytes: give at most {}", text.len(), length.end()));
            return None;
        }
        if text.len() < *length.start() {
            self.fail(Reason::Required, "is empty: write something, or leave it out");
            return None;
        }
        Some(text)
    }

    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let Some(number) = self.value.as_number() else {
            let plain = match self.value.as_str() {
                Some(text) if text.parse::<u64>().is_ok() => format!(": write {text}, without quotes"),
                _ => format!(": write one from {} to {}", range.start(), range.end()),
            };
            self.wrong_type("a whole number", &plain);
            return None;
        };
        let value = number.as_u64().filter(|value| range.contains(value));
        if value.is_none() {
            self.invalid(format!(
                "is {number}: give a whole number from {} to {}",
                range.start(),
                range.end()
            ));
        }
        value
    }

    /// As [`Node::integer`], for what fits 32 bits.
    pub(super) fn small(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let wide = u64::from(*range.start())..=u64::from(*range.end());
        self.integer(wide).and_then(|value| u32::try_from(value).ok())
    }

    pub(super) fn number(&self) -> Option<f64> {
        let number = self.value.as_f64();
        if number.is_none() {
            self.wrong_type("a number", "");
        }
        number
    }

    /// One of a few words.
    pub(super) fn one_of<T: Clone>(&self, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let Some(text) = self.as_text() else {
            self.wrong_type("one of ", &words.join(", "));
            return None;
        };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(value.clone());
        }
        let advice = nearest(text, &words)
            .map(|word| format!("did you mean `{word}`? It is one of"))
            .unwrap_or_else(|| "give one of".into());
        let message = format!("`{}` is not known here: {advice} {}", clip(text), words.join(", "));
        self.fail(Reason::NotSupported, message);
        None
    }

    /// Reads an object; what `read` did not ask for is noted as unknown.
    pub(super) fn object<T>(&self, read: impl FnOnce(&mut Fields<'a>) -> Option<T>) -> Option<T> {
        let Some(map) = self.value.as_object() else {
            self.wrong_type("an object", "");
            return None;
        };
        let mut fields =
            Fields { map, path: self.path.clone(), sink: self.sink, asked: Vec::new(), refused: Vec::new() };
        let value = read(&mut fields);
        fields.note_unknown();
        value
    }

    /// The entries of an object whose keys are the user's own.
    pub(super) fn entries(&self) -> Vec<(&'a str, Node<'a>)> {
        let Some(map) = self.value.as_object() else {
            self.wrong_type("an object", "");
            return Vec::new();
        };
        let child = |key: &str| format!("{}[{}]", self.path, clip(key));
        map.iter()
            .map(|(key, value)| (key.as_str(), Node { value, path: child(key), sink: self.sink }))
            .collect()
    }

    /// Reads a list of at most `max` items.
    pub(super) fn list<T>(&self, max: usize, mut read: impl FnMut(&Node<'a>) -> Option<T>) -> Vec<T> {
        let Some(items) = self.value.as_array() else {
            self.wrong_type("a list", "");
            return Vec::new();
        };
        if items.len() > max {
            self.fail(Reason::TooMany, format!("has {} items: give at most {max}", items.len()));
            return Vec::new();
        }
        let child = |(index, value)| Node { value, path: format!("{}[{index}]", self.path), sink: self.sink };
        items.iter().enumerate().map(child).filter_map(|node| read(&node)).collect()
    }

    pub(super) fn wrong_type(&self, wanted: &str, remedy: &str) {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.fail(Reason::TypeInvalid, format!("is {found} and has to be {wanted}{remedy}"));
    }
}

impl<'a> Fields<'a> {
    /// Whether it is there and not null, which Kubernetes takes as absent.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// The field, if it is there.
    pub(super) fn get(&mut self, name: &'static str) -> Option<Node<'a>> {
        self.asked.push(name);
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some(Node { value, path: self.at(name), sink: self.sink })
    }

    /// `None` = absent or wrong, either noted.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> Option<T> {
        if let Some(node) = self.get(name) {
            return read(&node);
        }
        self.fail(name, Reason::Required, "is missing: add it");
        None
    }

    /// `None` = absent, or wrong and noted.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> Option<T> {
        self.get(name).and_then(|node| read(&node))
    }

    /// The items of a list; absent = none.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        max: usize,
        read: impl FnMut(&Node<'a>) -> Option<T>,
    ) -> Vec<T> {
        self.get(name).map(|node| node.list(max, read)).unwrap_or_default()
    }

    /// A field that the reference knows and Weft does not act on: an error that says what to do instead.
    pub(super) fn unsupported(&mut self, name: &'static str, instead: &str) {
        self.refused.push(name);
        if self.has(name) {
            self.fail(name, Reason::NotSupported, format!("is not supported by Weft: {instead}"));
        }
    }

    /// A field that has no place here, for a reason that its author may not see at once.
    pub(super) fn refuse(&mut self, name: &'static str, message: &str) {
        self.refused.push(name);
        if self.has(name) {
            self.fail(name, Reason::Forbidden, message);
        }
    }

    /// A field that is taken and not acted on.
    pub(super) fn pass_over(&mut self, name: &'static str) {
        self.refused.push(name);
    }

    /// Notes an error of a field of this object.
    pub(super) fn fail(&self, name: &str, reason: Reason, message: impl Into<String>) {
        self.sink.note(&self.at(name), reason, message);
    }

    /// Notes an error of this object.
    pub(super) fn fail_here(&self, reason: Reason, message: impl Into<String>) {
        let path = if self.path.is_empty() { "$" } else { &self.path };
        self.sink.note(path, reason, message);
    }

    /// Whether an error was noted of this field or inside it.
    pub(super) fn failed(&self, name: &str) -> bool {
        let place = self.at(name);
        self.sink.errors.borrow().iter().any(|error| error.path.starts_with(&place))
    }

    /// The place of a field of this object.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.into() } else { format!("{}.{name}", self.path) }
    }

    fn note_unknown(&self) {
        let is_known = |name: &str| self.asked.contains(&name) || self.refused.contains(&name);
        for name in self.map.keys().filter(|name| !is_known(name)) {
            if self.sink.is_full() {
                // Nobody reads it: a body of a hundred thousand strange fields costs no comparisons.
                self.fail("", Reason::Forbidden, "");
                continue;
            }
            let advice = match nearest(name, &self.asked) {
                Some(known) => format!("did you mean `{known}`?"),
                None if self.asked.is_empty() => "nothing is known here".into(),
                None if self.asked.len() == 1 => format!("known here is {}", self.asked.join("")),
                None => format!("known here are {}", self.asked.join(", ")),
            };
            self.fail(&clip(name), Reason::Forbidden, format!("is not a known field: {advice}"));
        }
    }
}
