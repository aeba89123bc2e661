//! What is written, byte for byte: the sidecar's tests read the same file back. The examples of the reference have
//! every field, so a field that is left out here is missed there. `INSTA_UPDATE=always` writes the file anew; that
//! sends every resource once more to every sidecar after an upgrade.

use std::fmt::Write as _;

use weft_model::{
    resource::{self, text},
    traffic::Route,
};

use super::*;

/// Every field of every kind, in examples.
const REFERENCE: &str = include_str!("../../../../docs/resources.md");

fn item(generation: u64) -> Item {
    let origin = Origin {
        created_ms: 7,
        namespace: "default".into(),
        name: "my.route".into(),
        kind: "HTTPRoute".into(),
        generation,
    };
    Item { origin, spec: Spec::Route(Route::default()) }
}

#[test]
fn every_example_of_the_reference_is_written_as_sidecars_read_it() {
    let blocks = REFERENCE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let objects = blocks.flat_map(|block| text::yaml(block).unwrap());
    let mut lines = String::new();
    for object in objects {
        for (service, item) in resource::parse(&object.value).unwrap().items() {
            let made = resource(&service, &item);
            let bytes = made.bytes.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
            writeln!(lines, "{} {bytes}", made.name).unwrap();
        }
    }
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/testdata"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("traffic", lines);
    });
}

#[test]
fn a_resource_is_named_by_target_and_origin_and_its_version_by_what_it_says() {
    let target = ServiceName::new("orders", "shop").unwrap();
    let made = resource(&target, &item(1));
    assert_eq!(&*made.name, "orders.shop/httproute.default.my.route");
    assert_eq!(made, resource(&target, &item(1)));
    assert_ne!(made.version, resource(&target, &item(2)).version);
}

#[test]
fn times_are_never_rounded_down_to_none() {
    let micro = Duration::from_micros(1);
    assert_eq!((millis(micro), millis(Duration::ZERO), millis(Duration::from_secs(2))), (1, 0, 2_000));
}
