//! Compiles the `.proto` files with protox: no `protoc` is needed to build Weft.

use std::path::PathBuf;

const FILES: [&str; 5] = [
    "envoy/service/discovery/v3/discovery.proto",
    "weft/v1/attach.proto",
    "weft/v1/mesh.proto",
    "weft/v1/snapshot.proto",
    "weft/v1/traffic.proto",
];

/// What others collect.
const OTLP: &str = "opentelemetry/proto/collector/trace/v1/trace_service.proto";

#[expect(clippy::disallowed_methods, reason = "OUT_DIR is cargo's word to build scripts")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(false).open_files(FILES)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(out.join("weft.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().bytes(".").compile_fds(compiler.file_descriptor_set())?;
    // Apart from the rest, which reflection tells of as what is served here.
    println!("cargo:rerun-if-changed={OTLP}");
    tonic_prost_build::configure().bytes(".").compile_fds(protox::compile([OTLP], ["."])?)?;
    Ok(())
}
