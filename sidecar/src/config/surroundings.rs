//! What a sidecar finds around it: host name, environment, a free port. The only place of this crate that
//! asks the system for them, so that all else can be tested with made-up ones.

use std::{
    collections::HashSet,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
};

use super::Faults;

/// Ports that are given to wrapped applications. Below the range that Linux takes for outgoing connections
/// (32768 and up), so that none of those sits on the port between our look and the application's bind.
const APP_PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Tries to find a free one.
const PORT_TRIES: usize = 200;

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
    pub(super) fn app_address(&self, faults: &mut Faults) -> Option<SocketAddr> {
        let port = match &self.port {
            Some(port) => faults.parse("PORT", port, "is no port; unset it, or give --app"),
            None => {
                faults.keep("app", free_port().map_err(|error| format!("no free port: {error}; give --app")))
            }
        };
        port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}

fn free_port() -> io::Result<u16> {
    let mut last = None;
    for _ in 0..PORT_TRIES {
        let port = fastrand::u16(APP_PORTS);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}
