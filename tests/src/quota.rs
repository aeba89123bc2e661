//! A limit on what a process gets of a core, as Kubernetes' `limits.cpu` sets one: for tests of a process that has less
//! than it needs. Of cgroups version 1 or 2, whichever has the cpu controller.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context;

/// The quota is counted anew so often: a process that has used it up waits for less than this.
const PERIOD: Duration = Duration::from_millis(10);
const VERSION_1: &str = "/sys/fs/cgroup/cpu";
const VERSION_2: &str = "/sys/fs/cgroup";

/// A group of its own for one process. It is dissolved with this value; the process goes on without a limit.
#[derive(Debug)]
pub struct Quota {
    pid: u32,
    above: PathBuf,
    group: PathBuf,
}

impl Quota {
    /// Leaves it so much of one core, in percent, of 10 at least.
    ///
    /// # Errors
    /// When this process may not do that: it takes root, and cgroups that can be written.
    pub fn limit(pid: u32, percent: u64) -> anyhow::Result<Self> {
        let is_first = fs::exists(format!("{VERSION_1}/cpu.cfs_quota_us"))?;
        let above = PathBuf::from(if is_first { VERSION_1 } else { VERSION_2 });
        let group = above.join(format!("weft-test-{pid}"));
        let (period, quota) = (PERIOD.as_micros(), PERIOD.as_micros() * u128::from(percent) / 100);
        if !is_first {
            fs::write(above.join("cgroup.subtree_control"), "+cpu").context("no cpu controller")?;
        }
        fs::create_dir(&group).with_context(|| group.display().to_string())?;
        let quota = || {
            if is_first {
                fs::write(group.join("cpu.cfs_period_us"), period.to_string())?;
                fs::write(group.join("cpu.cfs_quota_us"), quota.to_string())?;
            } else {
                fs::write(group.join("cpu.max"), format!("{quota} {period}"))?;
            }
            fs::write(group.join("cgroup.procs"), pid.to_string())
        };
        let result = quota();
        // Dissolved by its owner if it failed.
        let quota = Self { pid, above, group: group.clone() };
        result.map(|()| quota).with_context(|| group.display().to_string())
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // The process may have gone; a group without one can be removed.
        let _has_gone = fs::write(self.above.join("cgroup.procs"), self.pid.to_string());
        let _told_by_what_is_left = fs::remove_dir(&self.group);
    }
}
