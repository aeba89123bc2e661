//! What the thread holds open.

use std::path::PathBuf;

use super::*;
use crate::{
    exchange::QueueId,
    log::{
        disk::Disk,
        identity::LogId,
        index::{Aux, Slot},
        position::Position,
    },
    vhost::Want,
};

/// A segment, and a read of it.
fn segment(directory: &Path) -> (PathBuf, Load) {
    let name = FileName::Segment(1);
    FileDisk::new(directory).unwrap().create(name, 4096).unwrap();
    let slot = Slot { position: Position::new(1, 64), size: 10, aux: Aux::default() };
    let want = Want::new(QueueId(1), 1, Purpose::Dead(1));
    (directory.join(name.to_string()), Load { want, places: vec![(1, slot)] })
}

fn is_open(path: &Path) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter_map(|link| std::fs::read_link(link.unwrap().path()).ok()).any(|target| target == path)
}

#[test]
fn a_segment_is_closed_before_it_is_removed_and_after_what_was_to_be_read_of_it() {
    let data = tempfile::tempdir().unwrap();
    let (path, load) = segment(data.path());
    let (tell, mut told) = mpsc::channel(10);
    let sums = Checksums::new(&LogId::from_bytes([1; 16]));
    let (reads, thread) = spawn("/", data.path(), sums, tell).unwrap();
    reads.send(Read::Load(load)).unwrap();
    assert!(matches!(told.blocking_recv(), Some(Command::Loaded(..))));
    assert!(is_open(&path), "it is kept open");
    reads.send(Read::Close(vec![1])).unwrap();
    assert!(matches!(told.blocking_recv(), Some(Command::Closed(segments)) if segments == [1]));
    assert!(!is_open(&path));
    drop(reads);
    thread.join().unwrap();
}
