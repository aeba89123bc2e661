//! The log of a virtual host in tests: on a disk that is simulated, with the hands that write and read it.

use std::{path::Path, sync::Arc};

use crate::{
    access::Access,
    log::{
        appender::Options,
        frame::Checksums,
        identity::LogId,
        open::{Opened, open_disk},
        reader::{Wanted, read_run, scan_segment},
        tests::sim_disk::SimDisk,
        writer::Writer,
    },
    vhost::{Load, Loaded, Missing, Purpose, Scanned, Vhost, VhostLimits},
};

/// What one scan of a segment brings.
const SCAN_MESSAGES: usize = 4;

/// The log.
pub(super) struct OnDisk {
    pub(super) disk: SimDisk,
    pub(super) writer: Writer<SimDisk>,
    pub(super) log: LogId,
    sums: Checksums,
}

impl OnDisk {
    /// Opens what is on the disk, and the virtual host that it holds; or says why the disk does not let it.
    pub(super) fn open(
        disk: &SimDisk,
        segment_bytes: u32,
        limits: VhostLimits,
        now_ms: u64,
    ) -> Result<(Vhost, Self), String> {
        let options = Options { segment_bytes, free_bytes_min: 0 };
        let opened = open_disk(disk.clone(), Path::new("sim"), "/", LogId::from_bytes([9; 16]), options);
        let Opened { identity, recovered, appender, writer, sums } =
            opened.map_err(|error| error.to_string())?;
        let access = Arc::new(Access::initial([1, 2, 3, 4]));
        let vhost =
            Vhost::recover("/", recovered.state, appender, access, limits, now_ms).expect("it is built");
        Ok((vhost, Self { disk: disk.clone(), writer, log: identity.log, sums }))
    }

    /// Reads what the virtual host has asked for.
    pub(super) fn read(&mut self, vhost: &mut Vhost, load: &Load, now_ms: u64) {
        let Load { want, places } = load;
        if let Purpose::Compaction(segment, from) = want.purpose {
            let scanned = self.scan(segment, from);
            return vhost.scanned(&scanned, now_ms);
        }
        let wanted: Vec<Wanted> = places
            .iter()
            .map(|(seq, slot)| Wanted { seq: *seq, position: slot.position, size: slot.size })
            .collect();
        let mut loaded = Vec::new();
        read_run(self.writer.disk(), self.sums, &wanted, |seq, read| {
            let message = read.map(|stored| Loaded::restore(&stored)).map_err(Missing::from);
            loaded.push(Loaded { seq, message });
        });
        vhost.loaded(want, loaded, now_ms);
    }

    fn scan(&mut self, segment: u32, from: u32) -> Scanned {
        let mut scanned = Scanned { messages: Vec::new(), next: None, failed: false };
        let read = scan_segment(self.writer.disk(), self.sums, segment, from, |position, end, message| {
            scanned.messages.push((position, message));
            let full = scanned.messages.len() >= SCAN_MESSAGES;
            scanned.next = full.then_some(end);
            !full
        });
        if read.is_err() {
            (scanned.next, scanned.failed) = (None, true);
        }
        scanned
    }
}
