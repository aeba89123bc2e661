//! The thread of a virtual host that reads messages back from the log, so that nobody waits for a disk who need not.

use std::{
    io,
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::host::Command;
use crate::{
    log::{
        disk::FileDisk,
        frame::Checksums,
        reader::{StoredMessage, Wanted, read_run},
        record::MessageFlags,
    },
    message::{Message, Parts, Traits},
    vhost::{Load, Loaded},
};

/// Reads that wait; the virtual host keeps what does not fit.
pub(super) const READS_MAX: usize = 64;

/// Starts the thread. It ends when the sender is dropped.
pub(super) fn spawn(
    name: &str,
    directory: &Path,
    sums: Checksums,
    done: mpsc::Sender<Command>,
) -> io::Result<(SyncSender<Load>, JoinHandle<()>)> {
    let (sender, loads) = sync_channel(READS_MAX);
    let disk = FileDisk::new(directory);
    let thread = std::thread::Builder::new().name(format!("weft-read-{name}"));
    let handle = thread.spawn(move || run(disk, sums, &loads, &done))?;
    Ok((sender, handle))
}

fn run(mut disk: FileDisk, sums: Checksums, loads: &Receiver<Load>, done: &mpsc::Sender<Command>) {
    while let Ok(Load { want, places }) = loads.recv() {
        let wanted: Vec<Wanted> = places
            .iter()
            .map(|(seq, slot)| Wanted { seq: *seq, position: slot.position, size: slot.size })
            .collect();
        let mut loaded = Vec::with_capacity(wanted.len());
        read_run(&mut disk, sums, &wanted, |seq, read| {
            let message = match read {
                Ok(stored) => Some(restore(&stored)),
                Err(error) => {
                    tracing::error!(%error, seq, "a message cannot be read back");
                    None
                }
            };
            loaded.push(Loaded { seq, message });
        });
        if done.blocking_send(Command::Loaded(want, loaded)).is_err() {
            return;
        }
    }
}

fn restore(stored: &StoredMessage) -> (std::sync::Arc<Message>, u64) {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let (exchange, routing_key) = (text(&stored.exchange), text(&stored.routing_key));
    let parts = Parts { exchange: &exchange, routing_key: &routing_key, properties: &stored.properties };
    let persistent = stored.flags.contains(MessageFlags::PERSISTENT);
    let traits = Traits { persistent, priority: stored.priority, expiration_ms: None };
    (Message::new(parts, stored.body.clone(), traits, stored.published_at_ms), stored.expires_at_ms)
}
