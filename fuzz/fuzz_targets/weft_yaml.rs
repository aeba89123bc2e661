//! The file of `weft up`: whatever is in it, there is a mesh or a list of what is wrong.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_model::mesh_file::{MeshFile, RawMeshFile};

fuzz_target!(|text: &str| {
    let Ok(raw) = weft_runtime::config::from_str::<RawMeshFile>(text, "weft.yaml") else { return };
    match MeshFile::try_from(raw) {
        Ok(mesh) => assert!(!mesh.services().is_empty(), "a mesh without services was taken"),
        Err(error) => assert!(!error.errors.is_empty(), "refused without a reason"),
    }
});
