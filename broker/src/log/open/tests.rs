//! A log on a real file system.

use super::*;
use crate::log::{inspect::inspect, record::Record, tests::sim_disk::SimDisk};

fn options() -> Options {
    Options { segment_bytes: 256 << 10, free_bytes_min: 0 }
}

fn declare(opened: &mut Opened<FileDisk>, key: &str) {
    opened.appender.append(&Record::Topology { key, value: Some(b"{}") }, 0).unwrap();
    let group = opened.appender.take_group(0).unwrap();
    opened.appender.completed(opened.writer.run(&group).unwrap());
}

#[test]
fn what_was_written_is_there_at_the_next_opening_under_the_next_number() {
    let data = tempfile::tempdir().unwrap();
    let (lock, mut opened) = open(data.path(), "/", options()).unwrap();
    assert_eq!(opened.identity.fencing, 1);
    declare(&mut opened, "exchange/orders");
    while !opened.writer.prepare_step().unwrap() {}
    let id = opened.identity.log;
    drop(lock);
    let (_lock, opened) = open(data.path(), "/", options()).unwrap();
    assert_eq!((opened.identity.log, opened.identity.fencing), (id, 2));
    assert!(opened.recovered.state.topology.contains_key("exchange/orders"));
    let files = fs::read_dir(data.path().join("mq/%2F")).unwrap();
    let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["00000001.seg", "identity", "lock"], "the prepared segment is gone");
}

#[test]
fn a_full_disk_keeps_nobody_from_opening() {
    let disk = SimDisk::new(1);
    let open = || open_disk(disk.clone(), Path::new("sim"), "/", LogId::from_bytes([1; 16]), options());
    let mut opened = open().unwrap();
    opened.appender.append(&Record::Topology { key: "a", value: Some(b"{}") }, 0).unwrap();
    opened.writer.run(&opened.appender.take_group(0).unwrap()).unwrap();
    while !opened.writer.prepare_step().unwrap() {}
    for left in [FileName::CheckpointNew, FileName::IdentityNew] {
        disk.clone().create(left, 10).unwrap();
    }
    // A torn end is not cut: that would make room.
    disk.damage(FileName::Segment(1), 100_000, 10);
    let used: usize = disk.names().into_iter().map(|name| disk.content(name).len()).sum();
    disk.set_room(Some(used as u64));
    let opened = open().unwrap();
    assert!(opened.recovered.torn && opened.recovered.state.topology.contains_key("a"));
    assert_eq!(disk.names(), [FileName::Segment(1), FileName::Identity]);
}

#[test]
fn a_second_owner_is_told_who_has_it() {
    let data = tempfile::tempdir().unwrap();
    let _held = open(data.path(), "a", options()).unwrap();
    let error = open(data.path(), "a", options()).unwrap_err().to_string();
    assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    open(data.path(), "b", options()).unwrap();
}

#[test]
fn a_log_without_its_identity_is_not_taken_for_a_new_one() {
    let data = tempfile::tempdir().unwrap();
    let (lock, mut opened) = open(data.path(), "/", options()).unwrap();
    declare(&mut opened, "a");
    drop(lock);
    fs::remove_file(data.path().join("mq/%2F/identity")).unwrap();
    let error = open(data.path(), "/", options()).unwrap_err();
    assert!(matches!(error, OpenError::IdentityMissing { .. }), "{error}");
}

#[test]
fn the_log_of_another_virtual_host_is_refused() {
    let data = tempfile::tempdir().unwrap();
    drop(open(data.path(), "a", options()).unwrap());
    fs::rename(data.path().join("mq/a"), data.path().join("mq/b")).unwrap();
    let error = open(data.path(), "b", options()).unwrap_err();
    assert!(matches!(error, OpenError::OtherVhost { .. }), "{error}");
}

#[test]
fn names_of_directories_are_safe_short_and_different() {
    assert_eq!(directory_name("/"), "%2F");
    assert_eq!(directory_name(".."), "%2E%2E");
    assert_eq!(directory_name("Größe_1"), "Gr%C3%B6%C3%9Fe_1");
    let (long, other) = ("é".repeat(127), format!("{}e", "é".repeat(126)));
    assert!(directory_name(&long).len() < 255);
    assert_ne!(directory_name(&long), directory_name(&other));
}

#[test]
fn it_can_be_looked_at_while_it_is_open() {
    let data = tempfile::tempdir().unwrap();
    let (_lock, mut opened) = open(data.path(), "/", options()).unwrap();
    declare(&mut opened, "a");
    declare(&mut opened, "b");
    let mut seen = inspect(&directory(data.path(), "/")).unwrap();
    assert_eq!(seen.identity, opened.identity);
    let segment = seen.segments[0];
    let mut kinds = Vec::new();
    seen.records(&segment, |at, bytes, record| kinds.push((at, bytes, record.kind()))).unwrap();
    assert_eq!(kinds.iter().map(|(_, _, kind)| *kind).collect::<Vec<_>>(), [10, 8, 10, 8]);
    assert!(
        kinds.windows(2).all(|pair| pair[0].0.offset() as usize + pair[0].1 == pair[1].0.offset() as usize)
    );
}
