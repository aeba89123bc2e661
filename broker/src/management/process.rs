//! What the system says of this process: files and sockets. Read from `/proc`, which may take a while: off the threads
//! that serve.

use std::{collections::HashSet, fs};

/// Files and sockets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Process {
    /// Files that are open; sockets are files.
    pub(super) open_files: u64,
    /// Files that may be open.
    pub(super) files_max: u64,
    /// Sockets of TCP among the files.
    pub(super) tcp_sockets: u64,
}

impl Process {
    /// As of now; what cannot be read is 0.
    pub(super) fn now() -> Self {
        let names: Vec<String> = fs::read_dir("/proc/self/fd")
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.to_string_lossy().into_owned()))
            .collect();
        let sockets: HashSet<u64> = names.iter().filter_map(|name| inode(name)).collect();
        let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(fs::read_to_string);
        let tcp = tables.iter().flatten().map(|table| count_in(table, &sockets)).sum();
        Self { open_files: names.len() as u64, files_max: files_max(), tcp_sockets: tcp }
    }
}

/// `socket:[123]`
fn inode(name: &str) -> Option<u64> {
    name.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// How many of the sockets are in a table of the system.
fn count_in(table: &str, sockets: &HashSet<u64>) -> u64 {
    let inodes = table.lines().filter_map(|line| line.split_whitespace().nth(9)?.parse().ok());
    inodes.filter(|inode: &u64| sockets.contains(inode)).count() as u64
}

fn files_max() -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.and_then(|soft| soft.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn sockets_of_tcp_are_counted_among_the_files() {
        let before = Process::now();
        let _udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let _tcp = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
        let now = Process::now();
        assert!(now.tcp_sockets >= 2 && now.tcp_sockets >= before.tcp_sockets, "{before:?} {now:?}");
        assert!(now.open_files > now.tcp_sockets && now.files_max >= now.open_files, "{now:?}");
    }

    #[test]
    fn a_table_of_the_system_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     0: 0100007F:0277 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0\n";
        assert_eq!(count_in(table, &HashSet::from([77, 8])), 1);
        assert_eq!(inode("socket:[77]"), Some(77));
        assert_eq!(inode("pipe:[77]"), None);
    }
}
