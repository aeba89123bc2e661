//! The thread of a virtual host that reads messages back from the log, so that nobody waits for a disk who need not.

use std::{
    io,
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use tokio::sync::mpsc;

use super::host::Command;
use crate::{
    log::{
        disk::{FileDisk, FileName},
        frame::Checksums,
        reader::{Wanted, read_run, scan_segment},
    },
    vhost::{Load, Loaded, Missing, Purpose, Scanned},
};

#[cfg(test)]
mod tests;

/// Reads that wait; the virtual host keeps what does not fit.
pub(super) const READS_MAX: usize = 64;

/// What the thread does, in the order in which it is asked.
#[derive(Debug)]
pub(super) enum Read {
    /// Reads messages.
    Load(Load),
    /// Closes segments that are to be removed: all that was asked of them before is read by then.
    Close(Vec<u32>),
}

/// Starts the thread. It ends when the sender is dropped.
pub(super) fn spawn(
    name: &str,
    directory: &Path,
    sums: Checksums,
    done: mpsc::Sender<Command>,
) -> io::Result<(SyncSender<Read>, JoinHandle<()>)> {
    let (sender, reads) = sync_channel(READS_MAX);
    let disk = FileDisk::new(directory)?;
    let thread = std::thread::Builder::new().name(format!("weft-read-{name}"));
    let handle = thread.spawn(move || run(disk, sums, &reads, &done))?;
    Ok((sender, handle))
}

fn run(mut disk: FileDisk, sums: Checksums, reads: &Receiver<Read>, done: &mpsc::Sender<Command>) {
    while let Ok(read) = reads.recv() {
        let Load { want, places } = match read {
            Read::Load(load) => load,
            Read::Close(segments) => {
                segments.iter().for_each(|segment| disk.close(FileName::Segment(*segment)));
                if done.blocking_send(Command::Closed(segments)).is_err() {
                    return;
                }
                continue;
            }
        };
        if let Purpose::Compaction(segment, from) = want.purpose {
            let scanned = scan(&mut disk, sums, segment, from);
            if done.blocking_send(Command::Scanned(scanned)).is_err() {
                return;
            }
            continue;
        }
        let wanted: Vec<Wanted> = places
            .iter()
            .map(|(seq, slot)| Wanted { seq: *seq, position: slot.position, size: slot.size })
            .collect();
        let mut loaded = Vec::with_capacity(wanted.len());
        read_run(&mut disk, sums, &wanted, |seq, read| {
            let message = read.map(|stored| Loaded::restore(&stored)).map_err(|error| {
                tracing::warn!(%error, seq, "a message cannot be read back now");
                Missing::from(error)
            });
            loaded.push(Loaded { seq, message });
        });
        if done.blocking_send(Command::Loaded(want, loaded)).is_err() {
            return;
        }
    }
}

/// Bytes of bodies that one step of compaction brings at most.
const SCAN_BYTES_MAX: usize = 1024 * 1024;

/// A piece of a segment, from a byte on. What cannot be read ends it: its messages stay where they are.
fn scan(disk: &mut FileDisk, sums: Checksums, segment: u32, from: u32) -> Scanned {
    let mut scanned = Scanned { messages: Vec::new(), next: None, failed: false };
    let mut bytes = 0;
    let read = scan_segment(disk, sums, segment, from, |position, end, message| {
        bytes += message.body.len() + message.properties.len();
        scanned.messages.push((position, message));
        let full = bytes >= SCAN_BYTES_MAX;
        scanned.next = full.then_some(end);
        !full
    });
    if let Err(error) = read {
        tracing::error!(%error, segment, "a segment cannot be read for compaction");
        (scanned.next, scanned.failed) = (None, true);
    }
    scanned
}
