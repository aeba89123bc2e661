//! A log seen from outside, without opening it: what `weft queues inspect` prints. It reads, takes no lock, writes
//! nothing.

use std::path::Path;

use super::{
    disk::{FileDisk, FileName, read_start},
    frame::Checksums,
    identity::{Identity, IdentityError},
    open::IDENTITY_BYTES_MAX,
    position::Position,
    record::Record,
    recovery::{RecoverError, Recovered, recover, survey::Segment, walk::Walk},
    segment::HEADER_BYTES,
};

/// Why it cannot be seen.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// No log, or not to be read.
    #[error("this is no readable log: {0}")]
    NoLog(std::io::Error),
    /// Its identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its files.
    #[error(transparent)]
    Recover(#[from] RecoverError),
}

/// A log on disk.
#[derive(Debug)]
pub struct Inspection {
    disk: FileDisk,
    /// Who it is.
    pub identity: Identity,
    /// What opening it would find.
    pub recovered: Recovered,
    /// Segments that count.
    pub segments: Vec<Segment>,
}

/// One queue in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSummary {
    /// Its number; the topology has its name.
    pub queue: u32,
    /// Messages in it.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// How many of them may have been delivered.
    pub delivered: u64,
    /// The first and the last sequence number.
    pub seqs: Option<(u64, u64)>,
}

/// Reads a log's directory.
///
/// # Errors
/// If it is none, of a later format, or cannot be read.
pub fn inspect(directory: &Path) -> Result<Inspection, InspectError> {
    let mut disk = FileDisk::new(directory).map_err(InspectError::NoLog)?;
    let text = read_start(&mut disk, FileName::Identity, IDENTITY_BYTES_MAX).map_err(InspectError::NoLog)?;
    let identity = Identity::decode(&String::from_utf8_lossy(&text))?;
    let recovered = recover(&mut disk, &identity.log)?;
    let segments = recovered.segments.clone();
    Ok(Inspection { disk, identity, recovered, segments })
}

impl Inspection {
    /// Each queue in short.
    pub fn queues(&self) -> impl Iterator<Item = QueueSummary> + '_ {
        self.recovered.state.queues.iter().map(|(queue, state)| {
            let first = state.index.next_live(0).map(|(seq, _)| seq);
            let seqs = || state.index.iter().map(|(seq, _)| seq);
            let delivered = seqs().take_while(|seq| *seq <= state.delivered_up_to).count() as u64;
            QueueSummary {
                queue: *queue,
                messages: state.index.len(),
                bytes: state.index.bytes(),
                delivered,
                seqs: first.zip(seqs().last()),
            }
        })
    }

    /// Every record of a segment that can be read, with its position and size.
    ///
    /// # Errors
    /// If the segment cannot be read.
    pub fn records(
        &mut self,
        segment: &Segment,
        mut each: impl FnMut(Position, usize, &Record<'_>),
    ) -> Result<(), RecoverError> {
        let bytes = segment.limit.map_or(segment.bytes, u64::from);
        let sums = Checksums::new(&self.identity.log);
        let mut walk = Walk::new(&mut self.disk, segment.number, bytes, sums);
        walk.each_record(HEADER_BYTES, |offset, frame| {
            if let Ok(record) = Record::decode(frame.kind, frame.payload) {
                each(Position::new(segment.number, offset), frame.bytes, &record);
            }
            true
        })
    }
}
