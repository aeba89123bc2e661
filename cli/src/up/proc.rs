//! Looks into `/proc`: who is whose child. It is how the application behind a sidecar is found, and how the
//! last check that nothing is left behind is made. It only reads.

use std::{collections::BTreeMap, fs};

/// Processes and their parents, at one moment.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    parents: BTreeMap<u32, u32>,
}

impl Processes {
    /// As they are now. A process that ends meanwhile may be there or not.
    pub(crate) fn now() -> Self {
        let Ok(entries) = fs::read_dir("/proc") else { return Self::default() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        Self { parents: pids.filter_map(|pid| Some((pid, parent(pid)?))).collect() }
    }

    /// Whether it was there.
    pub(crate) fn contains(&self, pid: u32) -> bool {
        self.parents.contains_key(&pid)
    }

    /// The direct children of a process.
    pub(crate) fn children(&self, pid: u32) -> impl Iterator<Item = u32> {
        self.parents.iter().filter(move |(_, parent)| **parent == pid).map(|(child, _)| *child)
    }

    /// Everything below a process, it itself not included.
    pub(crate) fn descendants(&self, pid: u32) -> Vec<u32> {
        let mut found: Vec<u32> = self.children(pid).collect();
        let mut next = 0;
        while let Some(&pid) = found.get(next) {
            found.extend(self.children(pid));
            next += 1;
        }
        found
    }
}

/// Field 4 of `/proc/<pid>/stat` (proc_pid_stat(5)); the name before it may hold spaces and brackets. A
/// zombie counts as gone.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    if state == "Z" { None } else { fields.next()?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_below_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let processes = Processes::now();
        assert!(processes.children(std::process::id()).any(|pid| pid == child.id()));
        assert!(processes.descendants(std::process::id()).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!Processes::now().descendants(std::process::id()).contains(&child.id()));
    }
}
