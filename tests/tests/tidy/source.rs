//! Reads the files of the repository, and tells code from comments and strings. It knows the shape of Rust's
//! tokens and nothing of the rules that are checked.

use std::{fs, ops::Range, path::Path};

use anyhow::Context;

/// Folders that hold nothing written by hand.
const SKIPPED_FOLDERS: [&str; 5] = ["target", ".git", ".venv", "node_modules", "__pycache__"];

/// One file of the repository.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// As it stands.
    pub(crate) text: String,
    /// The same length and lines with comments and the insides of strings blank; Rust only.
    pub(crate) code: String,
    /// The same length and lines with all but comments blank; Rust only.
    pub(crate) comments: String,
}

/// A function's place in its file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Counted from 1.
    pub(crate) line: usize,
    /// Lines of its body with code on them.
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn new(path: String, text: String) -> Self {
        let (code, comments) = if path.ends_with(".rs") { separate(&text) } else { Default::default() };
        Self { path, text, code, comments }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is test code; a conformance suite is, though other crates may run it.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/conformance")
    }

    /// The member of the workspace that it belongs to: `sidecar`, `examples/grpc`.
    pub(crate) fn member(&self) -> String {
        let depth = if self.path.starts_with("examples/") { 2 } else { 1 };
        self.path.split('/').take(depth).collect::<Vec<_>>().join("/")
    }

    /// The bytes before the inline test module, which by the reading order is last.
    pub(crate) fn product(&self) -> Range<usize> {
        if self.is_test() {
            return 0..0;
        }
        let tests = self.code.match_indices("#[cfg(test)]").find(|(at, marker)| {
            let item = self.code.get(at + marker.len()..).unwrap_or_default();
            let item = item.trim_start();
            item.starts_with("mod ")
                && item
                    .split_once(['{', ';'])
                    .is_some_and(|(name, _)| item.as_bytes().get(name.len()) == Some(&b'{'))
        });
        0..tests.map_or(self.code.len(), |(at, _)| at)
    }

    /// The product part of the code, without comments and strings.
    pub(crate) fn product_code(&self) -> &str {
        self.code.get(self.product()).unwrap_or_default()
    }

    /// The line of a byte, counted from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|b| *b == b'\n').count()
    }

    /// All functions with a body, in the part of the code given.
    pub(crate) fn functions(&self, part: &str) -> Vec<Function> {
        let mut found = Vec::new();
        for at in words(part, "fn") {
            let rest = part.get(at + 2..).unwrap_or_default();
            let name: String =
                rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if name.is_empty() {
                continue;
            }
            if let Some(body) = body(rest) {
                let lines = rest.get(body).unwrap_or_default().lines().filter(|line| !line.trim().is_empty());
                found.push(Function { name, line: self.line(at), lines: lines.count().saturating_sub(2) });
            }
        }
        found
    }
}

/// Every text file under `root`, in order of path.
pub(crate) fn read_tree(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    read_folder(root, "", &mut sources)?;
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn read_folder(folder: &Path, prefix: &str, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) && !name.starts_with("target-") {
            read_folder(&entry.path(), &path, sources)?;
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            sources.push(Source::new(path, text));
        }
    }
    Ok(())
}

/// Where `word` stands alone in `text`.
pub(crate) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text.get(..*at).and_then(|t| t.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|t| t.chars().next());
        !part_of_word(before) && !part_of_word(after)
    })
}

/// The range from an opening bracket at `open` to the one that closes it, both included.
pub(crate) fn balanced(code: &str, open: usize) -> Option<Range<usize>> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(open..at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The braces of a function whose signature `rest` begins with; `None` for one without a body.
fn body(rest: &str) -> Option<Range<usize>> {
    let mut at = 0;
    loop {
        match rest.as_bytes().get(at)? {
            b'(' | b'[' => at = balanced(rest, at)?.end,
            b'{' => return balanced(rest, at),
            b';' => return None,
            _ => at += 1,
        }
    }
}

/// Code with comments and the insides of strings blank, and comments with all else blank.
fn separate(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let blank = |b: &u8| if *b == b'\n' { b'\n' } else { b' ' };
    let mut code: Vec<u8> = bytes.iter().map(blank).collect();
    let mut comments = code.clone();
    let mut at = 0;
    while at < bytes.len() {
        let (end, kind) = token(bytes, at);
        let end = end.clamp(at + 1, bytes.len());
        match kind {
            Token::Comment => copy(&mut comments, bytes, at..end),
            Token::Code => copy(&mut code, bytes, at..end),
            Token::Text { quotes } => {
                copy(&mut code, bytes, at..at + quotes);
                copy(&mut code, bytes, end - 1..end);
            }
        }
        at = end;
    }
    (String::from_utf8_lossy(&code).into_owned(), String::from_utf8_lossy(&comments).into_owned())
}

enum Token {
    Comment,
    Code,
    /// A string or character; `quotes` bytes stand before its inside.
    Text {
        quotes: usize,
    },
}

fn token(bytes: &[u8], at: usize) -> (usize, Token) {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest {
        [b'/', b'/', ..] => (at + find(rest, 0, b"\n"), Token::Comment),
        [b'/', b'*', ..] => (at + block_comment(rest), Token::Comment),
        [b'"', ..] => (at + quoted(rest, b'"'), Token::Text { quotes: 1 }),
        [b'r', b'"' | b'#', ..] if !follows_word(bytes, at) => match raw_string(rest) {
            Some((quotes, end)) => (at + end, Token::Text { quotes }),
            None => (at + 1, Token::Code),
        },
        [b'\'', b'\\', ..] => (at + quoted(rest, b'\''), Token::Text { quotes: 1 }),
        [b'\'', ..] => match character(rest) {
            Some(end) => (at + end, Token::Text { quotes: 1 }),
            None => (at + 1, Token::Code),
        },
        _ => (at + 1, Token::Code),
    }
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    before.is_some_and(|b| (b.is_ascii_alphanumeric() && *b != b'b' && *b != b'c') || *b == b'_')
}

/// The end of a character literal without an escape; `None` for a lifetime.
fn character(rest: &[u8]) -> Option<usize> {
    (2..=5)
        .find(|end| rest.get(*end) == Some(&b'\''))
        .filter(|end| {
            rest.get(1..*end)
                .is_some_and(|inside| std::str::from_utf8(inside).is_ok_and(|text| text.chars().count() == 1))
        })
        .map(|end| end + 1)
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\\' => at += 2,
            b if *b == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[u8]) -> Option<(usize, usize)> {
    let hashes = rest.iter().skip(1).take_while(|b| **b == b'#').count();
    let quotes = hashes + 2;
    (rest.get(hashes + 1) == Some(&b'"')).then(|| {
        let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
        (quotes, find(rest, quotes, &close) + close.len())
    })
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    for at in 0..rest.len() {
        match rest.get(at..at + 2) {
            Some(b"/*") => depth += 1,
            Some(b"*/") => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 2;
                }
            }
            _ => {}
        }
    }
    rest.len()
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.windows(what.len()).position(|window| window == what).map_or(bytes.len(), |at| from + at)
}

fn copy(to: &mut [u8], from: &[u8], range: Range<usize>) {
    if let (Some(to), Some(from)) = (to.get_mut(range.clone()), from.get(range)) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_told_from_code() {
        let (code, comments) = separate("let a = \"x // y\"; // z \"q\n/* a /* b */ c */ fn f() {}");
        assert_eq!(code, "let a = \"      \";        \n                  fn f() {}");
        assert_eq!(comments.trim_start(), "// z \"q\n/* a /* b */ c */          ");
    }

    #[test]
    fn raw_strings_characters_and_lifetimes_are_told_apart() {
        let (code, _) = separate(r##"let a = r#"{"{"#; let b = '{'; fn c<'a>(d: &'a str) { '\'' }"##);
        assert_eq!(code.matches('{').count(), 1, "{code}");
        assert!(code.contains("fn c<'a>(d: &'a str)"), "{code}");
    }

    #[test]
    fn a_function_is_measured_by_the_lines_of_its_body() {
        let source = Source::new(
            "a/src/b.rs".to_owned(),
            "trait T { fn no_body(&self); }\nfn f(a: [u8; 2]) -> u8 {\n    // why\n    g();\n\n    h()\n}\n"
                .to_owned(),
        );
        let found = source.functions(&source.code);
        assert_eq!(found, [Function { name: "f".to_owned(), line: 2, lines: 2 }]);
    }

    #[test]
    fn the_product_part_ends_where_the_inline_tests_begin() {
        let inline = Source::new(
            "a/src/b.rs".to_owned(),
            "fn f() {}\n#[cfg(test)]\nmod tests { fn g() {} }".to_owned(),
        );
        assert_eq!(inline.product_code(), "fn f() {}\n");
        let apart = Source::new("a/src/b.rs".to_owned(), "#[cfg(test)]\nmod tests;\nfn f() {}".to_owned());
        assert_eq!(apart.product_code(), apart.code);
    }
}
