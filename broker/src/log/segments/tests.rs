//! What may go, and when.

use super::*;

fn at(segment: u32, offset: u32) -> Position {
    Position::new(segment, offset)
}

#[test]
fn a_dead_segment_goes_when_two_checkpoints_are_behind_it() {
    let mut segments = Segments::default();
    segments.begin(1, 1000);
    segments.begin(2, 1000);
    segments.acquire(at(1, 64), 10, 2);
    segments.release(at(1, 64), 10);
    segments.checkpointed(at(2, 64));
    segments.checkpointed(at(2, 80));
    assert!(
        segments.take_reclaimable(at(2, 90), at(2, 91)).is_empty(),
        "one queue still holds a message in it"
    );
    segments.release(at(1, 64), 10);
    assert_eq!(segments.take_reclaimable(at(2, 90), at(2, 91)), [1]);
}

#[test]
fn a_dead_segment_waits_for_the_older_checkpoint() {
    let mut segments = Segments::default();
    segments.begin(1, 1000);
    segments.begin(2, 1000);
    segments.checkpointed(at(2, 64));
    assert!(segments.waits_for_checkpoint(2));
    assert!(segments.take_reclaimable(at(2, 90), at(2, 91)).is_empty());
    segments.checkpointed(at(2, 64));
    assert_eq!(segments.take_reclaimable(at(2, 90), at(2, 91)), [1]);
}

#[test]
fn a_dead_segment_waits_until_its_last_settlement_is_safe() {
    let mut segments = Segments::default();
    segments.begin(1, 1000);
    segments.checkpointed(at(2, 64));
    segments.checkpointed(at(2, 64));
    assert!(segments.take_reclaimable(at(2, 90), at(2, 89)).is_empty());
    assert!(segments.take_reclaimable(at(2, 80), at(2, 89)).is_empty(), "it was found to be empty before");
    assert_eq!(segments.take_reclaimable(at(2, 99), at(2, 90)), [1], "nothing more need be written");
}

#[test]
fn only_a_sparse_closed_segment_is_compacted_and_only_if_garbage_is_much() {
    let mut segments = Segments::default();
    for segment in 1..=3 {
        segments.begin(segment, 10_000);
        segments.acquire(at(segment, 64), 936, 1);
        for _ in 0..9 {
            segments.acquire(at(segment, 100), 936, 1);
        }
    }
    let dead = |segments: &mut Segments, segment, count| {
        (0..count).for_each(|_| segments.release(at(segment, 100), 936));
    };
    dead(&mut segments, 1, 7);
    let none = BTreeSet::new();
    assert_eq!(segments.compaction_candidate(3, Some(0), &none), None, "three in ten are live");
    dead(&mut segments, 2, 8);
    dead(&mut segments, 1, 1);
    dead(&mut segments, 2, 1);
    assert_eq!(segments.compaction_candidate(3, Some(0), &none), Some(2), "one in ten, before two in ten");
    assert_eq!(segments.compaction_candidate(3, Some(0), &[2].into()), Some(1), "it is passed over");
    assert_eq!(segments.compaction_candidate(2, Some(0), &none), Some(1), "the active one is not touched");
    assert_eq!(segments.compaction_candidate(3, Some(GARBAGE_BYTES_MIN), &none), None, "garbage is little");
    assert_eq!(segments.compaction_candidate(3, None, &none), Some(2), "however little");
}
