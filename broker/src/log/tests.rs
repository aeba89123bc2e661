//! The whole log on a disk that loses power, and that disk, which the tests of its parts use as well.

pub(crate) mod sim_disk;
mod simulation;
