//! A full disk, a sync that fails, and the thread.

use std::sync::mpsc::sync_channel;

use nix::errno::Errno;

use super::{
    thread::{Completion, Job, spawn},
    *,
};
use crate::log::{
    appender::{Appender, Options},
    checkpoint::{Checkpoint, CheckpointWriter},
    identity::LogId,
    record::Record,
    recovery::recover,
    tests::sim_disk::SimDisk,
};

const SEGMENT_BYTES: u32 = 4 << 10;

fn log() -> LogId {
    LogId::from_bytes([3; 16])
}

fn owner(disk: &SimDisk) -> (Appender, Writer<SimDisk>) {
    let options = Options { segment_bytes: SEGMENT_BYTES, free_bytes_min: 0 };
    let appender = Appender::new(log(), 1, Position::NONE, 1, options);
    (appender, Writer::new(disk.clone(), options, Position::NONE, 1))
}

fn group(appender: &mut Appender, records: usize) -> Group {
    for _ in 0..records {
        let key = format!("{}", appender.end());
        appender.append(&Record::Topology { key: &key, value: Some(&[7; 100]) }, 0).unwrap();
    }
    appender.take_group(0).unwrap()
}

#[test]
fn a_group_that_a_full_disk_refused_is_written_whole_when_there_is_room() {
    let mut disk = SimDisk::new(1);
    let (mut appender, mut writer) = owner(&disk);
    writer.run(&group(&mut appender, 1)).unwrap();
    disk.set_room(Some(SEGMENT_BYTES.into()));
    let large = group(&mut appender, 60);
    assert!(large.writes.len() > 1, "it rolls");
    for _ in 0..3 {
        assert!(matches!(writer.run(&large), Err(WriteError::Full)));
    }
    disk.set_room(None);
    let completed = writer.run(&large).unwrap();
    assert_eq!(completed.durable, large.end);
    disk.crash();
    let found = recover(&mut disk, &log()).unwrap();
    assert_eq!((found.state.topology.len(), found.damage.len()), (61, 0));
}

#[test]
fn zeros_are_left_out_where_a_sync_carries_much_and_nothing_is_lost() {
    let mut disk = SimDisk::new(1);
    let options = Options { segment_bytes: 4 << 20, free_bytes_min: 0 };
    let mut appender = Appender::new(log(), 1, Position::NONE, 1, options);
    let mut writer = Writer::new(disk.clone(), options, Position::NONE, 1);
    writer.run(&group(&mut appender, 1)).unwrap();
    assert!(!writer.prepare_step().unwrap(), "a piece of zeros, the first of four");
    let records = (0..16).map(|_| writer.run(&group(&mut appender, 100)).unwrap()).count() * 100 + 1;
    assert!(writer.prepare_step().unwrap());
    while appender.segment() == 1 {
        writer.run(&group(&mut appender, 100)).unwrap();
    }
    let last = group(&mut appender, 100);
    let completed = writer.run(&last).unwrap();
    assert_eq!(completed.durable, last.end);
    disk.crash();
    let found = recover(&mut disk, &log()).unwrap();
    assert!(found.state.topology.len() > records && found.damage.is_empty());
    while writer.sync_bytes >= ZEROS_PAY_BELOW {
        writer.run(&group(&mut appender, 1)).unwrap();
    }
    assert!(!writer.prepare_step().unwrap(), "zeros again");
}

#[test]
fn a_group_over_three_segments_may_meet_a_full_disk_in_each_of_them() {
    for room in (4000..20_000).step_by(500) {
        let mut disk = SimDisk::new(room);
        let (mut appender, mut writer) = owner(&disk);
        writer.run(&group(&mut appender, 1)).unwrap();
        disk.set_room(Some(room));
        let large = group(&mut appender, 100);
        assert!(large.writes.len() > 2);
        if matches!(writer.run(&large), Err(WriteError::Full)) {
            disk.set_room(None);
            writer.run(&large).unwrap();
        }
        disk.crash();
        assert_eq!(recover(&mut disk, &log()).unwrap().state.topology.len(), 101);
    }
}

#[test]
fn a_full_disk_is_seen_before_the_segment_is_full() {
    let disk = SimDisk::new(1);
    let (mut appender, mut writer) = owner(&disk);
    writer.run(&group(&mut appender, 1)).unwrap();
    disk.set_room(Some(SEGMENT_BYTES.into()));
    assert!(matches!(writer.prepare_step(), Err(WriteError::Full)));
    writer.run(&group(&mut appender, 1)).unwrap();
    disk.set_room(None);
    assert!(!writer.is_next_ready());
    assert!(writer.prepare_step().unwrap());
    assert!(writer.is_next_ready());
}

#[test]
fn what_is_to_stay_free_is_not_used_ahead_of_need() {
    let disk = SimDisk::new(1);
    disk.set_room(Some(u64::from(SEGMENT_BYTES) * 3));
    let options = Options { segment_bytes: SEGMENT_BYTES, free_bytes_min: SEGMENT_BYTES.into() };
    let mut appender = Appender::new(log(), 1, Position::NONE, 1, options);
    let mut writer = Writer::new(disk, options, Position::NONE, 1);
    assert!(writer.prepare_step().unwrap(), "the first one, before anything is written");
    writer.run(&group(&mut appender, 1)).unwrap();
    assert!(writer.prepare_step().unwrap());
    writer.run(&group(&mut appender, 40)).unwrap();
    assert!(matches!(writer.prepare_step(), Err(WriteError::Full)));
    writer.run(&group(&mut appender, 40)).unwrap();
}

#[test]
fn little_room_serves_for_little() {
    let disk = SimDisk::new(1);
    let (mut appender, mut writer) = owner(&disk);
    writer.run(&group(&mut appender, 20)).unwrap();
    disk.set_room(Some(u64::from(SEGMENT_BYTES) + 2000));
    let completed = writer.run(&group(&mut appender, 15)).unwrap();
    assert_eq!(completed.durable.segment(), 2);
    assert!(matches!(writer.run(&group(&mut appender, 15)), Err(WriteError::Full)));
}

#[test]
fn after_a_failed_sync_nothing_is_written_and_nothing_synced_again() {
    let disk = SimDisk::new(1);
    let (mut appender, mut writer) = owner(&disk);
    writer.run(&group(&mut appender, 1)).unwrap();
    disk.fail_next_sync();
    let second = group(&mut appender, 1);
    assert!(matches!(writer.run(&second), Err(WriteError::Failed { operation: "syncing", .. })));
    let steps = disk.steps();
    assert!(matches!(writer.run(&second), Err(WriteError::Poisoned)));
    assert!(matches!(writer.prepare_step(), Err(WriteError::Poisoned)));
    assert!(matches!(writer.sync(), Err(WriteError::Poisoned)));
    assert_eq!(disk.steps(), steps);
}

#[test]
fn what_the_system_is_short_of_for_a_moment_is_asked_for_again() {
    for error in [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::EINTR] {
        let mut disk = SimDisk::new(1);
        let (mut appender, mut writer) = owner(&disk);
        let (first, second) = (group(&mut appender, 1), group(&mut appender, 60));
        for group in [&first, &second] {
            disk.refuse_after(0, error);
            let refused = writer.run(group);
            assert!(matches!(refused, Err(WriteError::Short { .. })), "{error}: {refused:?}");
            writer.run(group).unwrap();
        }
        disk.refuse_after(0, error);
        assert!(matches!(writer.prepare_step(), Err(WriteError::Short { .. })), "{error}");
        assert!(writer.prepare_step().unwrap());
        disk.crash();
        assert_eq!(recover(&mut disk, &log()).unwrap().state.topology.len(), 61);
    }
}

#[test]
fn a_sync_that_was_not_tried_is_tried_again_and_one_that_failed_is_not() {
    for (error, tried) in
        [(Errno::EMFILE, false), (Errno::ENFILE, false), (Errno::ENOMEM, true), (Errno::EINTR, true)]
    {
        let disk = SimDisk::new(1);
        let (mut appender, mut writer) = owner(&disk);
        writer.run(&group(&mut appender, 1)).unwrap();
        let next = group(&mut appender, 1);
        disk.refuse_after(1, error);
        let refused = writer.run(&next).unwrap_err();
        assert_eq!(refused.may_pass(), !tried, "{refused}");
        assert_eq!(writer.run(&next).is_ok(), !tried, "{error}");
    }
}

#[test]
fn a_checkpoint_without_room_leaves_nothing_behind() {
    let disk = SimDisk::new(1);
    let (mut appender, mut writer) = owner(&disk);
    writer.run(&group(&mut appender, 30)).unwrap();
    while !writer.prepare_step().unwrap() {}
    let state = recover(&mut disk.clone(), &log()).unwrap().state;
    let (said, heard) = sync_channel(1000);
    let (jobs, thread) =
        spawn("/", writer, Box::new(move |completion| said.send(completion).unwrap())).unwrap();
    let used: usize = disk.names().into_iter().map(|name| disk.content(name).len()).sum();
    disk.set_room(Some(used as u64 + 10));
    let checkpoint = Checkpoint { state, replay_from: appender.end() };
    jobs.send(Job::Checkpoint(Box::new(CheckpointWriter::new(log(), checkpoint)))).unwrap();
    let failed = heard.iter().find(|completion| matches!(completion, Completion::CheckpointFailed(_)));
    assert!(failed.is_some());
    assert!(!disk.names().contains(&FileName::CheckpointNew));
    drop(jobs);
    thread.join().unwrap();
}

#[test]
fn a_record_larger_than_a_segment_has_one_of_its_own() {
    let mut disk = SimDisk::new(1);
    let (mut appender, mut writer) = owner(&disk);
    writer.run(&group(&mut appender, 1)).unwrap();
    writer.prepare_step().unwrap();
    appender.append(&Record::Topology { key: "large", value: Some(&[1; 20_000]) }, 0).unwrap();
    writer.run(&group(&mut appender, 1)).unwrap();
    let found = recover(&mut disk, &log()).unwrap();
    assert_eq!((found.state.topology.len(), found.damage.len()), (3, 0));
}

#[test]
fn the_thread_writes_in_order_holds_what_does_not_fit_and_ends_with_its_sender() {
    let disk = SimDisk::new(1);
    let (mut appender, writer) = owner(&disk);
    let (said, heard) = sync_channel(1000);
    let (jobs, thread) =
        spawn("/", writer, Box::new(move |completion| said.send(completion).unwrap())).unwrap();
    jobs.send(Job::Group(group(&mut appender, 1))).unwrap();
    let first = heard.recv().unwrap();
    assert!(matches!(first, Completion::Group(Completed { number: 1, .. })), "{first:?}");
    disk.set_room(Some(0));
    jobs.send(Job::Group(group(&mut appender, 100))).unwrap();
    jobs.send(Job::Group(group(&mut appender, 1))).unwrap();
    assert!(matches!(heard.recv().unwrap(), Completion::Full(WriteError::Full)));
    disk.set_room(None);
    let next: Vec<Completion> = (0..3).map(|_| heard.recv().unwrap()).collect();
    let numbers = next.iter().filter_map(|completion| match completion {
        Completion::Group(completed) => Some(completed.number),
        _ => None,
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [2, 3], "{next:?}");
    let state = recover(&mut disk.clone(), &log()).unwrap().state;
    let checkpoint = Checkpoint { state, replay_from: appender.end() };
    jobs.send(Job::Checkpoint(Box::new(CheckpointWriter::new(log(), checkpoint)))).unwrap();
    drop(jobs);
    thread.join().unwrap();
    let last = heard.iter().last().unwrap();
    assert!(matches!(last, Completion::Checkpoint(at) if at == appender.end()), "{last:?}");
    assert!(disk.names().contains(&FileName::Checkpoint));
}
