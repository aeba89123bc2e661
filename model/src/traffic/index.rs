//! Which matches come into question for a path, without asking each: by the whole path, by the prefixes that
//! some match names, and the rest (expressions) one by one. It gives what a walk over the ordered list would.

use std::collections::HashMap;

use super::{
    matching::{CompiledMatch, PathTest},
    pattern::Pattern,
};

type ByPath = HashMap<Box<str>, Vec<usize>, foldhash::fast::RandomState>;

/// Places in the ordered list, each list ascending.
#[derive(Debug, Default)]
pub(super) struct Index {
    exact: ByPath,
    prefix: ByPath,
    /// The lengths of all prefixes, each once, longest first.
    prefix_lengths: Vec<usize>,
    others: Vec<usize>,
}

impl Index {
    pub(super) fn new<'a>(ordered: impl IntoIterator<Item = &'a CompiledMatch>) -> Self {
        let mut index = Self::default();
        for (place, compiled) in ordered.into_iter().enumerate() {
            index.add(place, &compiled.path);
        }
        index.prefix_lengths = index.prefix.keys().map(|prefix| prefix.len()).collect();
        index.prefix_lengths.sort_unstable_by(|a, b| b.cmp(a));
        index.prefix_lengths.dedup();
        index
    }

    /// The first place that `holds`, of those that come into question for `path`.
    pub(super) fn first(&self, path: &str, holds: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best = None;
        let mut consider = |places: &[usize]| {
            let better = places.iter().take_while(|place| best.is_none_or(|best| **place < best));
            best = better.copied().find(|place| holds(*place)).or(best);
        };
        if let Some(places) = self.exact.get(path) {
            consider(places);
        }
        consider(&self.others);
        for length in &self.prefix_lengths {
            let ends_segment = *length == 0 || path.as_bytes().get(*length).is_none_or(|byte| *byte == b'/');
            let prefix = if ends_segment { path.get(..*length) } else { None };
            if let Some(places) = prefix.and_then(|prefix| self.prefix.get(prefix)) {
                consider(places);
            }
        }
        best
    }

    fn add(&mut self, place: usize, path: &PathTest) {
        let places = match path {
            PathTest::Exact(path) => self.exact.entry(path.clone()).or_default(),
            PathTest::Prefix(prefix) => self.prefix.entry(prefix.clone()).or_default(),
            PathTest::Grpc { service: Some(Pattern::Exact(service)), method } => match method {
                Some(Pattern::Exact(method)) => self.exact.entry(grpc_path(&[service, method])).or_default(),
                _ => self.prefix.entry(grpc_path(&[service])).or_default(),
            },
            PathTest::Regex(_) | PathTest::Grpc { .. } => &mut self.others,
        };
        places.push(place);
    }
}

fn grpc_path(parts: &[&[u8]]) -> Box<str> {
    parts.iter().map(|part| format!("/{}", String::from_utf8_lossy(part))).collect::<String>().into()
}
