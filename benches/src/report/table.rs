//! What both reports, of the proxies and of the brokers, write in the same way: rows, bars, medians, and the place in
//! the document.

use std::{fmt::Write, fs, path::Path};

use anyhow::Context;

use crate::{
    sample::{Sample, as_f64},
    statistics::Spread,
};

pub(crate) const KIB: f64 = 1_024.0;

/// A figure that is held against what it may be at most.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) what: String,
    pub(crate) at_most: String,
    pub(crate) measured: String,
    pub(crate) is_met: bool,
}

impl Bar {
    /// Of ratios, whose median counts.
    pub(crate) fn of_ratio(what: String, at_most: f64, ratio: Spread) -> Self {
        let Spread { median, min, max } = ratio;
        let measured = format!("{median:.2} ({min:.2}..{max:.2})");
        Self { what, at_most: format!("{at_most:.1}"), measured, is_met: median <= at_most }
    }

    /// One a row.
    pub(crate) fn table(bars: &[Self]) -> String {
        let mut text = "| bar | at most | measured | |\n|---|---|---|---|\n".to_owned();
        for Self { what, at_most, measured, is_met } in bars {
            let verdict = if *is_met { "met" } else { "**not met**" };
            push_row(&mut text, what, &format!("{at_most} | {measured} | {verdict}"));
        }
        text.push('\n');
        text
    }
}

/// Puts tables between two marks of the document, in the place of those of the run before.
///
/// # Errors
/// When the document cannot be read or written, or has lost its marks.
pub(crate) fn replace_between(path: &Path, (begin, end): (&str, &str), tables: &str) -> anyhow::Result<()> {
    let document = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lost = || format!("{} has no lines `{begin}` and `{end}`", path.display());
    let (before, rest) = document.split_once(begin).with_context(lost)?;
    let (_, after) = rest.split_once(end).with_context(lost)?;
    fs::write(path, format!("{before}{begin}\n\n{tables}\n{end}{after}"))?;
    Ok(())
}

/// Without the samples that failed.
pub(crate) fn good(samples: &[Sample]) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(|sample| is_good(sample))
}

/// A figure of one peer over the same of another, round by round.
pub(crate) fn ratio((of, to): (&[Sample], &[Sample]), figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
    let pairs = of.iter().zip(to).filter(|(of, to)| is_good(of) && is_good(to));
    Spread::of(pairs.map(|(of, to)| figure(of) / figure(to)))
}

pub(crate) fn p50(sample: &Sample) -> Option<f64> {
    sample.latency.map(|latency| as_f64(latency.p50))
}

pub(crate) fn p99(sample: &Sample) -> Option<f64> {
    sample.latency.map(|latency| as_f64(latency.p99))
}

pub(crate) fn p999(sample: &Sample) -> Option<f64> {
    sample.latency.map(|latency| as_f64(latency.p999))
}

pub(crate) fn two(spread: Spread) -> String {
    format!("{:.2}", spread.median)
}

/// In the place of the figures of a peer that has none.
pub(crate) fn failed(samples: &[Sample]) -> String {
    let why = samples.iter().find_map(|sample| sample.failure.as_deref()).unwrap_or("no sample");
    format!("failed: {why}")
}

pub(crate) fn push_row(text: &mut String, name: &str, cells: &str) {
    // Nothing fails when text is appended to a string.
    let _never = writeln!(text, "| {name} | {cells} |");
}

fn is_good(sample: &Sample) -> bool {
    sample.failed == 0 && sample.completed > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu_seconds: f64, failed: u64) -> Sample {
        Sample { completed: 1, seconds: 1.0, cpu_seconds, failed, ..Sample::default() }
    }

    #[test]
    fn a_ratio_leaves_out_rounds_in_which_either_failed() {
        let of = [sample(1.0, 0), sample(9.0, 1), sample(3.0, 0)];
        let to = [sample(2.0, 0), sample(1.0, 0), sample(1.0, 1)];
        let ratio = ratio((&of, &to), Sample::cpu_micros).unwrap();
        assert!((ratio.median - 0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn a_bar_is_met_by_the_median() {
        let spread = Spread { median: 0.2, min: 0.1, max: 0.9 };
        let text = Bar::table(&[Bar::of_ratio("CPU".to_owned(), 0.2, spread)]);
        assert!(text.ends_with("| CPU | 0.2 | 0.20 (0.10..0.90) | met |\n\n"), "{text}");
    }
}
