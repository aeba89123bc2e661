//! What is compared: a kind of work, and what the proxy has to choose from. The list of the issue.

use std::time::Duration;

use crate::{backend::Ports, load::Work};

/// Endpoints of the large case: as many addresses of the loopback network.
pub const ENDPOINTS_MANY: u16 = 1_000;
/// Routes of the large case; the request matches the last.
pub const ROUTES_MANY: u16 = 100;
/// Requests a second at the fixed rate: what the slowest peer carries with room to spare.
pub const RATE: u32 = 4_000;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// On the command line and in the JSON.
    pub name: &'static str,
    /// In the tables.
    pub title: &'static str,
    /// What is done.
    pub work: Work,
    /// Connections of the load.
    pub connections: u32,
    /// Streams a connection.
    pub streams: u32,
    /// A large answer rather than a small one.
    pub is_large: bool,
    /// Endpoints of the service.
    pub endpoints: u16,
    /// Routes to it.
    pub routes: u16,
    /// Requests a second; none = a closed loop.
    pub rate: Option<u32>,
}

/// What one case gives to the next.
const PLAIN: Case = Case {
    name: "",
    title: "",
    work: Work::Http1,
    connections: 64,
    streams: 1,
    is_large: false,
    endpoints: 1,
    routes: 1,
    rate: None,
};

/// HTTP/2 with ten streams on each of ten connections.
const STREAMS: Case = Case { work: Work::Http2, connections: 10, streams: 10, ..PLAIN };

/// All of them, in the order of the tables.
pub const ALL: [Case; 12] = [
    Case { name: "h1", title: "HTTP/1.1 keep-alive, 128 B", ..PLAIN },
    Case { name: "h1-16k", title: "HTTP/1.1 keep-alive, 16 KiB", is_large: true, ..PLAIN },
    Case {
        name: "h1-endpoints",
        title: "HTTP/1.1, 128 B, 1,000 endpoints",
        endpoints: ENDPOINTS_MANY,
        ..PLAIN
    },
    Case { name: "h1-routes", title: "HTTP/1.1, 128 B, 100 routes", routes: ROUTES_MANY, ..PLAIN },
    Case { name: "h2", title: "HTTP/2, 128 B, 10 connections of 10 streams", ..STREAMS },
    Case { name: "grpc", title: "gRPC unary, 128 B", work: Work::GrpcUnary, ..STREAMS },
    Case {
        name: "grpc-stream",
        title: "gRPC streaming, messages of 128 B there and back",
        work: Work::GrpcStreaming,
        ..STREAMS
    },
    Case {
        name: "tcp",
        title: "Opaque TCP, one way, 4 connections",
        work: Work::Tcp,
        connections: 4,
        ..PLAIN
    },
    Case { name: "h1-rate", title: "HTTP/1.1, 128 B", rate: Some(RATE), ..PLAIN },
    Case { name: "h1-16k-rate", title: "HTTP/1.1, 16 KiB", is_large: true, rate: Some(RATE), ..PLAIN },
    Case { name: "h2-rate", title: "HTTP/2, 128 B", rate: Some(RATE), ..STREAMS },
    Case {
        name: "grpc-rate",
        title: "gRPC unary, 128 B",
        work: Work::GrpcUnary,
        rate: Some(RATE),
        ..STREAMS
    },
];

impl Case {
    /// The case of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|case| case.name == name)
    }

    /// Where the backend answers this kind of work; one that `translates` speaks HTTP/1.1 to it.
    pub const fn backend_port(&self, ports: &Ports, translates: bool) -> u16 {
        match self.work {
            Work::Http1 if self.is_large => ports.http1_large,
            Work::Http1 => ports.http1_small,
            Work::Http2 if translates => ports.http1_small,
            Work::Http2 => ports.http2,
            Work::GrpcUnary | Work::GrpcStreaming => ports.grpc,
            Work::Tcp => ports.source,
        }
    }

    /// The addresses that stand for the endpoints: 127.1.0.1 and on, where there are many.
    pub fn endpoint_addresses(&self) -> Vec<String> {
        match self.endpoints {
            0 | 1 => vec!["127.0.0.1".to_owned()],
            many => (0..many).map(|at| format!("127.1.{}.{}", at / 250, at % 250 + 1)).collect(),
        }
    }

    /// What the load asks for.
    pub fn path(&self) -> String {
        match (self.routes, self.work) {
            (0 | 1, Work::GrpcUnary | Work::GrpcStreaming) => "/bench.Echo/Call".to_owned(),
            (0 | 1, _) => "/".to_owned(),
            (many, _) => format!("{}/orders", route_prefix(many - 1)),
        }
    }

    /// Everything before the measured time: connections and pools fill.
    pub const fn warm_up(&self) -> Duration {
        // A connection to each of many endpoints takes its time.
        if self.endpoints > 1 { Duration::from_millis(1_000) } else { Duration::from_millis(300) }
    }
}

/// The path prefix of a route.
pub fn route_prefix(number: u16) -> String {
    format!("/service-{number}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<_> = ALL.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(Case::named("h2").unwrap().work, Work::Http2);
    }

    #[test]
    fn many_endpoints_are_as_many_addresses() {
        let addresses = Case::named("h1-endpoints").unwrap().endpoint_addresses();
        let unique: BTreeSet<_> = addresses.iter().collect();
        assert_eq!(unique.len(), usize::from(ENDPOINTS_MANY));
        assert!(addresses.iter().all(|address| address.parse::<std::net::Ipv4Addr>().is_ok()));
    }
}
