//! Descriptors of this process: as many as the system grants, some of them kept for what must not fail.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::limits::CONNECTIONS_MAX;

/// Kept for checkpoints, `access.json` and the management API,
const RESERVE: u64 = 256;
/// and for each virtual host: what its log keeps open to write and to read.
const RESERVE_VHOST: u64 = 40;

/// Raises the limit of this process to what the system grants it. How many connections it may then hold beside so many
/// virtual hosts.
pub(super) fn connections_max(vhosts: usize) -> usize {
    let reserve = RESERVE + RESERVE_VHOST * vhosts as u64;
    match raise() {
        Ok(descriptors) => {
            let connections = room(descriptors, reserve);
            tracing::info!(descriptors, connections, "limit of connections");
            connections
        }
        Err(error) => {
            tracing::warn!(%error, limit = CONNECTIONS_MAX, "the limit of descriptors is not known");
            CONNECTIONS_MAX
        }
    }
}

/// The limit that holds now.
fn raise() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= hard {
        return Ok(soft);
    }
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => Ok(hard),
        Err(error) => {
            tracing::warn!(%error, soft, hard, "the limit of descriptors cannot be raised");
            Ok(soft)
        }
    }
}

/// Connections that leave the reserve alone; where there is little, half of it.
fn room(descriptors: u64, reserve: u64) -> usize {
    let room = descriptors - reserve.min(descriptors / 2);
    usize::try_from(room).unwrap_or(usize::MAX).min(CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_a_reserve() {
        assert_eq!((room(1_024, 256), room(1_024, 296)), (768, 728));
        assert_eq!((room(300, 256), room(1, 256), room(0, 256)), (150, 1, 0));
        assert_eq!((room(1 << 20, 256), room(u64::MAX, 256)), (CONNECTIONS_MAX, CONNECTIONS_MAX));
    }

    #[test]
    fn the_limit_is_what_the_system_grants() {
        let descriptors = raise().expect("there is a limit");
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
        assert_eq!((soft, descriptors), (hard, hard));
    }
}
