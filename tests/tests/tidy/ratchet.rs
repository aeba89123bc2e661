//! Counts that may fall and never rise. `tests/tidy-ratchet.json` holds what has been reached, a number for each
//! crate; a rise fails, and so does a fall until `make ratchet` has written it down.

use std::{collections::BTreeMap, fs, path::Path};

use crate::source::Source;

/// Lines of a file at most, its inline tests aside.
const FILE_LINES_MAX: usize = 400;
/// Lines of code in a function that most should stay under; clippy refuses 70.
const FUNCTION_LINES_MAX: usize = 40;

/// Rule -> crate -> count; without zeros.
pub(crate) type Counts = BTreeMap<String, BTreeMap<String, usize>>;

/// What a ratchet says of new counts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    /// Worse than it was, by rule and crate.
    Rose(Vec<String>),
    /// Better than it was.
    Fell(Vec<String>),
}

/// Counts, and the places behind them for the message.
#[derive(Debug, Default)]
pub(crate) struct Census {
    pub(crate) counts: Counts,
    pub(crate) places: BTreeMap<(String, String), Vec<String>>,
}

impl Census {
    pub(crate) fn take(sources: &[Source]) -> Self {
        let mut census = Self::default();
        for source in sources.iter().filter(|source| source.is_rust() && !source.is_test()) {
            census.file(source);
        }
        census
    }

    fn file(&mut self, source: &Source) {
        let code = source.product_code();
        let lines = source.text.get(source.product()).unwrap_or_default().lines().count();
        if lines > FILE_LINES_MAX {
            self.add(source, &format!("files over {FILE_LINES_MAX} lines"), 1, lines);
        }
        for function in source.functions(code).iter().filter(|f| f.lines > FUNCTION_LINES_MAX) {
            let rule = format!("functions over {FUNCTION_LINES_MAX} lines");
            self.add(source, &rule, function.line, function.lines);
        }
        let marks = [
            ("expects", ".expect("),
            ("unwraps", ".unwrap()"),
            ("lints switched off", "#[allow("),
            ("lints switched off", "#[expect("),
            ("boxed errors", "Box<dyn Error"),
        ];
        for (rule, mark) in marks {
            for (at, _) in code.match_indices(mark) {
                self.add(source, rule, source.line(at), 0);
            }
        }
        for (at, marker) in code.match_indices("select! {") {
            if !code.get(at + marker.len()..).is_some_and(|rest| rest.trim_start().starts_with("biased;")) {
                self.add(source, "selects without biased", source.line(at), 0);
            }
        }
        if source.text.lines().take(1).any(|line| line.trim() == "//! stub") {
            self.add(source, "stubs", 1, 0);
        }
    }

    fn add(&mut self, source: &Source, rule: &str, line: usize, lines: usize) {
        let member = source.member();
        *self.counts.entry(rule.to_owned()).or_default().entry(member.clone()).or_default() += 1;
        let size = if lines > 0 { format!(" ({lines} lines)") } else { String::new() };
        self.places
            .entry((rule.to_owned(), member))
            .or_default()
            .push(format!("{}:{line}{size}", source.path));
    }
}

/// Compares what is with what was reached.
pub(crate) fn compare(reached: &Counts, now: &Census) -> Verdict {
    let (mut rose, mut fell) = (Vec::new(), Vec::new());
    for (rule, member) in keys(reached, &now.counts) {
        let (was, is) = (count(reached, &rule, &member), count(&now.counts, &rule, &member));
        if is > was {
            let places =
                now.places.get(&(rule.clone(), member.clone())).map(|p| p.join("\n    ")).unwrap_or_default();
            rose.push(format!("{rule} in {member}: {was} -> {is}; bring it back to {was}:\n    {places}"));
        } else if is < was {
            fell.push(format!("{rule} in {member}: {was} -> {is}"));
        }
    }
    match (rose.is_empty(), fell.is_empty()) {
        (false, _) => Verdict::Rose(rose),
        (true, false) => Verdict::Fell(fell),
        (true, true) => Verdict::Holds,
    }
}

/// The lower of both, count by count; zeros are left out.
pub(crate) fn lowered(reached: &Counts, now: &Counts) -> Counts {
    let mut lowered = Counts::new();
    for (rule, member) in keys(reached, now) {
        let least = count(reached, &rule, &member).min(count(now, &rule, &member));
        if least > 0 {
            lowered.entry(rule).or_default().insert(member, least);
        }
    }
    lowered
}

/// What was reached; `None` where nothing is written down yet.
pub(crate) fn read(file: &Path) -> anyhow::Result<Option<Counts>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e.into()),
    }
}

pub(crate) fn write(file: &Path, counts: &Counts) -> anyhow::Result<()> {
    fs::write(file, serde_json::to_string_pretty(counts)? + "\n")?;
    Ok(())
}

fn keys(a: &Counts, b: &Counts) -> Vec<(String, String)> {
    let mut keys: Vec<_> = [a, b]
        .into_iter()
        .flat_map(|counts| counts.iter())
        .flat_map(|(rule, members)| members.keys().map(|member| (rule.clone(), member.clone())))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

fn count(counts: &Counts, rule: &str, member: &str) -> usize {
    counts.get(rule).and_then(|members| members.get(member)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(expects: usize) -> Counts {
        Counts::from([("expects".to_owned(), BTreeMap::from([("sidecar".to_owned(), expects)]))])
    }

    fn census(expects: usize) -> Census {
        Census { counts: counts(expects), places: BTreeMap::new() }
    }

    #[test]
    fn a_rise_fails_and_a_fall_must_be_written_down() {
        assert!(matches!(compare(&counts(2), &census(3)), Verdict::Rose(_)));
        assert!(matches!(compare(&counts(2), &census(1)), Verdict::Fell(_)));
        assert_eq!(compare(&counts(2), &census(2)), Verdict::Holds);
    }

    #[test]
    fn the_ratchet_is_only_ever_lowered() {
        assert_eq!(lowered(&counts(2), &counts(3)), counts(2));
        assert_eq!(lowered(&counts(2), &counts(1)), counts(1));
        assert_eq!(lowered(&counts(2), &Counts::new()), Counts::new());
    }

    #[test]
    fn tests_are_not_counted() {
        let text =
            "//! A.\nfn f() { a.expect(\"b\"); }\n#[cfg(test)]\nmod tests { fn g() { a.expect(\"b\"); } }\n";
        let source = Source::new("sidecar/src/a.rs".to_owned(), text.to_owned());
        assert_eq!(Census::take(&[source]).counts, counts(1));
    }
}
