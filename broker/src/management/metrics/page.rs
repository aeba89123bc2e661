//! Prometheus' text format, written line by line. Pure. Its names and what they count are in [`super::columns`].

use std::fmt::Write;

/// A name without its prefix, its type, what it is, and where it is found in a value.
pub(super) type Column<V> = (&'static str, &'static str, &'static str, fn(&V) -> u64);

/// Goes up and down.
pub(super) const GAUGE: &str = "gauge";
/// Only goes up.
pub(super) const COUNTER: &str = "counter";

/// What is written so far.
#[derive(Debug, Default)]
pub(super) struct Page(pub(super) String);

impl Page {
    /// What follows is of this name.
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    /// A value with its labels.
    pub(super) fn value(&mut self, name: &str, labels: &str, value: u64) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    /// A name with one value.
    pub(super) fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.value(name, "", value);
    }

    /// Each column of all rows; a row has its labels and where its values are.
    pub(super) fn rows<V>(&mut self, prefix: &str, columns: &[Column<V>], rows: &[(String, V)]) {
        for (name, kind, help, value) in columns {
            let name = format!("{prefix}{name}");
            self.head(&name, kind, help);
            for (labels, row) in rows {
                self.value(&name, labels, value(row));
            }
        }
    }
}

/// A count as the format has it.
pub(super) fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The value of a label, escaped as the format asks.
pub(super) fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.value("m", &format!("queue=\"{}\"", label("a\"b\\c\nd")), 3);
        assert_eq!(page.0, "m{queue=\"a\\\"b\\\\c\\nd\"} 3\n");
    }

    #[test]
    fn a_metric_is_described_before_its_values() {
        let mut page = Page::default();
        let columns: [Column<u64>; 1] = [("queues", GAUGE, "Queues", |value| *value)];
        page.rows("rabbitmq_", &columns, &[(String::new(), 7), ("a=\"b\"".to_owned(), 8)]);
        let lines: Vec<_> = page.0.lines().collect();
        let wanted = [
            "# TYPE rabbitmq_queues gauge",
            "# HELP rabbitmq_queues Queues",
            "rabbitmq_queues 7",
            "rabbitmq_queues{a=\"b\"} 8",
        ];
        assert_eq!(lines, wanted);
    }
}
