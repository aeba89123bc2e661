//! AMQP message properties: whatever comes, both readers agree; a rewriting that changes nothing changes nothing but
//! needless flag words; one that changes something can be read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_broker::amqp::{
    properties::{PropertiesView, Summary, rewrite},
    value::FieldValue,
};

fuzz_target!(|bytes: &[u8]| {
    let view = PropertiesView::parse(bytes);
    assert_eq!(view.err(), Summary::of(bytes).err());
    let Ok(view) = view else {
        assert!(rewrite(bytes, |_| {}).is_err());
        return;
    };
    let summary = Summary::of(bytes).expect("both agree");
    assert_eq!(summary.headers_at.and_then(|at| bytes.get(at)), view.headers.map(|table| table.bytes()));
    let same = rewrite(bytes, |_| {}).expect("what was read is read");
    assert_eq!(PropertiesView::parse(&same), Ok(view), "the properties do not survive");
    let changed = rewrite(bytes, |properties| {
        properties.expiration = None;
        properties.headers.get_or_insert_default().set("x-fuzz", FieldValue::I64(1));
    });
    let changed = changed.expect("what was read is read");
    let again = PropertiesView::parse(&changed).expect("what was written can be read");
    assert_eq!((again.expiration, again.message_id), (None, view.message_id));
});
