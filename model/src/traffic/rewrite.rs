//! Another path in place of the one that a request came with, as the Gateway API's `ReplaceFullPath` and
//! `ReplacePrefixMatch` say.

use super::PathEdit;

impl PathEdit {
    /// The new path. `prefix` is the length of the prefix that matched, without a slash at its end; where the
    /// whole path was matched there is no prefix to replace, and the path stays.
    pub fn apply(&self, path: &str, prefix: Option<usize>) -> String {
        match self {
            Self::Full(full) => full.to_string(),
            Self::Prefix(with) => match prefix.and_then(|prefix| path.get(prefix..)) {
                Some(rest) => join(with, rest),
                None => path.to_owned(),
            },
        }
    }
}

/// `rest` is empty or begins with a slash; the path that comes of it has exactly one where they meet.
fn join(with: &str, rest: &str) -> String {
    let joined = format!("{}{rest}", with.strip_suffix('/').unwrap_or(with));
    if joined.is_empty() { "/".to_owned() } else { joined }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::traffic::precedence::bare_prefix;

    fn replaced(path: &str, prefix: &str, with: &str) -> String {
        PathEdit::Prefix(with.into()).apply(path, Some(bare_prefix(prefix).len()))
    }

    #[test]
    fn slashes_meet_as_in_the_gateway_apis_table() {
        for (path, prefix, with, expected) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/foo/bar", "/", "/xyz", "/xyz/foo/bar"),
        ] {
            assert_eq!(replaced(path, prefix, with), expected, "{path} {prefix} {with}");
        }
    }

    #[test]
    fn a_full_path_replaces_all_and_a_prefix_nothing_of_an_exact_match() {
        assert_eq!(PathEdit::Full("/new".into()).apply("/a/b", Some(2)), "/new");
        assert_eq!(PathEdit::Prefix("/new".into()).apply("/a/b", None), "/a/b");
    }

    proptest! {
        #[test]
        fn a_path_stays_one(rest in "(/[a-z]{0,3}){0,3}", with in "(/[a-z]{1,3}){0,2}/?") {
            let path = replaced(&format!("/p{rest}"), "/p", &with);
            prop_assert!(path.starts_with('/'));
            prop_assert!(path.ends_with(&rest));
        }
    }
}
