//! The order of imports: the standard library, other crates, our own, a blank line between.

use crate::{rules::Finding, source::Source};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Std,
    Crates,
    Own,
}

pub(crate) fn check(source: &Source, found: &mut Vec<Finding>) {
    let mut last: Option<(Group, usize)> = None;
    let mut at = 0;
    for (number, line) in source.code.split_inclusive('\n').enumerate() {
        let here = at;
        at += line.len();
        let Some(group) = group(source, line) else {
            if starts_an_item(line) && !line.starts_with("use ") {
                last = None;
            }
            continue;
        };
        if let Some((before, _)) = last.filter(|(before, _)| *before > group) {
            let what = format!("{group:?} after {before:?}: imports stand in the order std, crates, own");
            found.push(Finding::new(source, here, what));
        }
        if last.is_some_and(|(before, _)| before == Group::Std && group != before)
            && !blank_before(source, here)
        {
            found.push(Finding::new(source, here, "leave a blank line after the imports of std"));
        }
        last = Some((group, number));
    }
}

fn group(source: &Source, line: &str) -> Option<Group> {
    let path = line.strip_prefix("use ")?.trim_start_matches("::");
    let root = path.split([':', ';', ' ', '{']).next()?;
    match root {
        "std" | "core" | "alloc" => Some(Group::Std),
        "crate" | "self" | "super" => Some(Group::Own),
        // Crates of the workspace may stand with the others or with our own.
        _ if root.starts_with("weft") => None,
        // `use Enum::*` of a type or module in sight.
        _ if root.starts_with(char::is_uppercase) => None,
        // A module that this file declares.
        _ if source.code.contains(&format!("mod {root};")) => Some(Group::Own),
        _ => Some(Group::Crates),
    }
}

fn starts_an_item(line: &str) -> bool {
    [
        "fn ",
        "pub ",
        "struct ",
        "enum ",
        "impl ",
        "mod ",
        "const ",
        "static ",
        "trait ",
        "type ",
        "async ",
        "#[cfg(test)]",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

fn blank_before(source: &Source, at: usize) -> bool {
    source.text.get(..at).is_some_and(|before| before.ends_with("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        check(&Source::new("a/src/b.rs".to_owned(), text.to_owned()), &mut found);
        found.into_iter().map(|f| f.at).collect()
    }

    #[test]
    fn three_groups_pass() {
        assert!(
            found(
                "use std::{\n    fmt,\n};\n\nuse bytes::Bytes;\nuse weft_model::name::Id;\n\nuse crate::a;\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn std_after_a_crate_is_found() {
        assert_eq!(found("use bytes::Bytes;\nuse std::fmt;\n"), ["a/src/b.rs:2"]);
    }

    #[test]
    fn a_module_of_this_file_is_our_own() {
        assert!(found("mod b;\n\nuse bytes::Bytes;\n\nuse crate::a;\nuse b::B;\n").is_empty());
    }

    #[test]
    fn groups_that_touch_are_found() {
        assert_eq!(found("use std::fmt;\nuse bytes::Bytes;\n"), ["a/src/b.rs:2"]);
    }
}
