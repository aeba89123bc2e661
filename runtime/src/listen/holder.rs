//! Finds out from `/proc` who listens on a port: for an error message, so everything that is missing is just
//! not said.

use std::fs;

/// The state of a listening socket in `/proc/net/tcp` (Linux `TCP_LISTEN`).
const LISTENING: &str = "0A";

/// ` by process 123 (name)`; empty where it cannot be seen.
pub(super) fn describe(port: u16) -> String {
    let inodes = listening_inodes(port);
    let Some(pid) = processes().find(|pid| holds(pid, &inodes)) else { return String::new() };
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!(" by process {pid} ({})", name.trim()),
        Err(_) => format!(" by process {pid}"),
    }
}

/// As `/proc/<pid>/fd` shows them: `socket:[123]`.
fn listening_inodes(port: u16) -> Vec<String> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|table| {
            table.lines().skip(1).filter_map(|line| listening_inode(line, port)).collect::<Vec<_>>()
        })
        .collect()
}

/// Columns of proc(5): slot, local address, remote address, state, …, the tenth is the inode.
fn listening_inode(line: &str, port: u16) -> Option<String> {
    let mut columns = line.split_whitespace();
    let local = columns.nth(1)?;
    let state = columns.nth(1)?;
    let inode = columns.nth(5)?;
    let (_, local_port) = local.rsplit_once(':')?;
    let matches = state == LISTENING && u16::from_str_radix(local_port, 16) == Ok(port);
    matches.then(|| format!("socket:[{inode}]"))
}

fn processes() -> impl Iterator<Item = String> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

fn holds(pid: &str, inodes: &[String]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .any(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let line =
            "   0: 0100007F:102C 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 4711 1";
        assert_eq!(listening_inode(line, 4140).as_deref(), Some("socket:[4711]"));
        assert_eq!(listening_inode(line, 4141), None);
        assert_eq!(listening_inode(&line.replace(" 0A ", " 01 "), 4140), None);
        assert_eq!(listening_inode("  sl  local_address", 4140), None);
    }
}
