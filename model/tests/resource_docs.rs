//! The reference of resources: its examples are good ones, and between them they show every field there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::{Value, json};
use weft_model::resource::{Kind, parse, text};

/// A field that nobody knows: what is told of it names those that are known.
const STRANGER: &str = "zzzzzzzzzzzz";
/// Fields that an author does not write, or whose place is in the text alone.
const NOT_IN_EXAMPLES: [&str; 5] = ["uid", "generation", "resourceVersion", "creationTimestamp", "hostnames"];

fn examples() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/resources.md");
    let page = fs::read_to_string(file).expect("the page");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(|block| text::yaml(block).expect("YAML")).map(|object| object.value).collect()
}

/// Where every object of a value stands, as a JSON pointer.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            fields.iter().for_each(|(name, value)| objects(value, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| objects(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

/// What an object is called wherever it stands: `/spec/rules/0/filters/1` is `filters`. The specs are each their own.
fn called(kind: &str, pointer: &str) -> String {
    let last = pointer.split('/').rfind(|part| part.parse::<usize>().is_err()).unwrap_or_default();
    if last == "spec" { format!("{kind}.spec") } else { last.to_owned() }
}

#[test]
fn each_example_is_a_good_resource() {
    let examples = examples();
    let mut kinds = BTreeSet::new();
    for example in &examples {
        let resource = parse(example).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(resource.warnings(), [], "{}", resource.kind());
        assert!(!resource.items().is_empty());
        kinds.insert(resource.kind());
    }
    assert_eq!(kinds, BTreeSet::from(Kind::ALL));
}

#[test]
fn the_examples_show_every_field() {
    let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for example in examples() {
        let kind = example.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut places = Vec::new();
        objects(&example, "", &mut places);
        for place in places {
            let level = called(&kind, &place);
            let mut changed = example.clone();
            let Some(Value::Object(fields)) = changed.pointer_mut(&place) else { continue };
            shown.entry(level.clone()).or_default().extend(fields.keys().cloned());
            fields.insert(STRANGER.into(), json!(1));
            let Err(errors) = parse(&changed) else { continue };
            let told: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
            let names =
                told.iter().find_map(|message| message.split("known here are ").nth(1)).unwrap_or_default();
            let names = names.split(", ").filter(|name| !name.is_empty()).map(str::to_owned);
            known.entry(level).or_default().extend(names);
        }
    }
    assert!(known.len() > 40, "{} kinds of objects", known.len());
    let mut missing = Vec::new();
    for (level, names) in &known {
        let here = shown.get(level).cloned().unwrap_or_default();
        let unseen =
            names.iter().filter(|name| !here.contains(*name) && !NOT_IN_EXAMPLES.contains(&name.as_str()));
        missing.extend(unseen.map(|name| format!("{level}.{name}")));
    }
    assert!(missing.is_empty(), "docs/resources.md shows no example of:\n{}", missing.join("\n"));
}
