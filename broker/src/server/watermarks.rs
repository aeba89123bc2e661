//! Memory and disk, looked at once a second: beyond their watermarks publishers wait. RabbitMQ's "Memory and Disk
//! Alarms".

use std::{path::Path, sync::Arc, time::Duration};

use super::shared::Shared;
use crate::vhost::Blocked;

/// How often memory and disk are looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// Bytes that must stay free on the disk: RabbitMQ's default.
const DISK_FREE_BYTES: u64 = 50 * 1000 * 1000;
/// The share of memory that may be used, in percent: RabbitMQ 4's default.
const MEMORY_PERCENT: u8 = 60;

/// When publishers wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// Bytes of memory of this process.
    pub memory_bytes: u64,
    /// Bytes that must be free where the data is.
    pub disk_free_bytes: u64,
}

impl Watermarks {
    /// So many percent of what the control group or the machine has, in bytes.
    pub fn share_of_memory(percent: u8) -> u64 {
        memory_limit().map_or(u64::MAX, |limit| limit / 100 * u64::from(percent))
    }
}

impl Default for Watermarks {
    fn default() -> Self {
        let memory_bytes = Self::share_of_memory(MEMORY_PERCENT);
        Self { memory_bytes, disk_free_bytes: DISK_FREE_BYTES }
    }
}

/// What is used now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory of this process.
    pub memory_bytes: u64,
    /// Bytes that are free where the data is.
    pub disk_free_bytes: u64,
}

impl Usage {
    /// As the system says.
    pub fn now(data_dir: &Path) -> Self {
        Self { memory_bytes: resident().unwrap_or(0), disk_free_bytes: free(data_dir).unwrap_or(u64::MAX) }
    }
}

/// Looks, and tells all virtual hosts what has changed.
pub(super) async fn watch(watermarks: Watermarks, shared: Arc<Shared>) {
    let mut period = tokio::time::interval(PERIOD);
    let mut told = (false, false);
    loop {
        period.tick().await;
        let usage = Usage::now(&shared.data_dir);
        let now = (
            usage.memory_bytes > watermarks.memory_bytes,
            usage.disk_free_bytes < watermarks.disk_free_bytes,
        );
        if now == told {
            continue;
        }
        if now.0 != told.0 {
            tracing::warn!(
                alarm = now.0,
                bytes = usage.memory_bytes,
                limit = watermarks.memory_bytes,
                "memory watermark"
            );
        }
        if now.1 != told.1 {
            tracing::warn!(
                alarm = now.1,
                free = usage.disk_free_bytes,
                limit = watermarks.disk_free_bytes,
                "disk watermark"
            );
        }
        for vhost in shared.vhosts() {
            let set = move |vhost: &mut crate::vhost::Vhost| {
                vhost.set_blocked(Blocked::Memory, now.0);
                vhost.set_blocked(Blocked::Disk, now.1);
            };
            if vhost.with(set).await.is_err() {
                tracing::debug!(vhost = vhost.name(), "ends");
            }
        }
        told = now;
    }
}

fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_size())
}

fn page_size() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|bytes| u64::try_from(bytes).ok())
        .unwrap_or(4096)
}

fn free(path: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(path).ok()?;
    Some(stat.blocks_available() * stat.fragment_size())
}

/// What this process may use: its control group's limit, or the machine's memory.
fn memory_limit() -> Option<u64> {
    let group =
        std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
    });
    [group, machine].into_iter().flatten().min()
}
