//! Torn ends, damage, fencing and later formats: written by an appender and a writer, then changed by hand.

use std::borrow::Cow;

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::log::{
    FORMAT,
    appender::{Appender, Options},
    checkpoint::CheckpointWriter,
    group::{Completed, Group},
    index::Slot,
    record::{Record, SeqRange},
    segment::SegmentHeader,
    tests::sim_disk::SimDisk,
    writer::Writer,
};

const SEGMENT_BYTES: u32 = 4 << 10;
const OPTIONS: Options = Options { segment_bytes: SEGMENT_BYTES, free_bytes_min: 0 };

fn log() -> LogId {
    LogId::from_bytes([9; 16])
}

/// An owner without a directory.
struct Owner {
    appender: Appender,
    writer: Writer<SimDisk>,
}

impl Owner {
    fn new(disk: &SimDisk, fencing: u64, end: Position, segment: u32) -> Self {
        let appender = Appender::new(log(), fencing, end, segment, OPTIONS);
        Self { appender, writer: Writer::new(disk.clone(), OPTIONS, end, segment) }
    }

    /// One group with one declaration; its position.
    fn declare(&mut self, key: &str, value: &[u8]) -> Position {
        let record = Record::Topology { key, value: Some(value) };
        let position = self.appender.append(&record, 0).unwrap();
        self.write();
        position
    }

    fn write(&mut self) {
        self.appender.request_sync();
        let completed = self.writer.run(&self.appender.take_group(0).unwrap()).unwrap();
        self.appender.completed(completed);
    }
}

/// A checkpoint of this state, as of now.
fn checkpoint(disk: &SimDisk, owner: &mut Owner, state: State) {
    let replay_from = owner.appender.checkpoint_position().unwrap();
    let mut writer = CheckpointWriter::new(log(), Checkpoint { state, replay_from });
    while !writer.step(&mut disk.clone()).unwrap() {}
    writer.finish(&mut disk.clone()).unwrap();
}

/// Zeros in a segment, from one byte to another.
fn blank(disk: &SimDisk, segment: u32, range: std::ops::Range<usize>) {
    let mut content = disk.content(FileName::Segment(segment));
    content[range].fill(0);
    disk.set_content(FileName::Segment(segment), content);
}

/// Many declarations over several segments.
fn many(disk: &SimDisk) -> Owner {
    let mut owner = Owner::new(disk, 1, Position::NONE, 1);
    for number in 0..100 {
        owner.declare(&format!("{number:02}"), &[1; 100]);
    }
    assert!(owner.appender.segment() > 3);
    owner
}

fn recovered(disk: &SimDisk) -> Recovered {
    recover(&mut disk.clone(), &log()).unwrap()
}

fn keys(recovered: &Recovered) -> Vec<&str> {
    recovered.state.topology.keys().map(String::as_str).collect()
}

/// Six declarations in six groups, and where they lie.
fn six() -> (SimDisk, Vec<Position>) {
    let disk = SimDisk::new(1);
    let mut owner = Owner::new(&disk, 1, Position::NONE, 1);
    let positions = ["a", "b", "c", "d", "e", "f"].map(|key| owner.declare(key, &[1; 100])).to_vec();
    (disk, positions)
}

#[test]
fn a_log_cut_at_any_byte_is_a_prefix_and_no_damage() {
    let (disk, positions) = six();
    let name = FileName::Segment(1);
    let whole = disk.content(name);
    let end = recovered(&disk).end.offset() as usize;
    for cut in 0..=end {
        let torn = disk.fork();
        let mut content = whole.clone();
        content[cut..].fill(0);
        torn.set_content(name, content);
        let found = recovered(&torn);
        assert_eq!(found.damage, [], "cut at {cut}");
        let before = positions.iter().filter(|at| at.offset() as usize + 100 < cut).count();
        let keys = keys(&found).len();
        assert!(keys == before || keys + 1 == before, "cut at {cut}: {keys} of {before}");
        let read = whole.get(cut..found.end.offset() as usize).unwrap_or_default();
        assert!(read.iter().all(|byte| *byte == 0), "what was cut off was read");
    }
}

#[test]
fn garbage_behind_the_end_is_cut() {
    let (disk, _) = six();
    let end = recovered(&disk).end;
    disk.damage(FileName::Segment(1), end.offset() as usize + 40, 300);
    let found = recovered(&disk);
    assert_eq!((found.end, found.damage.len(), found.torn), (end, 0, true));
    assert_eq!(keys(&found).len(), 6);
}

#[test]
fn a_group_that_reached_the_disk_in_part_is_cut_though_its_end_is_there() {
    let disk = SimDisk::new(1);
    let mut owner = Owner::new(&disk, 1, Position::NONE, 1);
    owner.declare("a", &[1; 100]);
    let torn = owner.appender.append(&Record::Topology { key: "b", value: Some(&[2; 100]) }, 0).unwrap();
    owner.declare("c", &[3; 100]);
    disk.damage(FileName::Segment(1), torn.offset() as usize + 20, 4);
    let found = recovered(&disk);
    assert_eq!(keys(&found), ["a"], "nothing of that group was confirmed");
    assert_eq!((found.damage.len(), found.torn, found.end), (0, true, torn));
}

#[test]
fn damage_in_what_was_safe_is_reported_and_the_rest_kept() {
    let (disk, positions) = six();
    disk.damage(FileName::Segment(1), positions[1].offset() as usize + 20, 4);
    let found = recovered(&disk);
    assert_eq!(keys(&found), ["a", "c", "d", "e", "f"]);
    let offset = u64::from(positions[1].offset());
    assert!(matches!(found.damage[..], [damage] if damage.offset == offset && damage.bytes > 100));
    assert_eq!(found.end, recovered(&six().0).end);
}

#[test]
fn zeros_in_what_was_safe_are_damage_as_well() {
    let (disk, positions) = six();
    let mut content = disk.content(FileName::Segment(1));
    content[positions[1].offset() as usize..positions[3].offset() as usize].fill(0);
    disk.set_content(FileName::Segment(1), content);
    let found = recovered(&disk);
    assert_eq!(keys(&found), ["a", "d", "e", "f"]);
    assert_eq!(found.damage.len(), 1);
}

#[test]
fn damage_at_the_end_of_a_closed_segment_is_reported() {
    let disk = SimDisk::new(1);
    let mut owner = Owner::new(&disk, 1, Position::NONE, 1);
    let mut last = owner.declare("00", &[1; 100]);
    for number in 1..60 {
        let at = owner.declare(&format!("{number:02}"), &[1; 100]);
        if at.segment() == 1 {
            last = at;
        }
    }
    disk.damage(FileName::Segment(1), last.offset() as usize + 50, 8);
    let found = recovered(&disk);
    assert_eq!(keys(&found).len(), 59);
    assert!(matches!(found.damage[..], [damage] if damage.offset == u64::from(last.offset())));
}

#[test]
fn a_damaged_head_is_reported_and_its_records_kept() {
    let (disk, _) = six();
    disk.damage(FileName::Segment(1), 10, 4);
    let found = recovered(&disk);
    assert_eq!(keys(&found).len(), 6);
    assert_eq!(found.damage, [Damage { name: FileName::Segment(1), offset: 0, bytes: 64 }]);
}

#[test]
fn a_head_of_zeros_before_what_was_safe_is_damage_and_its_records_are_kept() {
    let (disk, _) = six();
    blank(&disk, 1, 0..64);
    let found = recovered(&disk);
    assert_eq!(keys(&found).len(), 6);
    assert_eq!(found.damage, [Damage { name: FileName::Segment(1), offset: 0, bytes: 64 }]);
    assert!(found.useless.is_empty());
}

#[test]
fn a_head_of_zeros_before_what_was_never_safe_is_a_torn_end() {
    let disk = SimDisk::new(1);
    Owner::new(&disk, 1, Position::NONE, 1).declare("a", &[1; 1000]);
    blank(&disk, 1, 0..64);
    let found = recovered(&disk);
    assert_eq!((keys(&found).len(), found.damage.len(), found.useless), (0, 0, vec![1]));
}

#[test]
fn a_segment_of_zeros_below_another_is_damage_and_stays() {
    let disk = SimDisk::new(1);
    many(&disk);
    blank(&disk, 2, 0..SEGMENT_BYTES as usize);
    let found = recovered(&disk);
    assert!(
        found.damage.iter().all(|damage| damage.name == FileName::Segment(2)) && !found.damage.is_empty()
    );
    assert!(found.useless.is_empty());
}

#[test]
fn a_segment_of_zeros_up_to_the_checkpoint_is_damage_and_stays() {
    let (disk, _) = six();
    let found = recovered(&disk);
    let mut owner = Owner::new(&disk, 2, found.end, found.next_segment);
    checkpoint(&disk, &mut owner, found.state);
    blank(&disk, 1, 0..SEGMENT_BYTES as usize);
    let found = recovered(&disk);
    assert_eq!(found.damage, [Damage { name: FileName::Segment(1), offset: 0, bytes: 64 }]);
    assert_eq!((keys(&found).len(), found.useless), (6, vec![]));
}

#[test]
fn a_new_segment_lies_behind_the_end_also_where_files_are_missing() {
    let disk = SimDisk::new(1);
    let mut owner = many(&disk);
    let state = recovered(&disk).state;
    checkpoint(&disk, &mut owner, state);
    let last = owner.appender.segment();
    disk.clone().remove(FileName::Segment(last)).unwrap();
    let found = recovered(&disk);
    assert_eq!((found.end.segment(), found.next_segment), (last, last + 1));
}

#[test]
fn a_message_in_a_segment_that_does_not_count_is_damage() {
    let (disk, _) = six();
    let found = recovered(&disk);
    let mut owner = Owner::new(&disk, 2, found.end, found.next_segment);
    let mut state = found.state;
    state.insert(1, 1, Slot { position: Position::new(2, 64), size: 10, ..Slot::default() });
    checkpoint(&disk, &mut owner, state);
    disk.clone().create(FileName::Segment(2), SEGMENT_BYTES.into()).unwrap();
    let found = recovered(&disk);
    assert!(matches!(found.damage[..], [Damage { name: FileName::Segment(2), .. }]), "{:?}", found.damage);
    assert!(found.state.queues[&1].index.is_empty());
}

#[test]
fn what_an_older_owner_wrote_after_the_next_one_began_does_not_count() {
    let disk = SimDisk::new(1);
    let mut old = Owner::new(&disk, 1, Position::NONE, 1);
    old.declare("a", b"old");
    let found = recovered(&disk);
    let mut new = Owner::new(&disk, 2, found.end, found.next_segment);
    new.declare("b", b"new");
    // The old one wakes up: in its segment, and in a further one.
    old.declare("b", b"stale");
    let late = Owner::new(&disk, 1, old.appender.end(), 7);
    let mut late = late;
    late.declare("b", b"stale too");
    let found = recovered(&disk);
    assert_eq!(keys(&found), ["a", "b"]);
    assert_eq!(found.state.topology["b"], &b"new"[..]);
    assert_eq!((found.useless, found.next_segment), (vec![7], 8));
}

#[test]
fn a_segment_that_an_older_owner_began_first_does_not_count_either() {
    let disk = SimDisk::new(1);
    let mut old = Owner::new(&disk, 1, Position::NONE, 1);
    old.declare("a", b"old");
    let end = recovered(&disk).end;
    for number in 0..50 {
        old.declare(&format!("stale {number}"), &[0; 100]);
    }
    let last = old.appender.segment();
    let mut new = Owner::new(&disk, 2, end, last + 1);
    new.declare("b", b"new");
    let found = recovered(&disk);
    assert_eq!(keys(&found), ["a", "b"]);
    assert_eq!(found.useless, (2..=last).rev().collect::<Vec<_>>());
}

#[test]
fn a_later_format_is_refused_by_name() {
    let (mut disk, _) = six();
    let mut content = disk.content(FileName::Segment(1));
    content[8..12].copy_from_slice(&(FORMAT + 1).to_le_bytes());
    let crc = crc32c::crc32c(&content[..48]);
    content[48..52].copy_from_slice(&crc.to_le_bytes());
    disk.set_content(FileName::Segment(1), content);
    let error = recover(&mut disk, &log()).unwrap_err().to_string();
    assert!(error.contains("00000001.seg has format 2"), "{error}");
}

#[test]
fn a_prepared_segment_is_of_no_use() {
    let (mut disk, _) = six();
    disk.create(FileName::Segment(2), SEGMENT_BYTES.into()).unwrap();
    let found = recovered(&disk);
    assert_eq!((found.useless, found.next_segment, found.damage.len()), (vec![2], 3, 0));
}

#[test]
fn a_chain_is_there_whole_or_not_at_all() {
    let disk = SimDisk::new(1);
    let mut owner = Owner::new(&disk, 1, Position::NONE, 1);
    owner.declare("first", b"1");
    owner.appender.begin_chain();
    for number in 0..60 {
        let key = format!("chained {number}");
        owner.appender.append(&Record::Topology { key: &key, value: Some(&[0; 100]) }, 0).unwrap();
    }
    owner.appender.end_chain();
    owner.write();
    assert_eq!(keys(&recovered(&disk)).len(), 61);
    let end = owner.appender.end();
    assert!(end.segment() > 1, "over several segments");
    disk.damage(FileName::Segment(end.segment()), end.offset() as usize - 5, 1);
    let found = recovered(&disk);
    assert_eq!(keys(&found), ["first"]);
    assert_eq!(found.end.segment(), 1);
    // The next owner's first record does not become the end of that chain.
    let mut next = Owner::new(&disk, 2, found.end, found.next_segment);
    next.declare("next", b"2");
    let found = recovered(&disk);
    assert_eq!((keys(&found), found.damage.len()), (vec!["first", "next"], 0));
}

#[test]
fn a_sealed_log_is_clean_and_another_is_not() {
    let (disk, _) = six();
    assert!(!recovered(&disk).clean);
    let found = recovered(&disk);
    let mut owner = Owner::new(&disk, 2, found.end, found.next_segment);
    owner.appender.seal();
    owner.write();
    assert!(recovered(&disk).clean);
}

#[test]
fn a_log_that_was_left_with_a_checkpoint_is_clean_as_well() {
    let (disk, _) = six();
    let found = recovered(&disk);
    let mut owner = Owner::new(&disk, 2, found.end, found.next_segment);
    owner.appender.seal();
    owner.write();
    checkpoint(&disk, &mut owner, found.state);
    let found = recovered(&disk);
    assert!(found.clean);
    assert_eq!((keys(&found).len(), found.end), (6, owner.appender.end()));
}

#[test]
fn damage_in_the_last_group_before_the_seal_is_no_torn_end() {
    let disk = SimDisk::new(1);
    let mut owner = Owner::new(&disk, 1, Position::NONE, 1);
    owner.declare("a", &[1; 100]);
    let last = owner.appender.append(&Record::Topology { key: "b", value: Some(&[2; 100]) }, 0).unwrap();
    owner.appender.seal();
    owner.write();
    owner.write();
    assert!(recovered(&disk).clean);
    disk.damage(FileName::Segment(1), last.offset() as usize + 20, 4);
    let found = recovered(&disk);
    assert!(matches!(found.damage[..], [damage] if damage.offset == u64::from(last.offset())));
    assert_eq!((keys(&found), found.clean), (vec!["a"], false));
}

#[test]
fn a_head_of_another_log_is_not_taken_for_ours() {
    let (disk, _) = six();
    let header = SegmentHeader {
        log: LogId::from_bytes([1; 16]),
        fencing: 9,
        segment: 2,
        previous_end: Position::NONE,
    };
    let mut content = BytesMut::new();
    header.encode(&mut content);
    disk.clone().create(FileName::Segment(2), SEGMENT_BYTES.into()).unwrap();
    disk.set_content(FileName::Segment(2), content.to_vec());
    assert_eq!(keys(&recovered(&disk)).len(), 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_damage_ends_in_a_state_and_never_in_a_panic(
        places in prop::collection::vec((0_usize..6000, 1_usize..200), 0..6), segment in 1_u32..4,
    ) {
        let disk = SimDisk::new(1);
        let mut owner = Owner::new(&disk, 1, Position::NONE, 1);
        for number in 0..80_u64 {
            let ranges = [SeqRange { first: number, last: number + 3 }];
            owner.appender.append(&Record::Settle { queue: 1, ranges: Cow::Borrowed(&ranges) }, 0).unwrap();
            owner.declare(&format!("{number}"), &[1; 100]);
        }
        let whole = keys(&recovered(&disk)).len();
        for (offset, bytes) in places {
            disk.damage(FileName::Segment(segment), offset, bytes);
        }
        let found = recovered(&disk);
        prop_assert!(keys(&found).len() <= whole);
        // Whoever opens it then finds the same again.
        let mut owner = Owner::new(&disk, 2, found.end, found.next_segment);
        owner.declare("next", b"");
        let again = recovered(&disk);
        prop_assert_eq!(keys(&again).len(), keys(&found).len() + 1);
        prop_assert_eq!(again.damage, found.damage);
    }
}

#[test]
fn groups_of_a_writer_that_was_never_synced_say_nothing_of_safety() {
    let completed = Completed { number: 1, durable: Position::NONE };
    let mut writer = Writer::new(SimDisk::new(1), OPTIONS, Position::NONE, 1);
    let group = Group { number: 1, end: Position::new(1, 99), ..Group::default() };
    assert_eq!(writer.run(&group).unwrap(), completed);
}
