//! Compiles `weather.proto` with protox: no `protoc` is needed.

const FILE: &str = "weft/example/weather/v1/weather.proto";

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script its directory in no other way")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/{FILE}");
    let descriptors = protox::compile([FILE], ["proto"])?;
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).open_file(FILE)?;
    std::fs::write(out.join("weather.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
