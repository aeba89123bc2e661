//! `weft-control-plane`: arguments, configuration, run, exit code.

fn main() {}
