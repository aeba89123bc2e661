//! `weft-sidecar`: arguments, configuration, run, exit code.

fn main() {}
