//! Tests of a whole virtual host without sockets and disks: what clients send as bytes goes in, what they get is read
//! back, and the log is a pair of hands that completes groups when told to.

mod closing;
mod compaction;
mod delivery;
mod disk;
mod harness;
mod keeping;
mod limits;
mod mended;
mod once;
mod safe;
mod simulation;

use harness::{Client, World};
