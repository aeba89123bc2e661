//! AMQP methods: whatever comes, decoding ends in a method or a refusal; and what decodes, encodes and decodes to the
//! same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_broker::amqp::{frame::scan, method::Method, reply::Refusal};

fuzz_target!(|bytes: &[u8]| {
    let method = match Method::decode(bytes) {
        Ok(method) => method,
        Err(error) => {
            let mut out = Vec::new();
            Refusal::undecodable(error, bytes).write(1, &mut out);
            assert!(
                matches!(scan(&out, 4_096), Ok(Some(frame)) if frame.end == out.len()),
                "no frame to refuse with"
            );
            return;
        }
    };
    let mut out = Vec::new();
    method.encode(7, &mut out);
    let Ok(Some(frame)) = scan(&out, 0) else { panic!("what is encoded is no frame") };
    let again = Method::decode(frame.payload(&out));
    // A number that is not equal to itself stands in a table's bytes, which are compared.
    assert_eq!(again, Ok(method), "the method does not survive");
});
