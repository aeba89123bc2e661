//! Binds listeners; errors name the address, what it was for, and the remedy. It knows nothing of what is
//! spoken there.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

mod holder;

/// Connections that wait to be accepted, a listener: more are refused by the kernel.
pub const BACKLOG: i32 = 1_024;

/// A connection that was silent for this long is asked whether its peer lives …
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
/// … so often …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// … and closed after so many questions without an answer.
const KEEPALIVE_TRIES: u32 = 3;

/// How a listener is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Several listeners of this process share the port (see [`bind_shared`]). A port that somebody else
    /// holds is still an error, though the kernel would let us share it with our own user's processes.
    pub reuse_port: bool,
    /// `--insecure-listen`: an address beyond loopback is wanted.
    pub insecure_ok: bool,
}

/// Why a port could not be had. `what` names the purpose and the flag: `outbound calls (--outbound)`.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody has it.
    #[error("{address} for {what} is in use{holder}; stop that one, or choose another port (0 = any)")]
    InUse {
        /// As asked for.
        address: SocketAddr,
        /// The purpose.
        what: &'static str,
        /// ` by process 123 (name)`, or empty where that cannot be seen.
        holder: String,
    },
    /// A low port without the right.
    #[error(
        "{address} for {what} needs privileges; choose a port of 1024 or above, or grant CAP_NET_BIND_SERVICE"
    )]
    Privileged {
        /// As asked for.
        address: SocketAddr,
        /// The purpose.
        what: &'static str,
    },
    /// An address of another machine.
    #[error(
        "{address} for {what} is no address of this machine; use one that `ip address` lists, or 127.0.0.1"
    )]
    NotHere {
        /// As asked for.
        address: SocketAddr,
        /// The purpose.
        what: &'static str,
    },
    /// Beyond loopback without a word.
    #[error(
        "{address} for {what} can be reached from other machines, and there are no identities yet: \
         listen on loopback, or say --insecure-listen where the network itself is closed"
    )]
    BeyondLoopback {
        /// As asked for.
        address: SocketAddr,
        /// The purpose.
        what: &'static str,
    },
    /// Anything else that the system says.
    #[error("cannot listen on {address} for {what}: {source}")]
    Io {
        /// As asked for.
        address: SocketAddr,
        /// The purpose.
        what: &'static str,
        /// From the system.
        source: io::Error,
    },
}

/// One non-blocking listener. Port 0 is any; ask the listener which.
///
/// # Errors
/// See [`ListenError`].
pub fn bind(address: SocketAddr, what: &'static str, options: Options) -> Result<TcpListener, ListenError> {
    if !options.insecure_ok && !is_loopback(address.ip()) {
        return Err(ListenError::BeyondLoopback { address, what });
    }
    if options.reuse_port && address.port() != 0 {
        // Once without sharing: fails where anybody listens already.
        socket(address, false).map_err(|source| explain(address, what, source))?;
    }
    listen(address, options.reuse_port).map_err(|source| explain(address, what, source))
}

/// `count` listeners on one port, for a thread each; at least one.
///
/// # Errors
/// See [`ListenError`].
pub fn bind_shared(
    address: SocketAddr,
    what: &'static str,
    insecure_ok: bool,
    count: usize,
) -> Result<Vec<TcpListener>, ListenError> {
    let failed = |source| explain(address, what, source);
    let first = bind(address, what, Options { reuse_port: true, insecure_ok })?;
    let chosen = first.local_addr().map_err(failed)?;
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(listen(chosen, true).map_err(failed)?);
    }
    Ok(listeners)
}

/// Whether only this machine gets there.
pub fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn listen(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = socket(address, reuse_port)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A restart must not wait for the connections of the run before to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    // What is accepted inherits it: a peer whose machine has gone without a word is found out by the kernel.
    socket.set_tcp_keepalive(&keepalive())?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_TRIES)
}

fn explain(address: SocketAddr, what: &'static str, source: io::Error) -> ListenError {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            ListenError::InUse { address, what, holder: holder::describe(address.port()) }
        }
        io::ErrorKind::PermissionDenied => ListenError::Privileged { address, what },
        io::ErrorKind::AddrNotAvailable => ListenError::NotHere { address, what },
        _ => ListenError::Io { address, what, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn a_port_in_use_names_its_holder_and_the_remedy() {
        let held = bind(any(), "a test", Options::default()).unwrap();
        let address = held.local_addr().unwrap();
        let error = bind(address, "outbound calls (--outbound)", Options::default()).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{address} for outbound calls (--outbound) is in use by process"))
        );
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        assert!(error.ends_with("choose another port (0 = any)"), "{error}");
    }

    #[test]
    fn a_shared_port_is_shared_with_nobody_else() {
        let ours = bind_shared(any(), "a test", false, 3).unwrap();
        let addresses: Vec<_> = ours.iter().map(|l| l.local_addr().unwrap()).collect();
        assert!(addresses.iter().all(|address| *address == addresses[0]));
        let again = bind(addresses[0], "a test", Options { reuse_port: true, insecure_ok: false });
        assert!(matches!(again, Err(ListenError::InUse { .. })));
    }

    #[test]
    fn beyond_loopback_wants_a_word() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let refused = bind(address.parse().unwrap(), "a test", Options::default());
            assert!(matches!(refused, Err(ListenError::BeyondLoopback { .. })), "{address}");
        }
        let options = Options { insecure_ok: true, reuse_port: false };
        assert!(bind("0.0.0.0:0".parse().unwrap(), "a test", options).is_ok());
        let elsewhere = bind("192.0.2.1:0".parse().unwrap(), "a test", options);
        assert!(matches!(elsewhere, Err(ListenError::NotHere { .. })));
    }

    #[test]
    fn mapped_loopback_is_loopback() {
        assert!(is_loopback("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!is_loopback("::ffff:10.0.0.1".parse().unwrap()));
    }
}
