//! A `definitions.json`: users, virtual hosts, permissions, policies. What is imported can be exported, and the export
//! imported, with the same result.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_broker::{
    access::{Access, definitions::Definitions},
    policy::PolicySet,
};

fuzz_target!(|document: &[u8]| {
    let Ok(mut definitions) = serde_json::from_slice::<Definitions>(document) else { return };
    let (mut access, mut policies) = (Access::empty(), PolicySet::default());
    let access_is_taken = access.import(&definitions, || [7; 4]).is_ok();
    definitions.place_in("/");
    let policies_are_taken = policies.import("/", &definitions).is_ok();
    let mut written = Definitions::default();
    access.export(&mut written);
    policies.export("/", &mut written);
    let (mut access, mut policies) = (Access::empty(), PolicySet::default());
    assert!(access.import(&written, || [7; 4]).is_ok(), "what was exported is imported");
    assert!(policies.import("/", &written).is_ok(), "what was exported is imported");
    let mut again = Definitions::default();
    access.export(&mut again);
    policies.export("/", &mut again);
    assert_eq!(written, again, "{access_is_taken} {policies_are_taken}");
});
