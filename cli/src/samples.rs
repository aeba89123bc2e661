//! Reads Prometheus' text format as sidecars write it, and adds the numbers of several sidecars up by labels. Pure.
//! It knows no metric.

use std::collections::BTreeMap;

/// One line: a name, labels and a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// As `weft_requests_total`.
    pub name: &'a str,
    labels: Vec<(&'a str, String)>,
    /// Its number.
    pub value: f64,
}

/// A histogram's counts by upper bound; those of a bound contain those of the lower ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Buckets(BTreeMap<Bound, f64>);

/// Seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bound(f64);

impl Sample<'_> {
    /// A label's value; empty = it has none of that name.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }
}

/// All samples of a text; lines that are none are passed over.
pub fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample)
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let (name, mut rest) = line.split_at_checked(line.find(['{', ' '])?)?;
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.trim_start_matches(',').split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((label, value));
            rest = after;
        }
        rest = rest.get(1..)?;
    }
    Some(Sample { name, labels, value: rest.split_whitespace().next()?.parse().ok()? })
}

/// Up to the closing quote, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((place, char)) = chars.next() {
        match char {
            '"' => return Some((value, text.get(place + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

impl Buckets {
    /// Adds a count of another sidecar.
    pub fn add(&mut self, bound: &str, count: f64) {
        if let Ok(bound) = bound.parse() {
            *self.0.entry(Bound(bound)).or_default() += count;
        }
    }

    /// What has come since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let earlier = |bound| before.0.get(bound).copied().unwrap_or_default();
        Self(self.0.iter().map(|(bound, count)| (*bound, (count - earlier(bound)).max(0.0))).collect())
    }

    /// The time, in seconds, that so large a share was not slower than; evenly spread within a bucket. `None` =
    /// there is nothing.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let total = *self.0.values().next_back()?;
        if total <= 0.0 {
            return None;
        }
        let wanted = share * total;
        let (mut lower, mut below) = (0.0, 0.0);
        for (Bound(upper), count) in &self.0 {
            if *count >= wanted && *count > below {
                // Nothing is known of how slow the slowest were.
                let within = (wanted - below) / (count - below);
                return Some(if upper.is_finite() { lower + (upper - lower) * within } else { lower });
            }
            (lower, below) = (*upper, *count);
        }
        Some(lower)
    }
}

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let text = "# HELP a b\na 1\nb{x=\"1\",y=\"q\\\"\\\\,}\"} 2.5\nnonsense\nc{x=\"1 3\n";
        let found: Vec<_> = samples(text).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name, found[0].value), ("a", 1.0));
        assert_eq!((found[1].label("x"), found[1].label("y"), found[1].value), ("1", "q\"\\,}", 2.5));
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let mut buckets = Buckets::default();
        for (bound, count) in [("0.1", 50.0), ("0.2", 90.0), ("+Inf", 100.0)] {
            buckets.add(bound, count);
        }
        assert_eq!(buckets.quantile(0.5), Some(0.1));
        assert!((buckets.quantile(0.7).unwrap() - 0.15).abs() < 1e-9);
        assert_eq!(buckets.quantile(0.99), Some(0.2));
        assert_eq!(buckets.since(&buckets).quantile(0.5), None);
        assert_eq!(Buckets::default().quantile(0.5), None);
    }
}
