//! What matching sees of a request: the data path lends it a head of HTTP's types, tests and tools a plain one.

use std::{borrow::Cow, net::IpAddr};

/// The parts of a request that decide.
pub trait RequestView {
    /// Without the query, as it came: nothing is decoded or normalised.
    fn path(&self) -> &str;
    /// Without the question mark.
    fn query(&self) -> Option<&str>;
    /// In capitals, as in `GET`.
    fn method(&self) -> &str;
    /// The value of a header; several are joined by commas (RFC 9110 section 5.3).
    fn header(&self, name: &HeaderKey) -> Option<Cow<'_, [u8]>>;
    /// The caller's address, where it is known.
    fn source(&self) -> Option<IpAddr>;
}

/// The name of a header that some rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderKey {
    /// Lower-case.
    pub name: Box<str>,
    /// Its place in [`Compiled::header_names`](super::compile::Compiled::header_names): a view that has turned
    /// the names into keys of its own finds them by it.
    pub place: usize,
}

/// Every header that some rule asks for, each once.
#[derive(Debug, Default)]
pub(super) struct HeaderNames(pub(super) Vec<Box<str>>);

impl HeaderNames {
    pub(super) fn key(&mut self, name: &str) -> HeaderKey {
        let known = self.0.iter().position(|known| **known == *name);
        let place = known.unwrap_or_else(|| {
            self.0.push(name.into());
            self.0.len() - 1
        });
        HeaderKey { name: name.into(), place }
    }
}

/// A request of plain texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainRequest {
    /// In capitals.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In order; names are lower-case.
    pub headers: Vec<(String, String)>,
    /// The caller's address.
    pub source: Option<IpAddr>,
}

impl PlainRequest {
    /// A request for a path and query.
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), source: None }
    }

    /// A GET of a path and query.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// The same from this address.
    #[must_use]
    pub fn from(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }
}

impl RequestView for PlainRequest {
    fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    fn method(&self) -> &str {
        &self.method
    }

    fn header(&self, name: &HeaderKey) -> Option<Cow<'_, [u8]>> {
        let values = self.headers.iter().filter(|(known, _)| **known == *name.name);
        join(values.map(|(_, value)| value.as_bytes()))
    }

    fn source(&self) -> Option<IpAddr> {
        self.source
    }
}

/// The values of one header as one; a copy is made only of several.
pub fn join<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Cow<'a, [u8]>> {
    let mut values = values.into_iter();
    let mut joined = Cow::Borrowed(values.next()?);
    for value in values {
        let whole = joined.to_mut();
        whole.push(b',');
        whole.extend_from_slice(value);
    }
    Some(joined)
}
