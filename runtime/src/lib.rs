//! What both daemons share: telemetry, metrics, the admin server, drain, checks, configuration loading.
//! It knows neither the registry nor the data path.

pub mod admin;
pub mod check;
pub mod config;
pub mod drain;
pub mod listen;
pub mod metrics;
pub mod ports;
pub mod report;
pub mod signal;
pub mod telemetry;
