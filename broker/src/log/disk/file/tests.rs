//! What the directory of a log is held by, and that both ways into a file lead to the same bytes.

use proptest::prelude::*;

use super::*;
use crate::log::disk::direct::DIRECT_BYTES_MIN;

/// Descriptors of this process that lead to this file.
fn held(path: &Path) -> usize {
    let links =
        fs::read_dir("/proc/self/fd").unwrap().filter_map(|link| fs::read_link(link.unwrap().path()).ok());
    links.filter(|target| target.starts_with(path)).count()
}

/// A directory with one file of so many bytes set aside.
fn segment(bytes: u64) -> (tempfile::TempDir, FileDisk, FileName) {
    let data = tempfile::tempdir().unwrap();
    let mut disk = FileDisk::new(data.path()).unwrap();
    let name = FileName::Segment(1);
    disk.create(name, bytes).unwrap();
    (data, disk, name)
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

#[test]
fn pieces_are_written_one_after_the_other_however_many_there_are() {
    let (_data, mut disk, name) = segment(1 << 20);
    let pieces: Vec<_> = (0..2 * PIECES_MAX + 1)
        .map(|at| Bytes::from(vec![u8::try_from(at % 251).unwrap(); at % 97]))
        .collect();
    let whole: Vec<u8> = pieces.iter().flatten().copied().collect();
    disk.write_at(name, 5, &pieces).unwrap();
    let mut found = vec![1; whole.len() + 6];
    disk.read_at(name, 0, &mut found).unwrap();
    assert!(found.starts_with(&[0; 5]) && found.ends_with(&[0]));
    assert!(found.get(5..).unwrap().starts_with(&whole), "they differ");
    disk.write_at(name, 0, &[Bytes::new(), Bytes::new()]).unwrap();
}

#[test]
fn what_was_written_past_the_cache_holds_no_space_either() {
    let (data, mut disk, name) = segment(1 << 20);
    disk.write_past_cache(name, 7, &[vec![1; DIRECT_BYTES_MIN].into()]).unwrap();
    let path = data.path().join(name.to_string());
    let has_way = Direct::default().open(&path).is_some();
    assert_eq!(held(&path), 1 + usize::from(has_way));
    disk.remove(name).unwrap();
    assert_eq!(held(&path), 0);
}

#[test]
fn where_the_system_has_no_way_past_the_cache_it_is_asked_once() {
    let mut direct = Direct::default();
    assert!(direct.is_for(DIRECT_BYTES_MIN) && !direct.is_for(DIRECT_BYTES_MIN - 1));
    // A file system that has none.
    assert!(direct.open(Path::new("/proc/self/comm")).is_none());
    assert!(!direct.is_for(DIRECT_BYTES_MIN));
}

#[test]
fn what_cannot_be_opened_now_may_be_later() {
    let mut direct = Direct::default();
    assert!(direct.open(Path::new("/nowhere")).is_none());
    assert!(direct.is_for(DIRECT_BYTES_MIN));
}

#[test]
fn a_refusal_midway_is_told_and_no_other_error_is_one() {
    let data = tempfile::tempdir().unwrap();
    let cached = File::create(data.path().join("cached")).unwrap();
    let file = |path: &str| File::options().write(true).open(path).unwrap();
    let pieces = [Bytes::from(vec![1; 2 * DIRECT_BYTES_MIN])];
    // The one says EINVAL to what is no number.
    let (refuses, full) = (file("/proc/self/oom_score_adj"), file("/dev/full"));
    let mut direct = Direct::default();
    assert!(!direct.write(Doors { cached: &cached, direct: &refuses }, 1, &pieces).unwrap());
    assert!(!direct.is_for(DIRECT_BYTES_MIN));
    let mut direct = Direct::default();
    let full = direct.write(Doors { cached: &cached, direct: &full }, 1, &pieces).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert!(direct.is_for(DIRECT_BYTES_MIN));
}

/// Writes one after the other, each of some pieces, past the cache or not.
fn writes() -> impl Strategy<Value = Vec<(bool, Vec<usize>)>> {
    let pieces = prop::collection::vec(prop_oneof![0..300_usize, 4000..4200_usize, 0..40_000_usize], 0..6);
    prop::collection::vec((any::<bool>(), pieces), 1..8)
}

proptest! {
    #[test]
    fn both_ways_lead_to_the_same_bytes(
        start in 0..9_000_usize, writes in writes(), room in any::<bool>()
    ) {
        let (data, mut disk, name) = segment(if room { 2 << 20 } else { 0 });
        let mut reader = FileDisk::new(data.path()).unwrap();
        let mut whole = vec![0; start];
        disk.write_at(name, 0, &[whole.clone().into()]).unwrap();
        for (past_cache, sizes) in writes {
            let pieces: Vec<_> = sizes
                .iter()
                .enumerate()
                .map(|(at, size)| (0..*size).map(|byte| u8::try_from((byte + at) % 251).unwrap()).collect::<Bytes>())
                .collect();
            let offset = whole.len() as u64;
            match past_cache {
                true => disk.write_past_cache(name, offset, &pieces).unwrap(),
                false => disk.write_at(name, offset, &pieces).unwrap(),
            }
            whole.extend(pieces.iter().flatten());
            // Brings what lies around the end into the cache, too.
            let mut found = vec![1; whole.len() + 1];
            let read = reader.read_at(name, 0, &mut found).unwrap();
            prop_assert!(read >= whole.len() && found.starts_with(&whole), "they differ");
        }
    }
}
