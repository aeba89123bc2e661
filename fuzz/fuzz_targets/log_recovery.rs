//! A directory of the broker's log with anything in its files: recovery ends, keeps what can be believed, and what it kept
//! can be read or is refused. Checksums hold here, whatever they say, or nothing would ever get behind them.

#![no_main]

use std::{collections::BTreeMap, io};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weft_broker::log::{
    disk::{Disk, FileName},
    frame::Checksums,
    identity::LogId,
    reader::{Wanted, read_run},
    recovery::recover,
    segment::HEADER_BYTES,
};

/// Segments at most: what a fuzzer puts into more of them, it can put into these.
const SEGMENTS: u32 = 3;

fuzz_target!(|input: (&[u8], Vec<&[u8]>)| {
    let (checkpoint, segments) = input;
    let log = LogId::from_bytes([0; 16]);
    let mut disk = MemoryDisk::default();
    if !checkpoint.is_empty() {
        disk.files.insert(FileName::Checkpoint, checkpoint.to_vec());
    }
    for (number, records) in (1..=SEGMENTS).zip(segments) {
        disk.files.insert(FileName::Segment(number), segment(number, records));
    }
    let Ok(recovered) = recover(&mut disk, &log) else { return };
    for state in recovered.state.queues.values() {
        let wanted: Vec<_> = state
            .index
            .iter()
            .map(|(seq, slot)| Wanted { seq, position: slot.position, size: slot.size })
            .take(100)
            .collect();
        let mut told = 0;
        read_run(&mut disk, Checksums::new(&log), &wanted, |_, _| told += 1);
        assert_eq!(told, wanted.len(), "each message comes, or it is said why not");
    }
});

/// A head that is right in front of records that may be anything.
fn segment(number: u32, records: &[u8]) -> Vec<u8> {
    let mut bytes = b"WEFTSEG\n".to_vec();
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.resize(HEADER_BYTES as usize, 0);
    bytes.extend(records);
    bytes
}

/// Files in memory, which are only read.
#[derive(Default)]
struct MemoryDisk {
    files: BTreeMap<FileName, Vec<u8>>,
}

impl MemoryDisk {
    fn file(&self, name: FileName) -> io::Result<&Vec<u8>> {
        self.files.get(&name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for MemoryDisk {
    fn list(&mut self) -> io::Result<Vec<FileName>> {
        Ok(self.files.keys().copied().collect())
    }

    fn create(&mut self, _: FileName, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn write_at(&mut self, _: FileName, _: u64, _: &[Bytes]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn read_at(&mut self, name: FileName, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.file(name).ok()?.get(offset..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn len(&mut self, name: FileName) -> io::Result<u64> {
        self.file(name).map(|file| file.len() as u64)
    }

    fn sync_data(&mut self, _: FileName) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn rename(&mut self, _: FileName, _: FileName) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn remove(&mut self, name: FileName) -> io::Result<()> {
        self.files.remove(&name);
        Ok(())
    }

    fn truncate(&mut self, _: FileName, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn free_bytes(&mut self) -> io::Result<u64> {
        Ok(0)
    }
}
