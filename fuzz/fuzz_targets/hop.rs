//! The hop header: whatever comes, decoding ends in a value or an error; and what decodes, encodes and decodes to
//! the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_sidecar::hop::{Decoded, decode};

fuzz_target!(|bytes: &[u8]| {
    let Ok(Decoded::Hop(hop, length)) = decode(bytes) else { return };
    assert!(length <= bytes.len(), "more was read than there is");
    let again = decode(&hop.encode());
    assert!(matches!(again, Ok(Decoded::Hop(same, _)) if same == hop), "the header does not survive");
});
