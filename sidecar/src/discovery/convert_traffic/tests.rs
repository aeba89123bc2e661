//! What the control plane writes (its tests made the file) is read back as what the reference's examples mean.

use weft_model::resource::{self, text};

use super::*;

/// Every field of every kind, in examples.
const REFERENCE: &str = include_str!("../../../../docs/resources.md");
/// Name and bytes of each, as a control plane sends them.
const WRITTEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/testdata/traffic.snap");

#[test]
fn every_example_of_the_reference_is_read_as_the_control_plane_meant_it() {
    let blocks = REFERENCE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let objects = blocks.flat_map(|block| text::yaml(block).unwrap());
    let meant: Vec<Item> = objects
        .flat_map(|object| resource::parse(&object.value).unwrap().items())
        .map(|(_, item)| item)
        .collect();
    let written = std::fs::read_to_string(WRITTEN).unwrap();
    // Behind the head of the snapshot.
    let lines: Vec<&str> = written.rsplit("---\n").next().unwrap_or_default().lines().collect();
    assert!(!meant.is_empty() && lines.len() == meant.len(), "{} lines, {} items", lines.len(), meant.len());
    for (line, meant) in lines.iter().zip(&meant) {
        let (name, hex) = line.split_once(' ').unwrap();
        let digits: Vec<char> = hex.chars().collect();
        let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
        let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
        assert_eq!(read(name, &bytes.into()).as_ref(), Ok(meant), "{name}");
    }
}

#[test]
fn bytes_that_mean_nothing_are_refused_and_no_panic() {
    for bytes in [&b""[..], b"\xff\xff", b"\x0a\x06orders\x12\x07default"] {
        assert!(read("orders.default/httproute.default.a", &Bytes::from_static(bytes)).is_err());
    }
}
