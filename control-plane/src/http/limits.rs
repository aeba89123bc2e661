//! Every limit of the HTTP API by name. What a registration may hold is limited by the registry
//! (`crate::registry::registration`).

use std::time::Duration;

/// A key-value pair's value, in bytes, as in Consul.
pub const KV_VALUE_BYTES_MAX: usize = 512 * 1024;
/// A registration's or a check report's JSON, in bytes.
pub const JSON_BODY_BYTES_MAX: usize = 1 << 20;
/// What is buffered of a request's head, in bytes: a head that is not whole by then is answered with 431.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Connections at one time; one more is answered with 503 and closed.
pub const CONNECTIONS_MAX_DEFAULT: usize = 1_024;
/// Of the connections, those whose blocking queries may wait at one time, in percent: the rest is for those
/// who write. One more query is answered with 429.
pub const BLOCKING_PERCENT_MAX: usize = 75;
/// From an open connection to a whole request head.
pub const HEAD_READ_TIME_MAX: Duration = Duration::from_secs(30);
/// A request that does not block, from its head to its answer.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// A blocking query that names no `wait`, as in Consul.
pub const WAIT_DEFAULT: Duration = Duration::from_mins(5);
/// The longest `wait`, as in Consul; a longer one is cut to it.
pub const WAIT_MAX: Duration = Duration::from_mins(10);
/// A wait is lengthened by at most one part in so many, at random, as in Consul: not all come back at once.
pub const WAIT_JITTER_PARTS: u32 = 16;
/// How long open requests may go on after SIGTERM (blocking queries are answered at once).
pub const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// The shortest interval of an active check; a shorter one is lengthened to it, as in Consul.
pub const CHECK_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// The timeout of an active check that names none, as in Consul.
pub const CHECK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Keys and values that one recursive read gathers, in bytes; over it the answer is 413.
pub const KV_READ_BYTES_MAX: usize = 64 << 20;
