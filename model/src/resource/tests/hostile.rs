//! Resources that nobody would write: the examples of the reference with parts put in wrong places. Whatever it is,
//! it is taken and compiles, or is refused with reasons; nothing panics.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    resource::{parse, text},
    traffic::compile,
};

/// The page is beside the tests that hold it against the code; its examples have every field.
const PAGE: &str = include_str!("../../../../docs/resources.md");

fn examples() -> Vec<Value> {
    let blocks = PAGE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(|block| text::yaml(block).expect("YAML")).map(|object| object.value).collect()
}

/// Every value in it, by JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| places(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::String),
        prop::sample::select(&["", "/", "0s", "%", "é", "a.b", "-", "99999h", "(", "{}", "\u{0}"][..])
            .prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null, 1, "x", {}, []])),
        Just(json!({"type": "Exact", "name": "a", "value": 1})),
    ]
}

fn judged(value: &Value) -> Result<(), TestCaseError> {
    match parse(value) {
        Ok(resource) => {
            for (service, item) in resource.items() {
                prop_assert!(resource.targets().contains(&service));
                prop_assert_eq!(compile::check(&item), Ok(()));
            }
        }
        Err(errors) => prop_assert!(errors.iter().len() > 0),
    }
    Ok(())
}

proptest! {
    #[test]
    fn an_example_with_odd_parts_is_taken_or_refused(
        example in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), odd_value()), 1..4),
    ) {
        let examples = examples();
        let mut value = example.get(&examples).clone();
        for (place, odd) in changes {
            let mut found = Vec::new();
            places(&value, "", &mut found);
            if let Some(part) = value.pointer_mut(place.get::<String>(&found)) {
                *part = odd;
            }
        }
        judged(&value)?;
    }

    #[test]
    fn an_example_with_its_parts_exchanged_is_taken_or_refused(
        example in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let examples = examples();
        let mut value = example.get(&examples).clone();
        let mut found = Vec::new();
        places(&value, "", &mut found);
        let part = value.pointer(from.get::<String>(&found)).cloned().unwrap_or_default();
        if let Some(place) = value.pointer_mut(to.get::<String>(&found)) {
            *place = part;
        }
        judged(&value)?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        for object in text::yaml(&text).unwrap_or_default() {
            judged(&object.value)?;
        }
        if let Ok(value) = text::json(text.as_bytes()) {
            judged(&value)?;
        }
    }
}
