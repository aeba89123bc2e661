//! A backlog that was drained but for a few messages gives its space back, though nobody publishes any more.

use std::{path::Path, sync::Arc};

use super::{World, harness::START_MS};
use crate::{
    access::Access,
    log::{
        appender::Options,
        checkpoint::CheckpointWriter,
        disk::FileName,
        frame::Checksums,
        identity::LogId,
        open::{Opened, open_disk},
        position::Position,
        reader::scan_segment,
        tests::sim_disk::SimDisk,
        writer::Writer,
    },
    vhost::{Blocked, Load, Purpose, Scanned, Vhost, VhostLimits},
};

const SEGMENT_BYTES: u32 = 16 << 10;
/// Of these, the broker is left with one in so many: at least one in each segment.
const MESSAGES: u64 = 100;
const KEPT_ONE_IN: u64 = 10;

/// A virtual host on a disk, whose shell does nothing but what it is asked for.
struct Rig {
    disk: SimDisk,
    writer: Writer<SimDisk>,
    sums: Checksums,
    log: LogId,
    world: World,
}

impl Rig {
    fn open(disk: &SimDisk, garbage_bytes_min: u64) -> Self {
        let options = Options { segment_bytes: SEGMENT_BYTES, free_bytes_min: 0 };
        let opened = open_disk(disk.clone(), Path::new("sim"), "/", LogId::from_bytes([9; 16]), options);
        let Opened { identity, recovered, appender, writer, sums } = opened.unwrap();
        let limits = VhostLimits { garbage_bytes_min, ..VhostLimits::default() };
        let access = Arc::new(Access::initial([1, 2, 3, 4]));
        let vhost = Vhost::recover("/", recovered.state, appender, access, limits, START_MS).unwrap();
        let world = World::around(vhost, START_MS);
        Self { disk: disk.clone(), writer, sums, log: identity.log, world }
    }

    /// A drained backlog, as it is found at the next start.
    fn drained(garbage_bytes_min: u64) -> Self {
        let disk = SimDisk::new(1);
        let mut rig = Self::open(&disk, garbage_bytes_min);
        let mut client = rig.world.client();
        client.declare("q", &[]);
        for _ in 0..MESSAGES {
            client.publish("", "q", &"x".repeat(1000));
        }
        client.consume("q", 0).go(&mut rig.world);
        rig.write();
        for tag in (1..=MESSAGES).filter(|tag| tag % KEPT_ONE_IN != 0) {
            client.ack(tag, false);
        }
        client.go(&mut rig.world);
        rig.world.pass(200);
        rig.write();
        drop(rig);
        disk.kill();
        Self::open(&disk, garbage_bytes_min)
    }

    fn write(&mut self) {
        while let Some(group) = self.world.vhost.take_group(self.world.now_ms) {
            let completed = self.writer.run(&group).unwrap();
            self.world.vhost.completed(completed, self.world.now_ms);
            self.world.turn();
        }
        let dead = self.world.vhost.take_reclaimable();
        self.writer.remove(&dead).unwrap();
    }

    fn scan(&mut self) {
        while let Some(Load { want, .. }) = self.world.loads.pop() {
            let Purpose::Compaction(segment, from) = want.purpose else { continue };
            let mut scanned = Scanned { messages: Vec::new(), next: None, failed: false };
            scan_segment(self.writer.disk(), self.sums, segment, from, |at: Position, end, message| {
                scanned.messages.push((at, message));
                scanned.next = Some(end);
                false
            })
            .unwrap();
            self.world.vhost.scanned(&scanned, self.world.now_ms);
            self.world.turn();
        }
    }

    fn checkpoint(&mut self) {
        let checkpoint = self.world.vhost.checkpoint().unwrap();
        let replay_from = checkpoint.replay_from;
        self.write();
        let mut writer = CheckpointWriter::new(self.log, checkpoint);
        while !writer.step(self.writer.disk()).unwrap() {}
        writer.finish(self.writer.disk()).unwrap();
        self.world.vhost.checkpointed(replay_from);
        self.world.turn();
    }

    /// Time passes, and what the virtual host asks for is done.
    fn idle(&mut self) {
        for _ in 0..500 {
            self.world.pass(1_000);
            self.scan();
            self.write();
            if self.world.vhost.wants_checkpoint() {
                self.checkpoint();
            }
            self.write();
        }
    }

    fn segments(&self) -> Vec<u32> {
        let number = |name| if let FileName::Segment(number) = name { Some(number) } else { None };
        self.disk.names().into_iter().filter_map(number).collect()
    }
}

#[test]
fn a_drained_backlog_gives_its_space_back_though_nobody_publishes() {
    let mut rig = Rig::drained(0);
    assert!(rig.segments().len() > 5, "{:?}", rig.segments());
    rig.idle();
    assert!(rig.segments().len() <= 2, "{:?}", rig.segments());
    assert!(!rig.world.vhost.wants_checkpoint(), "it comes to rest");
    let disk = rig.disk.clone();
    disk.kill();
    assert_eq!(Rig::open(&disk, 0).world.ready("q"), Some(MESSAGES / KEPT_ONE_IN));
}

#[test]
fn little_garbage_is_worth_it_where_the_disk_is_full() {
    let mut rig = Rig::drained(1 << 30);
    rig.idle();
    let before = rig.segments().len();
    assert!(before > 4, "{:?}", rig.segments());
    rig.world.vhost.set_blocked(Blocked::DiskFull, true);
    rig.idle();
    assert!(rig.segments().len() <= 2, "{:?}", rig.segments());
}

#[test]
fn a_message_that_cannot_be_moved_holds_up_no_other() {
    let mut rig = Rig::drained(0);
    let damaged = rig.segments()[1];
    rig.disk.damage(FileName::Segment(damaged), 64, SEGMENT_BYTES as usize - 64);
    rig.idle();
    assert!(rig.segments().contains(&damaged));
    assert!(rig.segments().len() <= 3, "{:?}", rig.segments());
}
