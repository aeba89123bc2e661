//! The index against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Insert(u64),
    Settle(u64),
    NextLive(u64),
    Aux(u64, u32),
}

fn op() -> impl Strategy<Value = Op> {
    // A few chunks, and now and then one far away.
    let seq = prop_oneof![20 => 0_u64..1200, 1 => 50_000_u64..50_500];
    prop_oneof![
        4 => seq.clone().prop_map(Op::Insert),
        4 => seq.clone().prop_map(Op::Settle),
        1 => seq.clone().prop_map(Op::NextLive),
        1 => (seq, any::<u32>()).prop_map(|(seq, aux)| Op::Aux(seq, aux)),
    ]
}

fn slot(seq: u64, age: usize) -> Slot {
    let size = u32::try_from(seq % 97).unwrap();
    Slot { position: Position::new(1, u32::try_from(age + 1).unwrap()), size, aux: Aux::default() }
}

proptest! {
    #[test]
    fn it_holds_what_a_map_holds(ops in prop::collection::vec(op(), 0..400), snapshot_at in 0_usize..400) {
        let mut index = QueueIndex::default();
        let mut model = BTreeMap::new();
        let mut snapshot = None;
        for (age, op) in ops.into_iter().enumerate() {
            if age == snapshot_at {
                snapshot = Some((index.clone(), model.clone()));
            }
            match op {
                Op::Insert(seq) => prop_assert_eq!(index.insert(seq, slot(seq, age)), model.insert(seq, slot(seq, age))),
                Op::Settle(seq) => prop_assert_eq!(index.settle(seq), model.remove(&seq)),
                Op::NextLive(seq) => {
                    let next = model.range(seq..).next().map(|(seq, slot)| (*seq, *slot));
                    prop_assert_eq!(index.next_live(seq), next);
                }
                Op::Aux(seq, aux) => {
                    index.set_aux(seq, Aux(aux));
                    if let Some(slot) = model.get_mut(&seq) {
                        slot.aux = Aux(aux);
                    }
                }
            }
            prop_assert_eq!(index.len(), model.len() as u64);
            prop_assert_eq!(index.bytes(), model.values().map(|slot| u64::from(slot.size)).sum::<u64>());
        }
        prop_assert!(index.iter().eq(model.iter().map(|(seq, slot)| (*seq, *slot))));
        if let Some((index, model)) = snapshot {
            prop_assert!(index.iter().eq(model.into_iter()), "a clone does not see what came later");
        }
    }
}

#[test]
fn chunks_of_messages_that_are_gone_are_freed() {
    let mut index = QueueIndex::default();
    for seq in 0..10_000 {
        index.insert(seq, slot(seq, 1));
    }
    for seq in 0..9_999 {
        index.settle(seq);
    }
    assert_eq!(index.chunks.len(), 1);
    assert_eq!(index.next_live(0).map(|(seq, _)| seq), Some(9_999));
}

#[test]
fn chunks_in_the_middle_are_freed_as_well() {
    let mut index = QueueIndex::default();
    for seq in 0..10_000 {
        index.insert(seq, slot(seq, 1));
    }
    for seq in 1..9_999 {
        index.settle(seq);
    }
    assert_eq!(index.chunks.iter().flatten().count(), 2);
    assert_eq!(index.next_live(1).map(|(seq, _)| seq), Some(9_999));
}

#[test]
fn a_message_in_and_out_again_and_again_keeps_one_small_chunk() {
    let mut index = QueueIndex::default();
    for seq in 0..100_000 {
        index.insert(seq, slot(seq, 1));
        index.settle(seq);
    }
    assert_eq!(index.chunks.len(), 1);
    let chunk = index.chunks[0].as_ref().unwrap();
    assert!(chunk.slots.capacity() <= KEPT_SLOTS_MAX);
}

#[test]
fn five_million_messages_take_less_than_a_hundred_megabytes() {
    assert_eq!(size_of::<Slot>(), 16);
    let mut index = QueueIndex::default();
    for seq in 0..5_000_000 {
        index.insert(seq, slot(seq, 1));
    }
    let slots: usize =
        index.chunks.iter().flatten().map(|chunk| chunk.slots.capacity() * size_of::<Slot>()).sum();
    let around = index.chunks.len() * (size_of::<Chunk>() + 3 * size_of::<usize>());
    assert!(slots + around < 100_000_000, "{slots} + {around}");
}
