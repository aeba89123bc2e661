//! Names: what parses, shows itself as a text that parses to the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_model::name::{InstanceKey, Label, ServiceName};

fuzz_target!(|text: &str| {
    let Ok(namespace) = "default".parse::<Label>() else { return };
    if let Ok(name) = ServiceName::from_host(text, &namespace) {
        let shown = name.to_string();
        assert_eq!(shown.parse::<ServiceName>().as_ref(), Ok(&name), "{shown}");
        assert_eq!(ServiceName::from_host(&shown, &namespace).as_ref(), Ok(&name), "{shown}");
    }
    if let Ok(key) = text.parse::<InstanceKey>() {
        let shown = key.to_string();
        assert_eq!(shown.parse::<InstanceKey>().as_ref(), Ok(&key), "{shown}");
    }
});
