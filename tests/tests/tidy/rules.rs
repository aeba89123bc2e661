//! The rules that hold without exception. Each takes the files and adds what breaks it, with place and remedy.
//! What may only get better, rather than be perfect, is counted in `ratchet.rs`.

use crate::{
    imports, logs,
    source::{Source, balanced, words},
};

/// Lines of a `main.rs` at most: arguments, configuration, run, exit code.
const MAIN_LINES_MAX: usize = 40;

/// The files that speak gRPC or the hop header, where wire types become domain types.
const PROTO_EDGES: [&str; 9] = [
    "proto/",
    "control-plane/src/discovery",
    "control-plane/src/server",
    "sidecar/src/discovery",
    "sidecar/src/hop",
    "sidecar/src/inbound/hop",
    "sidecar/src/outbound/hop",
    "sidecar/src/record/span",
    "sidecar/src/trace/export",
];

/// What the domain must not know.
const MODEL_STRANGERS: [&str; 10] =
    ["axum", "http", "hyper", "kube", "prost", "tokio", "tonic", "tower", "weft_proto", "weft_runtime"];

/// Words that fill a sentence, sell, or are spelt otherwise in British English.
const BANNED_WORDS: [&str; 19] = [
    "simply",
    "obviously",
    "basically",
    "trivially",
    "seamless",
    "seamlessly",
    "robust",
    "leverage",
    "leverages",
    "utilize",
    "utilizes",
    "blazing",
    "behavior",
    "honor",
    "honors",
    "favor",
    "neighbor",
    "flavor",
    "please",
];

/// Signs of work put off.
const PUT_OFF: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];

/// Package registries, in parts so that this list does not match itself.
const REGISTRIES: [(&str, &str); 7] = [
    ("crates", "io"),
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("npmjs", "org"),
    ("deb.debian", "org"),
    ("static.rust-lang", "org"),
    ("proxy.golang", "org"),
];

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// `path:line`.
    pub(crate) at: String,
    /// What is wrong and what to do.
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn new(source: &Source, byte: usize, what: impl Into<String>) -> Self {
        Self { at: format!("{}:{}", source.path, source.line(byte)), what: what.into() }
    }
}

/// Everything that breaks a rule.
pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources {
        registry_hosts(source, &mut found);
        banned_words(source, &mut found);
        put_off(source, &mut found);
        if source.is_rust() {
            shape(source, &mut found);
            layers(source, &mut found);
            reasons(source, &mut found);
            fences(source, &mut found);
            imports::check(source, &mut found);
            logs::check(source, &mut found);
        }
        if source.path.ends_with("Cargo.toml") {
            manifest(source, &mut found);
        }
    }
    documents(sources, &mut found);
    found
}

fn shape(source: &Source, found: &mut Vec<Finding>) {
    let first = source.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if !first.starts_with("//!") {
        found.push(Finding::new(
            source,
            0,
            "open with `//!`: what it owns, what it must not know, where it stands",
        ));
    }
    if source.path.ends_with("/mod.rs") {
        found.push(Finding::new(source, 0, "call it `<folder>.rs` beside the folder: no `mod.rs`"));
    }
    let lines = source.text.lines().count();
    if source.path.ends_with("src/main.rs") && lines > MAIN_LINES_MAX {
        let what =
            format!("{lines} lines: a main.rs has {MAIN_LINES_MAX} at most; move the work to the library");
        found.push(Finding::new(source, 0, what));
    }
    for function in source.functions(source.product_code()).iter().filter(|f| f.name.starts_with("get_")) {
        let at = format!("{}:{}", source.path, function.line);
        found.push(Finding { at, what: format!("`{}`: name it without `get_`", function.name) });
    }
}

fn layers(source: &Source, found: &mut Vec<Finding>) {
    let mut stranger = |crate_name: &str, why: &str| {
        for at in words(&source.code, crate_name) {
            let rest = source.code.get(at + crate_name.len()..).unwrap_or_default();
            if rest.starts_with("::") {
                found.push(Finding::new(source, at, format!("`{crate_name}` {why}")));
            }
        }
    };
    if source.path.starts_with("model/") {
        for name in MODEL_STRANGERS {
            stranger(name, "is not for the model: it is pure; convert at the edge that needs it");
        }
    }
    if source.path.starts_with("sidecar/") {
        stranger("weft_control_plane", "is not for the sidecar: they meet on the wire only");
    }
    if source.path.starts_with("control-plane/") {
        stranger("weft_sidecar", "is not for the control plane: they meet on the wire only");
    }
    if !source.is_test() && !PROTO_EDGES.iter().any(|edge| source.path.starts_with(edge)) {
        stranger(
            "weft_proto",
            "is for the gRPC edges only: use the domain type, or add the edge to PROTO_EDGES",
        );
    }
}

/// An `allow` or `expect` of a lint says why, in itself or in a comment above it.
fn reasons(source: &Source, found: &mut Vec<Finding>) {
    for marker in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
        for (at, _) in source.code.match_indices(marker) {
            let open = at + marker.len() - 1;
            let end = balanced(&source.code, open).map_or(source.code.len(), |range| range.end);
            let inside = source.code.get(open..end).unwrap_or_default();
            let above = source.line(at).checked_sub(2).and_then(|line| source.comments.lines().nth(line));
            if !inside.contains("reason") && above.is_none_or(|line| line.trim().is_empty()) {
                found.push(Finding::new(
                    source,
                    at,
                    "give it a `reason = \"…\"`, or a comment above that says why",
                ));
            }
        }
    }
}

/// nextest runs no doctests, so there are none: a fence in a comment says what it holds.
fn fences(source: &Source, found: &mut Vec<Finding>) {
    let (mut at, mut open) = (0, false);
    for line in source.comments.split_inclusive('\n') {
        let fence = line.trim().trim_start_matches(['/', '!']).trim();
        if fence.starts_with("```") {
            if !open && matches!(fence, "```" | "```rust") {
                found.push(Finding::new(source, at, "write ```text, or make the example a test"));
            }
            open = !open;
        }
        at += line.len();
    }
}

fn put_off(source: &Source, found: &mut Vec<Finding>) {
    if source.path == "tests/tests/tidy/rules.rs" || source.path.ends_with(".lock") {
        return;
    }
    for sign in PUT_OFF {
        for at in words(&source.text, sign) {
            found.push(Finding::new(
                source,
                at,
                format!("`{sign}`: do it, or open an issue and say what is missing"),
            ));
        }
    }
    for sign in ["todo", "unimplemented", "dbg"] {
        for at in words(&source.code, sign)
            .filter(|at| source.code.get(at + sign.len()..).is_some_and(|r| r.starts_with('!')))
        {
            found.push(Finding::new(source, at, format!("`{sign}!` does not land")));
        }
    }
}

fn banned_words(source: &Source, found: &mut Vec<Finding>) {
    let prose = match () {
        () if source.is_rust() => &source.comments,
        () if source.path.ends_with(".md") => &source.text,
        () => return,
    };
    let prose = prose.to_ascii_lowercase();
    for word in BANNED_WORDS {
        for at in words(&prose, word) {
            found.push(Finding::new(
                source,
                at,
                format!("`{word}`: say it in a plainer word, or leave it out"),
            ));
        }
    }
}

fn registry_hosts(source: &Source, found: &mut Vec<Finding>) {
    if source.path.ends_with("Cargo.lock") {
        return;
    }
    for (name, domain) in REGISTRIES {
        let host = format!("{name}.{domain}");
        for (at, _) in source.text.match_indices(&host) {
            found.push(Finding::new(
                source,
                at,
                "names a package registry's host: say which registry in words",
            ));
        }
    }
}

/// A crate's manifest takes lints and versions from the workspace.
fn manifest(source: &Source, found: &mut Vec<Finding>) {
    if source.path == "Cargo.toml" || source.path.starts_with("fuzz/") {
        return;
    }
    if !source.text.contains("[lints]\nworkspace = true") {
        found.push(Finding::new(source, 0, "add `[lints]` with `workspace = true`"));
    }
    let mut at = 0;
    let mut dependencies = false;
    for line in source.text.split_inclusive('\n') {
        if line.starts_with('[') {
            dependencies = line.contains("dependencies]");
        } else if dependencies && line.contains('=') && !line.contains("workspace = true") {
            found.push(Finding::new(source, at, "take the version from `[workspace.dependencies]`"));
        }
        at += line.len();
    }
}

/// What the documents say is there.
fn documents(sources: &[Source], found: &mut Vec<Finding>) {
    let text =
        |path: &str| sources.iter().find(|s| s.path == path).map(|s| s.text.as_str()).unwrap_or_default();
    let architecture = text("ARCHITECTURE.md");
    for source in sources.iter().filter(|s| s.path.ends_with("/Cargo.toml") && !s.path.starts_with("fuzz/")) {
        let folder = source.path.trim_end_matches("Cargo.toml");
        if !architecture.contains(&format!("`{folder}`")) {
            found.push(Finding::new(
                source,
                0,
                format!("name `{folder}` in the code map of ARCHITECTURE.md"),
            ));
        }
    }
    let makefile = text("Makefile");
    for source in sources.iter().filter(|s| s.path.ends_with(".md") || s.path == ".ci/run") {
        for (at, target) in make_targets(&source.text) {
            if !makefile.lines().any(|line| line.starts_with(&format!("{target}:"))) {
                found.push(Finding::new(
                    source,
                    at,
                    format!("`make {target}`: the Makefile has no such target"),
                ));
            }
        }
    }
}

/// The targets of `make` commands that stand in backticks, at the start of a line, or after a prompt.
fn make_targets(text: &str) -> Vec<(usize, &str)> {
    let command = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        ["`", "\n", "$ ", "step ", "=20 "].iter().any(|start| before.ends_with(start))
    };
    let target = |at: usize| {
        let rest = text.get(at + 5..).unwrap_or_default();
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len());
        rest.get(..end).filter(|target| !target.is_empty())
    };
    let found = text.match_indices("make ").map(|(at, _)| at).filter(|at| command(*at));
    found.filter_map(|at| Some((at, target(at)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let manifest = Source::new("ARCHITECTURE.md".to_owned(), String::new());
        check(&[Source::new(path.to_owned(), text.to_owned()), manifest]).into_iter().map(|f| f.at).collect()
    }

    #[test]
    fn a_tidy_file_passes() {
        let text =
            "//! What it owns.\n\nuse std::fmt;\n\nuse bytes::Bytes;\n\nuse crate::a::B;\n\nfn f() {}\n";
        assert_eq!(found("sidecar/src/a.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_file_without_module_docs_is_found() {
        assert_eq!(found("sidecar/src/a.rs", "fn f() {}\n"), ["sidecar/src/a.rs:1"]);
    }

    #[test]
    fn a_stranger_in_the_model_is_found_but_not_in_a_comment() {
        let text = "//! No tokio::spawn here.\nfn f() { tokio::spawn(g()) }\n";
        assert_eq!(found("model/src/a.rs", text), ["model/src/a.rs:2"]);
        assert_eq!(found("runtime/src/a.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_lint_is_switched_off_with_a_reason() {
        let bare = "//! A.\n\n#[allow(dead_code)]\nfn f() {}\n";
        assert_eq!(found("sidecar/src/a.rs", bare), ["sidecar/src/a.rs:3"]);
        let given = "//! A.\n\n#[expect(dead_code, reason = \"b\")]\nfn f() {}\n";
        assert_eq!(found("sidecar/src/a.rs", given), Vec::<String>::new());
    }

    #[test]
    fn a_doctest_is_found() {
        let text = "//! A.\n//! ```text\n//! a -> b\n//! ```\n//! ```\n//! f();\n//! ```\n";
        assert_eq!(found("sidecar/src/a.rs", text), ["sidecar/src/a.rs:5"]);
    }

    #[test]
    fn work_put_off_is_found() {
        let text = format!("//! A.\n// {} later\nfn f() {{ {}!() }}\n", PUT_OFF[1], "todo");
        assert_eq!(found("sidecar/src/a.rs", &text), ["sidecar/src/a.rs:2", "sidecar/src/a.rs:3"]);
    }

    #[test]
    fn a_version_of_its_own_is_found_in_a_manifest() {
        let text = "[lints]\nworkspace = true\n[dependencies]\na.workspace = true\nb = \"1\"\n";
        assert_eq!(found("proto/Cargo.toml", text), ["proto/Cargo.toml:5", "proto/Cargo.toml:1"]);
    }

    #[test]
    fn commands_in_documents_are_read() {
        let targets: Vec<_> =
            make_targets("`make test` and\nmake demo\nto make sure `DEMO_SECONDS=20 make demo`")
                .into_iter()
                .map(|(_, target)| target)
                .collect();
        assert_eq!(targets, ["test", "demo", "demo"]);
    }
}
