//! The manner of log messages: lower case, no full stop, values as fields and never interpolated.

use crate::{
    rules::Finding,
    source::{Source, balanced},
};

const MACROS: [&str; 5] = ["trace!(", "debug!(", "info!(", "warn!(", "error!("];

pub(crate) fn check(source: &Source, found: &mut Vec<Finding>) {
    for name in MACROS {
        for (at, _) in source.code.match_indices(name) {
            if let Some((byte, text)) = message(source, at + name.len() - 1)
                && let Some(what) = fault(text)
            {
                found.push(Finding::new(source, byte, format!("log message `{text}`: {what}")));
            }
        }
    }
}

/// The literal that is an argument of its own, and where it stands.
fn message(source: &Source, open: usize) -> Option<(usize, &str)> {
    let range = balanced(&source.code, open)?;
    let arguments = source.code.get(range)?;
    let mut at = 0;
    while let Some(quote) = arguments.get(at..)?.find('"').map(|found| at + found) {
        let end = quote + 1 + arguments.get(quote + 1..)?.find('"')?;
        let before = arguments.get(..quote)?.trim_end();
        if before.ends_with([',', '(']) && depth(before) == 1 {
            return Some((open + quote, source.text.get(open + quote + 1..open + end)?));
        }
        at = end + 1;
    }
    None
}

/// How many brackets are open at the end of `code`.
fn depth(code: &str) -> usize {
    code.bytes().fold(0, |depth, byte| match byte {
        b'(' | b'[' | b'{' => depth + 1,
        b')' | b']' | b'}' => depth - 1,
        _ => depth,
    })
}

fn fault(text: &str) -> Option<&'static str> {
    let mut letters = text.chars();
    let (first, second) = (letters.next()?, letters.next());
    // `HTTP` and `SIGTERM` are names.
    if first.is_uppercase() && !second.is_some_and(char::is_uppercase) {
        return Some("begin with a small letter");
    }
    if text.ends_with('.') {
        return Some("no full stop");
    }
    text.contains('{').then_some("give values as fields: `name = %value`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_judged() {
        let text = r#"fn f() { info!(address = %a, "listening"); warn!("Bad"); error!(%e, "bad."); debug!("a {b}"); warn!(e = f("{e:#}"), "fine"); }"#;
        let mut found = Vec::new();
        check(&Source::new("a/src/b.rs".to_owned(), text.to_owned()), &mut found);
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn a_name_in_capitals_may_begin_a_message() {
        assert_eq!(fault("SIGTERM received"), None);
        assert_eq!(fault("stopping"), None);
    }
}
