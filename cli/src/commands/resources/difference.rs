//! Two texts line by line: what goes and what comes, with a few lines around. Pure.

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;
/// Above so many lines in either, all of the old and all of the new is shown.
const LINES_MAX: usize = 4_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'t> {
    Same(&'t str),
    Gone(&'t str),
    New(&'t str),
}

/// As `diff -u`, without the numbers: a person reads it, no program patches by it.
pub(super) fn unified(before: &str, after: &str) -> String {
    let lines = compare(&before.lines().collect::<Vec<_>>(), &after.lines().collect::<Vec<_>>());
    let changed: Vec<usize> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !matches!(line, Line::Same(_)))
        .map(|(at, _)| at)
        .collect();
    let near = |at: usize| {
        let place = changed.partition_point(|change| *change < at);
        let around = [place.checked_sub(1).and_then(|before| changed.get(before)), changed.get(place)];
        around.into_iter().flatten().any(|change| change.abs_diff(at) <= CONTEXT)
    };
    let mut text = Vec::new();
    let mut left_out = false;
    for (at, line) in lines.iter().enumerate() {
        if !near(at) {
            left_out = true;
            continue;
        }
        if std::mem::take(&mut left_out) {
            text.push("@@".to_owned());
        }
        text.push(match line {
            Line::Same(line) => format!(" {line}"),
            Line::Gone(line) => format!("-{line}"),
            Line::New(line) => format!("+{line}"),
        });
    }
    text.join("\n")
}

/// By the longest common subsequence.
fn compare<'t>(before: &[&'t str], after: &[&'t str]) -> Vec<Line<'t>> {
    if before.len().max(after.len()) > LINES_MAX {
        let gone = before.iter().map(|line| Line::Gone(line));
        return gone.chain(after.iter().map(|line| Line::New(line))).collect();
    }
    // How long it is of what follows each place.
    let width = after.len() + 1;
    let mut lengths = vec![0_u32; (before.len() + 1) * width];
    let length = |lengths: &[u32], a: usize, b: usize| lengths.get(a * width + b).copied().unwrap_or(0);
    for (a, old) in before.iter().enumerate().rev() {
        for (b, new) in after.iter().enumerate().rev() {
            let longest = if old == new {
                length(&lengths, a + 1, b + 1) + 1
            } else {
                length(&lengths, a + 1, b).max(length(&lengths, a, b + 1))
            };
            if let Some(place) = lengths.get_mut(a * width + b) {
                *place = longest;
            }
        }
    }
    let (mut lines, mut a, mut b) = (Vec::new(), 0, 0);
    loop {
        match (before.get(a), after.get(b)) {
            (Some(old), Some(new)) if old == new => {
                lines.push(Line::Same(old));
                (a, b) = (a + 1, b + 1);
            }
            (Some(old), new) if new.is_none() || length(&lengths, a + 1, b) >= length(&lengths, a, b + 1) => {
                lines.push(Line::Gone(old));
                a += 1;
            }
            (_, Some(new)) => {
                lines.push(Line::New(new));
                b += 1;
            }
            (_, None) => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_and_what_comes_is_shown_with_what_is_around() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let after = before.replace("g\n", "G\n").replace("h\n", "h\ni\n");
        assert_eq!(unified(before, &after), "@@\n d\n e\n f\n-g\n+G\n h\n+i");
        assert_eq!(unified("", "a\n"), "+a");
        assert_eq!(unified("a\n", "a\n"), "");
    }
}
