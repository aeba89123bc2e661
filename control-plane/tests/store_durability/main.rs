//! What the durable store promises when things end badly: a writer that is killed, a power cut, a damaged or full
//! disk, a second process. Real files, real processes; power cuts and full disks need root and a loop device, and
//! say so where they are skipped.

mod damage;
mod disk;
mod full;
mod kill;
mod power_cut;
mod scale;
mod second;
mod workload;
mod writer;
