//! A record of the broker's log behind a checksum that holds: whatever stands there, it is read or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_broker::log::record::{Record, RecordError};

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, payload) = input;
    match Record::decode(kind, payload) {
        Ok(Record::Message(message) | Record::Moved(message)) => {
            let parts: usize = message.body.parts().map(<[u8]>::len).sum();
            assert_eq!(parts, message.body.len());
            let named = message.exchange.len() + message.routing_key.len() + message.properties.len();
            assert!(parts + named <= payload.len(), "more was read than stands there");
        }
        Ok(Record::Settle { ranges, .. }) => {
            assert!(ranges.iter().all(|range| range.first <= range.last));
            assert!(ranges.len() <= payload.len());
        }
        Ok(record) => assert_eq!(record.kind(), kind),
        Err(RecordError::UnknownKind(unknown)) => assert_eq!(unknown, kind),
        Err(RecordError::Malformed(malformed)) => assert_eq!(malformed, kind),
    }
});
