//! Tests of a broker that runs, from its sockets and from what it shares.

mod alarms;
mod channels;
mod client;
mod heartbeat;
mod panics;
mod rights;
mod room;

use std::net::{SocketAddr, TcpListener};

use super::{Broker, BrokerConfig, Shared, Watermarks};
use crate::{
    amqp::{frame::FRAME_MAX_UNLIMITED, value::FieldTable},
    vhost::{SessionInfo, UserChannels, VhostLimits},
};

/// No alarm.
const AMPLE: Watermarks = Watermarks { memory_bytes: u64::MAX, disk_free_bytes: 0 };

/// A broker on a free port, with its data in a directory of its own.
struct Running {
    /// Before its directory.
    broker: Broker,
    _data: tempfile::TempDir,
    amqp: SocketAddr,
}

impl Running {
    fn start() -> Self {
        Self::with(AMPLE)
    }

    fn with(watermarks: Watermarks) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let amqp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        amqp.set_nonblocking(true).expect("a socket that does not block");
        let at = amqp.local_addr().expect("bound");
        let config = BrokerConfig {
            data_dir: data.path().to_owned(),
            amqp,
            management: None,
            node: "weft@test".to_owned(),
            version: "0.0.0".to_owned(),
            limits: VhostLimits::default(),
            watermarks,
        };
        Self { broker: Broker::start(config).expect("it starts"), _data: data, amqp: at }
    }

    fn shared(&self) -> &Shared {
        self.broker.shared()
    }

    /// A connection without a socket.
    fn visitor(&self) -> SessionInfo {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        SessionInfo {
            user: self.shared().access().user("guest").expect("guest is there").clone(),
            user_channels: UserChannels::default(),
            peer: address,
            local: address,
            frame_max: FRAME_MAX_UNLIMITED,
            channel_max: 0,
            heartbeat: 0,
            mechanism: "PLAIN".to_owned(),
            client_properties: FieldTable::new(),
            connected_at_ms: 0,
        }
    }
}
