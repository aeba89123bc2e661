//! What the simulation does, and how often.

use proptest::prelude::*;

use super::QUEUES;

/// What a client of the log may do next.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// To these queues (bits), with a body of so many bytes.
    Publish {
        queues: u8,
        bytes: usize,
        transient: bool,
    },
    /// The n-th live message of a queue.
    Settle {
        queue: u32,
        nth: usize,
    },
    /// From one queue to another, all or nothing.
    DeadLetter {
        from: u32,
        to: u32,
        nth: usize,
    },
    Deliver {
        queue: u32,
    },
    Return {
        queue: u32,
        nth: usize,
        count: u32,
    },
    Purge {
        queue: u32,
    },
    Declare {
        key: u8,
        value: Option<u8>,
    },
    Group,
    /// Later: what waits is due.
    Wait,
    Prepare,
    Checkpoint,
    Reclaim,
    Compact,
    Full {
        room_segments: u8,
    },
    Room,
    FailSync,
    Kill,
    Crash,
    /// Again while the log is being opened.
    CrashTwice {
        steps: u64,
    },
    Close,
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let queue = 0..QUEUES;
    prop_oneof![
        12 => (1_u8..8, prop_oneof![0_usize..200, 0_usize..3000, 16_000_usize..18_000], prop::bool::weighted(0.15))
            .prop_map(|(queues, bytes, transient)| Op::Publish { queues, bytes, transient }),
        8 => (queue.clone(), 0_usize..6).prop_map(|(queue, nth)| Op::Settle { queue, nth }),
        3 => (queue.clone(), queue.clone(), 0_usize..3).prop_map(|(from, to, nth)| Op::DeadLetter { from, to, nth }),
        2 => queue.clone().prop_map(|queue| Op::Deliver { queue }),
        1 => (queue.clone(), 0_usize..3, 0_u32..5).prop_map(|(queue, nth, count)| Op::Return { queue, nth, count }),
        1 => queue.prop_map(|queue| Op::Purge { queue }),
        2 => (0_u8..4, prop::option::of(any::<u8>())).prop_map(|(key, value)| Op::Declare { key, value }),
        8 => Just(Op::Group),
        2 => Just(Op::Wait),
        2 => Just(Op::Prepare),
        2 => Just(Op::Checkpoint),
        2 => Just(Op::Reclaim),
        1 => Just(Op::Compact),
        1 => (0_u8..3).prop_map(|room_segments| Op::Full { room_segments }),
        1 => Just(Op::Room),
        1 => Just(Op::FailSync),
        1 => Just(Op::Kill),
        1 => Just(Op::Crash),
        1 => (0_u64..14).prop_map(|steps| Op::CrashTwice { steps }),
        1 => Just(Op::Close),
    ]
}
