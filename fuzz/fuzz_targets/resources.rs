//! Files of resources: whatever is in one, each object is taken, and compiles, or is refused with reasons.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_model::{
    resource::{parse, text},
    traffic::compile,
};

fuzz_target!(|file: &str| {
    for object in text::yaml(file).unwrap_or_default() {
        match parse(&object.value) {
            Ok(resource) => {
                for (service, item) in resource.items() {
                    assert!(resource.targets().contains(&service), "an item for nobody");
                    assert_eq!(compile::check(&item), Ok(()), "taken, and does not compile");
                }
            }
            Err(errors) => assert!(errors.iter().len() > 0, "refused without a reason"),
        }
    }
});
