//! Methods: each comes back from its frame, and no bytes do harm.

use proptest::prelude::*;

use super::*;
use crate::amqp::{
    frame::{RawFrame, scan, write_body},
    method::delivery::{ContentMethod, Payload, encode_content, encode_delivery, write_header},
    table::{RawTable, encode_table, tests::any_table},
};

fn back(bytes: &[u8]) -> (RawFrame, Method<'_>) {
    let frame = scan(bytes, 0).unwrap().unwrap();
    assert_eq!(frame.kind, FrameKind::Method);
    let method = Method::decode(bytes.get(frame.payload.clone()).unwrap()).unwrap();
    (frame, method)
}

#[test]
fn ids_and_bits_stand_as_the_specification_has_them() {
    let mut out = Vec::new();
    let declare = queue::Declare { queue: "q", durable: true, no_wait: true, ..Default::default() };
    declare.encode(1, &mut out);
    assert_eq!(out, [1, 0, 1, 0, 0, 0, 13, 0, 50, 0, 10, 0, 0, 1, b'q', 0b1_0010, 0, 0, 0, 0, FRAME_END]);
    out.clear();
    basic::Nack { delivery_tag: 258, multiple: true, requeue: true }.encode(7, &mut out);
    assert_eq!(out, [1, 0, 7, 0, 0, 0, 13, 0, 60, 0, 120, 0, 0, 0, 0, 0, 0, 1, 2, 3, FRAME_END]);
    assert_eq!(exchange::UnbindOk::IDS, (40, 51));
}

#[test]
fn reserved_fields_are_read_past_and_written_empty() {
    let mut out = Vec::new();
    connection::Open { virtual_host: "/" }.encode(0, &mut out);
    assert_eq!(out, [1, 0, 0, 0, 0, 0, 8, 0, 10, 0, 40, 1, b'/', 0, 0, FRAME_END]);
    let with = [0, 10, 0, 40, 1, b'/', 3, b'o', b'l', b'd', 1];
    let open = Method::Connection(Connection::Open(connection::Open { virtual_host: "/" }));
    assert_eq!(Method::decode(&with), Ok(open));
    channel::OpenOk {}.encode(1, {
        out.clear();
        &mut out
    });
    assert_eq!(out, [1, 0, 1, 0, 0, 0, 8, 0, 20, 0, 11, 0, 0, 0, 0, FRAME_END]);
}

#[test]
fn what_is_no_method_says_which() {
    assert_eq!(Method::decode(&[0, 60, 0]), Err(DecodeError::NoIds));
    assert_eq!(Method::decode(&[0, 61, 0, 1]), Err(DecodeError::Unknown { class: 61, method: 1 }));
    assert_eq!(Method::decode(&[0, 60, 0, 41]), Err(DecodeError::Unknown { class: 60, method: 41 }));
    let field = |source| DecodeError::Field { class: 60, method: 31, source };
    assert_eq!(Method::decode(&[0, 60, 0, 31, 2, b'a']), Err(field(WireError::Truncated)));
    assert_eq!(Method::decode(&[0, 60, 0, 31, 1, 0xFF]), Err(field(WireError::Text)));
    let trailing = DecodeError::Trailing { class: 60, method: 31 };
    assert_eq!(Method::decode(&[0, 60, 0, 31, 0, 0]), Err(trailing));
}

#[test]
fn a_short_string_too_long_is_cut_between_characters() {
    let (long, mut out) = ("é".repeat(200), Vec::new());
    basic::CancelOk { consumer_tag: &long }.encode(1, &mut out);
    let (_, method) = back(&out);
    let cut = basic::CancelOk { consumer_tag: &long[..254] };
    assert_eq!(method, Method::Basic(Basic::CancelOk(cut)));
}

#[test]
fn each_method_has_ids_of_its_own() {
    let mut seen = std::collections::BTreeMap::new();
    for class in 0..=100_u16 {
        for id in 0..=130_u16 {
            let [[a, b], [c, d]] = [class.to_be_bytes(), id.to_be_bytes()];
            let payload = [&[a, b, c, d][..], &[0; 64]].concat();
            let lengths = 4..=payload.len();
            if let Some(method) = lengths.clone().find_map(|len| Method::decode(&payload[..len]).ok()) {
                assert_eq!(method.ids(), (class, id));
                assert!(seen.insert(method.name(), method.ids()).is_none(), "{} twice", method.name());
            }
        }
    }
    assert_eq!(seen.len(), 66, "{seen:?}");
}

proptest! {
    #[test]
    fn a_method_comes_back_from_its_frame(
        channel in any::<u16>(), text in "[a-zäß. ]{0,20}", key in "\\PC{0,30}", tag in any::<u64>(), bits in any::<u8>(),
        table in any_table(),
    ) {
        let arguments = encode_table(&table);
        let arguments = RawTable::new(&arguments);
        let bit = |n: u8| bits & (1 << n) != 0;
        let methods = [
            Method::Basic(Basic::Publish(basic::Publish { exchange: &text, routing_key: &key, mandatory: bit(0), immediate: bit(1) })),
            Method::Basic(Basic::Deliver(basic::Deliver { consumer_tag: &text, delivery_tag: tag, redelivered: bit(0), exchange: &text, routing_key: &key })),
            Method::Basic(Basic::Consume(basic::Consume { queue: &text, consumer_tag: &key, no_local: bit(0), no_ack: bit(1), exclusive: bit(2), no_wait: bit(3), arguments })),
            Method::Queue(Queue::Declare(queue::Declare { queue: &text, passive: bit(0), durable: bit(1), exclusive: bit(2), auto_delete: bit(3), no_wait: bit(4), arguments })),
            Method::Exchange(Exchange::Bind(exchange::Bind { destination: &text, source: &key, routing_key: &key, no_wait: bit(0), arguments })),
            Method::Connection(Connection::StartOk(connection::StartOk { client_properties: arguments, mechanism: &text, response: key.as_bytes(), locale: &text })),
            Method::Channel(Channel::Close(channel::Close { reply_code: 404, reply_text: &text, class_id: 50, method_id: 10 })),
            Method::Access(Access::Request(access::Request { realm: &text, exclusive: bit(0), passive: bit(1), active: bit(2), write: bit(3), read: bit(4) })),
            Method::Confirm(Confirm::Select(confirm::Select { no_wait: bit(0) })),
            Method::Tx(Tx::Commit(tx::Commit {})),
        ];
        let mut out = Vec::new();
        methods.iter().for_each(|method| method.encode(channel, &mut out));
        let mut rest = &out[..];
        for method in methods {
            let (frame, found) = back(rest);
            prop_assert_eq!(frame.channel, channel);
            prop_assert_eq!(found, method);
            rest = &rest[frame.end..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn any_payload_is_a_method_or_an_error(ids in 0..4_000_usize, rest in proptest::collection::vec(any::<u8>(), 0..60)) {
        let (class, id) = (ids / 40 % 100, ids % 131);
        let payload = [&[0, u8::try_from(class).unwrap(), 0, u8::try_from(id).unwrap()][..], &rest].concat();
        if let Ok(method) = Method::decode(&payload) {
            let mut out = Vec::new();
            method.encode(3, &mut out);
            prop_assert_eq!(back(&out).1, method, "what is read can be written");
        }
    }

    #[test]
    fn a_delivery_is_the_frames_of_its_parts(body in proptest::collection::vec(any::<u8>(), 0..9_000), max in 4_096..5_000_u32) {
        let deliver = basic::Deliver { consumer_tag: "c", delivery_tag: 9, redelivered: true, exchange: "x", routing_key: "k" };
        let payload = Payload { properties: &[0x10, 0, 2], body: &body };
        let (mut whole, mut other, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        encode_delivery(5, &deliver, payload, max, &mut whole);
        encode_content(5, ContentMethod::Deliver(deliver), payload, max, &mut other);
        deliver.encode(5, &mut parts);
        write_header(5, &[0x10, 0, 2], body.len(), &mut parts);
        write_body(5, &body, max, &mut parts);
        prop_assert_eq!(&whole, &parts);
        prop_assert_eq!(&other, &parts);
    }
}
