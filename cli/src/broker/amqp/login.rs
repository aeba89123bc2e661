//! How the command line's AMQP connection begins: dialling, login, limits. After it the connection is open, or there
//! is an error that says who refused what.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_broker::amqp::{
    handshake::{
        Tuning,
        client::{ClientConfig, ClientEvent, ClientHandshake},
        sasl::{Mechanism, plain_response},
    },
    heartbeat::Heartbeat,
    table::encode_table,
    value::{FieldTable, FieldValue},
};

use super::{Amqp, AmqpError, BUFFER_BYTES};

/// Where a message broker listens when nobody says otherwise.
const ADDRESS_DEFAULT: &str = "127.0.0.1:5672";
/// The port of AMQP, for an address without one.
const PORT_DEFAULT: &str = "5672";
/// For the connection and the login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);
/// The reply code of a login that failed.
const ACCESS_REFUSED: u16 = 403;

/// `HOST:PORT` of a message broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// What the person said, also as `amqp://HOST:PORT` or without a port; else the default.
    pub fn find(given: Option<&str>) -> Self {
        let given = given.map(str::trim).filter(|text| !text.is_empty());
        let address = given.unwrap_or(ADDRESS_DEFAULT);
        let address = address.strip_prefix("amqp://").unwrap_or(address).trim_end_matches('/');
        // Of `[::1]` the last colon begins no port.
        let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Self(if has_port { address.to_owned() } else { format!("{address}:{PORT_DEFAULT}") })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who wants in, and where to.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The user.
    pub user: &'a str,
    /// The password.
    pub password: &'a str,
    /// The virtual host.
    pub vhost: &'a str,
}

/// Without the password.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("vhost", &self.vhost)
            .finish_non_exhaustive()
    }
}

impl Amqp {
    /// Connects and logs in.
    ///
    /// # Errors
    /// When nobody listens there, or the login is refused.
    pub async fn connect(address: Address, credentials: Credentials<'_>) -> Result<Self, AmqpError> {
        match tokio::time::timeout(LOGIN_TIMEOUT, Self::log_in(address.clone(), credentials)).await {
            Ok(connected) => connected,
            Err(_) => Err(AmqpError::Silent { address, limit: LOGIN_TIMEOUT }),
        }
    }

    async fn log_in(address: Address, credentials: Credentials<'_>) -> Result<Self, AmqpError> {
        let unreachable = |error: std::io::Error| AmqpError::Unreachable {
            address: address.clone(),
            reason: error.to_string(),
        };
        let mut stream = TcpStream::connect(&address.0).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let mut out = Vec::new();
        let mut handshake = ClientHandshake::begin(config(credentials), &mut out);
        let mut input = BytesMut::with_capacity(BUFFER_BYTES);
        while !handshake.is_open() {
            let consumed = {
                let step = handshake.receive(&input, &mut out);
                if let Some(event) = step.event {
                    judge(&event, &address, credentials)?;
                }
                step.consumed
            };
            input.advance(consumed);
            stream.write_all(&out).await.map_err(unreachable)?;
            out.clear();
            if consumed == 0 && stream.read_buf(&mut input).await.map_err(unreachable)? == 0 {
                return Err(hung_up(&handshake, address, credentials));
            }
        }
        let tuning = handshake.tuning();
        Ok(Self {
            address,
            stream,
            input,
            out: BytesMut::new(),
            frame_max: tuning.frame_max,
            heartbeat: Heartbeat::new(tuning.heartbeat_seconds, 0),
            began: Instant::now(),
            contents: HashMap::new(),
            early: VecDeque::new(),
        })
    }
}

fn config(credentials: Credentials<'_>) -> ClientConfig {
    let can = ["authentication_failure_close", "basic.nack", "publisher_confirms", "connection.blocked"];
    let can: FieldTable = can.into_iter().map(|name| (name.to_owned(), FieldValue::Bool(true))).collect();
    let properties: FieldTable = [
        ("product", FieldValue::text("weft")),
        ("version", FieldValue::text(env!("CARGO_PKG_VERSION"))),
        ("connection_name", FieldValue::text("weft command line")),
        ("capabilities", FieldValue::Table(can)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    ClientConfig {
        properties: encode_table(&properties),
        mechanism: Mechanism::Plain.name().to_owned(),
        response: plain_response(credentials.user, credentials.password.as_bytes()),
        virtual_host: credentials.vhost.to_owned(),
        wish: Tuning::default(),
    }
}

/// What the broker says before the connection is open.
fn judge(event: &ClientEvent<'_>, address: &Address, credentials: Credentials<'_>) -> Result<(), AmqpError> {
    let (address, protocol) =
        (address.clone(), |reason: String| AmqpError::Protocol { address: address.clone(), reason });
    match event {
        ClientEvent::Opened => Ok(()),
        ClientEvent::Refused { code: ACCESS_REFUSED, text, .. } => {
            Err(AmqpError::Login { address, user: credentials.user.to_owned(), reason: (*text).to_owned() })
        }
        ClientEvent::Refused { code, text, .. } => {
            Err(AmqpError::Ended { address, code: *code, text: (*text).to_owned() })
        }
        ClientEvent::Challenge(_) => Err(protocol("PLAIN knows no challenge".to_owned())),
        ClientEvent::WrongProtocol(header) => {
            Err(protocol(format!("it wants {}", String::from_utf8_lossy(header).escape_debug())))
        }
        ClientEvent::Failed(refusal) => Err(protocol(refusal.to_string())),
    }
}

/// A server that closes the socket while the login is under way has refused it (RabbitMQ, "Access Control").
fn hung_up(handshake: &ClientHandshake, address: Address, credentials: Credentials<'_>) -> AmqpError {
    let reason = "the connection was closed".to_owned();
    if handshake.is_authenticating() {
        return AmqpError::Login { address, user: credentials.user.to_owned(), reason };
    }
    AmqpError::Unreachable { address, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        let found = [None, Some(" "), Some("mq"), Some("mq:1"), Some("amqp://mq:1/"), Some("[::1]")]
            .map(|given| Address::find(given).to_string());
        assert_eq!(found, ["127.0.0.1:5672", "127.0.0.1:5672", "mq:5672", "mq:1", "mq:1", "[::1]:5672"]);
    }

    #[tokio::test]
    async fn a_broker_that_is_not_there_is_named_with_the_remedy() {
        let credentials = Credentials { user: "guest", password: "guest", vhost: "/" };
        // Port 1 of loopback: nobody listens there.
        let error = Amqp::connect(Address::find(Some("127.0.0.1:1")), credentials).await.unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("no message broker answers at 127.0.0.1:1: "), "{error}");
        assert!(error.contains("--amqp"), "{error}");
    }
}
