//! Which protocol first bytes are: once it is settled, more bytes do not change it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_sidecar::detect::{Detected, detect_any, detect_http};

fuzz_target!(|bytes: &[u8]| {
    for detect in [detect_any, detect_http] {
        let whole = detect(bytes);
        for length in 0..bytes.len().min(64) {
            let part = detect(&bytes[..length]);
            assert!(
                part == Detected::NeedMore || part == whole,
                "settled after {length} bytes, then changed"
            );
        }
    }
});
