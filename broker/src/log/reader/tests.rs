//! Messages come back, together and alone.

use std::borrow::Cow;

use bytes::Bytes;

use super::*;
use crate::log::{
    appender::{Appender, Options},
    identity::LogId,
    record::Body,
    tests::sim_disk::SimDisk,
    writer::Writer,
};

/// One message of each size, in one queue.
fn stored_in(disk: &SimDisk, sizes: &[usize]) -> Vec<Wanted> {
    let log = LogId::from_bytes([4; 16]);
    let options = Options { segment_bytes: 4 << 20, free_bytes_min: 0 };
    let mut appender = Appender::new(log, 1, Position::NONE, 1, options);
    let mut writer = Writer::new(disk.clone(), options, Position::NONE, 1);
    let mut wanted = Vec::new();
    for (seq, size) in (1..).zip(sizes) {
        let body = [Bytes::from(vec![u8::try_from(seq % 251).unwrap(); *size])];
        let targets = [Target { queue: 1, seq, flags: 0 }];
        let message = Message {
            flags: MessageFlags::PERSISTENT,
            expires_at_ms: 1,
            published_at_ms: 2,
            priority: 3,
            exchange: b"exchange",
            routing_key: b"key",
            properties: b"properties",
            targets: Cow::Borrowed(&targets),
            body: Body::Pieces(&body),
        };
        let position = appender.append(&Record::Message(message), 0).unwrap();
        wanted.push(Wanted { seq, position, size: u32::try_from(*size).unwrap() });
    }
    writer.run(&appender.take_group(0).unwrap()).unwrap();
    wanted
}

fn sums() -> Checksums {
    Checksums::new(&LogId::from_bytes([4; 16]))
}

fn read_all(disk: &SimDisk, wanted: &[Wanted]) -> Vec<(u64, Result<StoredMessage, ReadError>)> {
    let mut all = Vec::new();
    read_run(&mut disk.clone(), sums(), wanted, |seq, message| all.push((seq, message)));
    all
}

#[test]
fn messages_of_all_sizes_come_back_in_order() {
    let disk = SimDisk::new(1);
    let sizes = [0, 1, 100, 300_000, 5, 900_000, 1_200_000, 6_000_000, 7, 100_000];
    let wanted = stored_in(&disk, &sizes);
    let all = read_all(&disk, &wanted);
    assert_eq!(all.len(), sizes.len());
    for ((seq, message), (wanted, size)) in all.into_iter().zip(wanted.iter().zip(sizes)) {
        let message = message.unwrap();
        assert_eq!((seq, message.body.len()), (wanted.seq, size));
        assert!(message.body.iter().all(|byte| u64::from(*byte) == seq % 251));
        assert_eq!((&message.exchange[..], &message.routing_key[..]), (&b"exchange"[..], &b"key"[..]));
        assert_eq!((&message.properties[..], message.priority), (&b"properties"[..], 3));
        assert_eq!(message.targets, [Target { queue: 1, seq, flags: 0 }]);
    }
}

#[test]
fn neighbours_are_read_together_and_what_lies_far_apart_is_not() {
    let disk = SimDisk::new(1);
    let mut wanted = stored_in(&disk, &[100; 200]);
    assert_eq!(run_length(&wanted), 200);
    let far = stored_in(&SimDisk::new(1), &[100, 200_000, 100]);
    wanted = vec![far[0], far[2]];
    assert_eq!(run_length(&wanted), 1);
}

#[test]
fn a_damaged_message_says_so_and_its_neighbours_come() {
    let disk = SimDisk::new(1);
    let wanted = stored_in(&disk, &[100; 5]);
    disk.damage(FileName::Segment(1), wanted[2].position.offset() as usize + 60, 1);
    let all = read_all(&disk, &wanted);
    let bad: Vec<u64> = all.iter().filter(|(_, message)| message.is_err()).map(|(seq, _)| *seq).collect();
    assert_eq!(bad, [3]);
    assert!(matches!(all[2].1, Err(ReadError::Damaged(at)) if at == wanted[2].position));
}

#[test]
fn a_position_without_a_message_is_an_error() {
    let disk = SimDisk::new(1);
    stored_in(&disk, &[100; 5]);
    for offset in [0, 65, 4 << 20, u32::MAX] {
        let wanted = Wanted { seq: 1, position: Position::new(1, offset), size: 100 };
        assert!(read_all(&disk, &[wanted])[0].1.is_err(), "offset {offset}");
    }
}

#[test]
fn a_scan_meets_every_message_that_can_be_read() {
    let mut disk = SimDisk::new(1);
    let wanted = stored_in(&disk, &[100; 50]);
    disk.damage(FileName::Segment(1), wanted[10].position.offset() as usize + 60, 1);
    let mut met = Vec::new();
    scan_segment(&mut disk, sums(), 1, 0, |position, _, _| {
        met.push(position);
        true
    })
    .unwrap();
    assert_eq!(met.len(), 49);
    assert!(met.iter().all(|at| wanted.iter().any(|wanted| wanted.position == *at)));
}
