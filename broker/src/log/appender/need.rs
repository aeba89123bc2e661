//! How soon a record must be safe. It knows no group.

use crate::log::record::{MessageFlags, Record};

/// How soon what was appended must be safe. The order matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// Never: a restart loses it anyway.
    Never,
    /// Within [`super::ACK_SYNC_MS_MAX`].
    Soon,
    /// With its group.
    Now,
}

/// That of a record.
pub(super) fn need(record: &Record<'_>) -> Need {
    match record {
        Record::Message(message) if message.flags.contains(MessageFlags::SPILLED_TRANSIENT) => Need::Never,
        Record::Message(message) if message.flags.contains(MessageFlags::PERSISTENT) => Need::Now,
        Record::Topology { .. } | Record::Forget { .. } | Record::Seal => Need::Now,
        Record::Mark { .. } | Record::ChainEnd => Need::Never,
        _ => Need::Soon,
    }
}
