//! What a sidecar finds around it: host name, environment, a free port. The only place of this crate that
//! asks the system for them, so that all else can be tested with made-up ones.

use std::{
    collections::HashSet,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as LocalAddr, UnixListener},
    },
    path::PathBuf,
    sync::Arc,
};

use super::Faults;

/// Ports that are given to wrapped applications. Below the range that Linux takes for outgoing connections
/// (32768 and up), so that none of those sits on the port between our look and the application's bind.
const APP_PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Tries to find a free one.
const PORT_TRIES: usize = 200;

/// Keeps other sidecars of this machine from giving the same port to their applications.
#[derive(Debug, Clone)]
pub struct PortReservation {
    _held: Arc<UnixListener>,
}

/// Where a wrapped application will listen.
#[derive(Debug)]
pub(super) struct AppPort {
    number: u16,
    pub(super) reservation: Option<PortReservation>,
}

/// Facts, not settings.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    /// The machine's host name.
    pub(super) host_name: String,
    /// `XDG_STATE_HOME`, or `~/.local/state`.
    pub(super) state_home: Option<PathBuf>,
    /// `PORT`, where set: the application that we start listens there.
    pub(super) port: Option<String>,
    /// The names of all variables: those that the application has already are not replaced.
    pub(super) variables: HashSet<String>,
}

impl Surroundings {
    /// Asks the system.
    #[allow(clippy::disallowed_methods, reason = "configuration loading reads the environment")]
    pub(super) fn find() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let state_home = variable("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/state")));
        Self {
            host_name: nix::unistd::gethostname()
                .ok()
                .and_then(|name| name.into_string().ok())
                .unwrap_or_else(|| "localhost".into()),
            state_home,
            port: variable("PORT").and_then(|port| port.into_string().ok()),
            variables: std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect(),
        }
    }

    /// Where the wrapped application will listen when nobody says: `PORT`, or a free port.
    pub(super) fn app_port(&self, faults: &mut Faults) -> Option<AppPort> {
        match &self.port {
            Some(port) => {
                let number = faults.parse("PORT", port, "is no port; unset it, or give --app")?;
                Some(AppPort { number, reservation: None })
            }
            None => {
                faults.keep("app", free_port().map_err(|error| format!("no free port: {error}; give --app")))
            }
        }
    }
}

impl AppPort {
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

fn free_port() -> io::Result<AppPort> {
    let mut last = None;
    for _ in 0..PORT_TRIES {
        let number = fastrand::u16(APP_PORTS);
        match reserve(number) {
            Ok(reservation) => return Ok(AppPort { number, reservation: Some(reservation) }),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

/// Nobody has the port, and nobody else of us will take it: the application binds it only in a while, and
/// `weft up` starts many sidecars at once. An abstract socket is in the way of nothing and ends with us.
fn reserve(port: u16) -> io::Result<PortReservation> {
    let name = LocalAddr::from_abstract_name(format!("weft-app-port-{port}"))?;
    let held = UnixListener::bind_addr(&name)?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    Ok(PortReservation { _held: Arc::new(held) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_to_one_application() {
        let port = free_port().unwrap();
        assert!(APP_PORTS.contains(&port.number));
        assert_eq!(reserve(port.number).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let number = port.number;
        drop(port);
        reserve(number).unwrap();
    }
}
