//! What the directory of a log is held by.

use super::*;

/// Descriptors of this process that lead to this file.
fn held(path: &Path) -> usize {
    let links =
        fs::read_dir("/proc/self/fd").unwrap().filter_map(|link| fs::read_link(link.unwrap().path()).ok());
    links.filter(|target| target.starts_with(path)).count()
}

#[test]
fn the_directory_is_synced_without_being_opened_again() {
    let data = tempfile::tempdir().unwrap();
    let (before, after) = (data.path().join("before"), data.path().join("after"));
    fs::create_dir(&before).unwrap();
    let mut disk = FileDisk::new(&before).unwrap();
    fs::rename(&before, &after).unwrap();
    disk.sync_dir().unwrap();
}

#[test]
fn a_file_that_was_closed_holds_no_space() {
    let data = tempfile::tempdir().unwrap();
    let (mut writes, mut reads) = (FileDisk::new(data.path()).unwrap(), FileDisk::new(data.path()).unwrap());
    let name = FileName::Segment(1);
    writes.create(name, 4096).unwrap();
    reads.read_at(name, 0, &mut [0]).unwrap();
    let path = data.path().join(name.to_string());
    assert_eq!(held(&path), 2);
    reads.close(name);
    writes.remove(name).unwrap();
    assert_eq!(held(&path), 0);
}
