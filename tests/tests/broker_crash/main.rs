//! What the broker promises when things end badly: `kill -9`, a power cut, a full disk, a second process. Real processes
//! and files; power cuts and full disks need root and a loop device, and say so where they are skipped.

#[path = "../../../control-plane/tests/store_durability/disk.rs"]
mod disk;
mod full;
mod kill;
mod ledger;
mod power_cut;
mod restart;
mod stream;
mod work;
