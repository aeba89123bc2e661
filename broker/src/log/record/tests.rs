//! Records to bytes and back; bytes that are none.

use proptest::prelude::*;

use super::*;
use crate::log::{
    frame::{self, CHAINED, Checksums, Framed, PREFIX_BYTES},
    identity::LogId,
};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..80)
}

fn targets() -> impl Strategy<Value = Vec<Target>> {
    let target = any::<(u32, u64, u8)>().prop_map(|(queue, seq, flags)| Target { queue, seq, flags });
    prop::collection::vec(target, 0..5)
}

fn ranges() -> impl Strategy<Value = Vec<SeqRange>> {
    prop::collection::btree_set(any::<u64>(), 0..12).prop_map(|seqs| {
        let seqs: Vec<u64> = seqs.into_iter().collect();
        seqs.chunks_exact(2).map(|pair| SeqRange { first: pair[0], last: pair[1] }).collect()
    })
}

proptest! {
    #[test]
    fn a_message_comes_back(
        (flags, priority, expires_at_ms, published_at_ms) in any::<(u8, u8, u64, u64)>(),
        (exchange, routing_key, properties) in (bytes(), bytes(), bytes()),
        targets in targets(),
        pieces in prop::collection::vec(bytes().prop_map(Bytes::from), 0..4),
    ) {
        let message = Message {
            flags: MessageFlags(flags),
            expires_at_ms,
            published_at_ms,
            priority,
            exchange: &exchange,
            routing_key: &routing_key,
            properties: &properties,
            targets: Cow::Borrowed(&targets),
            body: Body::Pieces(&pieces),
        };
        comes_back(&Record::Message(message.clone()));
        comes_back(&Record::Moved(message));
    }

    #[test]
    fn a_small_record_comes_back(
        queue: u32, seq: u64, count: u32, note in bytes(), ranges in ranges(), key in ".{0,20}", value in prop::option::of(bytes()),
    ) {
        comes_back(&Record::Settle { queue, ranges: Cow::Borrowed(&ranges) });
        comes_back(&Record::Delivered { queue, up_to: seq });
        comes_back(&Record::Returned { queue, seq, count, note: &note });
        comes_back(&Record::Purge { queue, up_to: seq });
        comes_back(&Record::Forget { queue });
        comes_back(&Record::Topology { key: &key, value: value.as_deref() });
        comes_back(&Record::Mark { group: seq, durable: Position::from_raw(!seq) });
        comes_back(&Record::ChainEnd);
        comes_back(&Record::Seal);
    }

    #[test]
    fn no_bytes_panic_the_decoder(kind: u8, payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Record::decode(kind, &payload);
        let sums = Checksums::new(&LogId::from_bytes([1; 16]));
        let _ = frame::read(&payload, Position::new(1, 64), sums);
    }
}

fn encoded(record: &Record<'_>) -> BytesMut {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    for part in record.body().into_iter().flat_map(Body::parts) {
        out.put_slice(part);
    }
    out
}

fn comes_back(record: &Record<'_>) {
    let payload = encoded(record);
    assert_eq!(&Record::decode(record.kind(), &payload).unwrap(), record);
    // Cut anywhere it is another record or none, never this one.
    for cut in 0..payload.len() {
        assert_ne!(Record::decode(record.kind(), &payload[..cut]).as_ref(), Ok(record));
    }
}

#[test]
fn an_unknown_kind_is_named() {
    assert_eq!(Record::decode(77, &[]), Err(RecordError::UnknownKind(77)));
}

#[test]
fn a_count_that_the_bytes_cannot_hold_is_refused() {
    let mut payload = BytesMut::new();
    put_varint(&mut payload, 1);
    put_varint(&mut payload, u64::MAX);
    assert_eq!(Record::decode(SETTLE, &payload), Err(RecordError::Malformed(SETTLE)));
}

#[test]
fn a_record_is_one_only_at_its_own_place_and_in_its_own_log() {
    let sums = Checksums::new(&LogId::from_bytes([1; 16]));
    let here = Position::new(3, 100);
    let mut framed = BytesMut::zeroed(PREFIX_BYTES);
    framed.put_slice(&[SEAL, CHAINED]);
    let crc = crc32c::crc32c_append(sums.seed(here), &framed[PREFIX_BYTES..]);
    framed[..4].copy_from_slice(&2_u32.to_le_bytes());
    framed[4..8].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(frame::read(&framed, here, sums), Framed::Good(frame) if frame.chained));
    assert_eq!(frame::read(&framed, Position::new(3, 101), sums), Framed::Bad);
    let other = Checksums::new(&LogId::from_bytes([2; 16]));
    assert_eq!(frame::read(&framed, here, other), Framed::Bad);
    assert!(matches!(frame::read(&framed[..9], here, sums), Framed::Short(_)));
}
