//! What authors of bad resources are told, word for word: each `bad_resources/*.yaml` beside the text that it gets.
//! A text that changes is read again by a person before `cargo nextest run -p weft-model --run-ignored only
//! write_the_texts` writes it down.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use weft_model::resource::{parse, text};

/// How many there are at least.
const CASES_MIN: usize = 40;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_resources");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of bad resources")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

/// What the author is told: a line an error, the reason for machines in front.
fn told(case: &Path) -> String {
    let yaml = fs::read_to_string(case).expect("a file");
    let objects = text::yaml(&yaml).expect("YAML");
    let object = objects.first().expect("an object");
    let errors = parse(&object.value).expect_err("a resource that is refused");
    let lines = errors.iter().map(|error| format!("{}\n  {error}\n", error.reason));
    lines.collect()
}

#[test]
fn each_bad_resource_is_told_all_that_is_wrong_with_it() {
    let cases = cases();
    assert!(cases.len() >= CASES_MIN, "{} cases", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let told = told(case);
            let golden = fs::read_to_string(case.with_extension("txt")).unwrap_or_default();
            (told != golden).then(|| format!("{}:\n{told}", case.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "other texts than written down:\n{}", wrong.join("\n"));
}

#[test]
fn no_text_is_left_without_its_resource() {
    let cases: BTreeSet<PathBuf> = cases().into_iter().map(|case| case.with_extension("")).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_resources");
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        assert!(cases.contains(&path.with_extension("")), "{}", path.display());
    }
}

#[test]
#[ignore = "writes the golden texts"]
fn write_the_texts() {
    for case in cases() {
        fs::write(case.with_extension("txt"), told(&case)).expect("a text");
    }
}
