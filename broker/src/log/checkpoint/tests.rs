//! A checkpoint comes back whole, or the one before it does.

use proptest::prelude::*;

use super::*;
use crate::log::{
    index::{Aux, Slot},
    recovery::recover,
    state::{QueueState, Returned, SLOT_TRANSIENT},
    tests::sim_disk::SimDisk,
};

fn log() -> LogId {
    LogId::from_bytes([8; 16])
}

fn write(disk: &SimDisk, checkpoint: Checkpoint) {
    let mut writer = CheckpointWriter::new(log(), checkpoint);
    let mut disk = disk.clone();
    while !writer.step(&mut disk).unwrap() {}
    writer.finish(&mut disk).unwrap();
}

fn state(queues: &[(u32, u64, Vec<u64>)]) -> State {
    let mut state = State { queue_numbers_used: 77, ..State::default() };
    state.topology.insert("exchange/a".into(), Bytes::from_static(b"{}"));
    for (number, next_seq, gaps) in queues {
        state.queues.insert(*number, QueueState { delivered_up_to: 3, ..QueueState::default() });
        let mut seq = 0;
        for (at, gap) in (1_u32..).zip(gaps) {
            seq += gap + 1;
            let position = Position::new(at % 5 + 1, at * 7919 % 60_000);
            state.insert(*number, seq, Slot { position, size: at % 300, aux: Aux::new(1, 2, 3) });
        }
        let queue = state.queues.get_mut(number).unwrap();
        queue.next_seq = queue.next_seq.max(*next_seq);
        if seq > 0 {
            queue.returned.insert(seq, Returned { count: 3, note: Bytes::from_static(b"x-death") });
        }
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_state_comes_back(
        queues in prop::collection::vec((any::<u32>(), any::<u32>(), prop::collection::vec(0_u64..600, 0..700)), 0..5),
    ) {
        let queues: Vec<_> = queues.into_iter().map(|(id, next, gaps)| (id, u64::from(next), gaps)).collect();
        let state = state(&queues);
        let mut disk = SimDisk::new(1);
        let replay_from = Position::new(6, 99);
        write(&disk, Checkpoint { state: state.clone(), replay_from });
        let found = load(&mut disk, FileName::Checkpoint, &log()).unwrap();
        prop_assert_eq!(found.replay_from, replay_from);
        prop_assert_eq!(&found.state.topology, &state.topology);
        prop_assert_eq!(&found.state.segments, &state.segments);
        prop_assert_eq!(found.state.queue_numbers_used, state.queue_numbers_used);
        prop_assert_eq!(found.state.queues.len(), state.queues.len());
        for (number, queue) in &state.queues {
            let other = &found.state.queues[number];
            prop_assert!(queue.index.iter().eq(other.index.iter()));
            prop_assert_eq!(queue.next_seq, other.next_seq);
            prop_assert_eq!(queue.delivered_up_to, other.delivered_up_to);
            prop_assert_eq!(&queue.returned, &other.returned);
        }
    }
}

#[test]
fn a_changed_bit_anywhere_is_seen() {
    let disk = SimDisk::new(1);
    write(&disk, Checkpoint { state: state(&[(1, 1, vec![0; 40])]), replay_from: Position::NONE });
    let whole = disk.content(FileName::Checkpoint);
    for at in 0..whole.len() {
        let other = disk.fork();
        other.damage(FileName::Checkpoint, at, 1);
        assert!(load(&mut other.clone(), FileName::Checkpoint, &log()).is_err(), "byte {at}");
        let mut cut = whole.clone();
        cut.truncate(at);
        other.set_content(FileName::Checkpoint, cut);
        assert!(load(&mut other.clone(), FileName::Checkpoint, &log()).is_err(), "cut at {at}");
    }
}

#[test]
fn the_one_before_serves_when_the_last_is_damaged() {
    let mut disk = SimDisk::new(1);
    write(&disk, Checkpoint { state: state(&[]), replay_from: Position::NONE });
    write(&disk, Checkpoint::default());
    disk.damage(FileName::Checkpoint, 20, 1);
    let found = recover(&mut disk, &log()).unwrap();
    assert!(found.state.topology.contains_key("exchange/a"));
    assert!(matches!(found.damage[..], [damage] if damage.name == FileName::Checkpoint));
}

#[test]
fn messages_that_do_not_outlive_a_restart_are_left_out() {
    let mut state = State::default();
    let slot = |flags| Slot { position: Position::new(1, 64), size: 1, aux: Aux::new(flags, 0, 0) };
    state.insert(1, 1, slot(0));
    state.insert(1, 2, slot(SLOT_TRANSIENT));
    let mut disk = SimDisk::new(1);
    write(&disk, Checkpoint { state, replay_from: Position::NONE });
    let found = load(&mut disk, FileName::Checkpoint, &log()).unwrap().state;
    assert_eq!((found.queues[&1].index.len(), found.queues[&1].next_seq), (1, 3));
    assert_eq!(found.segments.segment(1).unwrap().refs, 1);
}

#[test]
fn references_into_a_segment_that_is_missing_are_damage_and_no_messages() {
    let mut disk = SimDisk::new(1);
    write(&disk, Checkpoint { state: state(&[(1, 1, vec![0; 40])]), replay_from: Position::NONE });
    let found = recover(&mut disk, &log()).unwrap();
    assert_eq!(found.damage.len(), 5);
    assert!(found.state.queues[&1].index.is_empty());
}

#[test]
fn a_later_format_is_refused_by_name() {
    let mut disk = SimDisk::new(1);
    write(&disk, Checkpoint::default());
    let mut content = disk.content(FileName::Checkpoint);
    content[8] = 9;
    disk.set_content(FileName::Checkpoint, content);
    let error = recover(&mut disk, &log()).unwrap_err().to_string();
    assert!(error.contains("checkpoint has format 9"), "{error}");
}
