//! What `/ready`, `/metrics` and `/config_dump` say of this sidecar. The server itself is the runtime's.

use std::sync::{Arc, Mutex};

use prometheus_client::registry::Registry;
use serde_json::json;
use weft_runtime::admin::Admin;

use crate::{config::SidecarConfig, table::Directory};

pub mod dump;
pub mod readiness;

use readiness::Readiness;

/// The answers of this sidecar's admin server.
pub fn admin(
    config: Arc<SidecarConfig>,
    directory: Directory,
    readiness: Readiness,
    registry: Arc<Mutex<Registry>>,
) -> Admin {
    Admin {
        registry,
        ready: Arc::new(move || readiness.now().reasons()),
        config_dump: Arc::new(move || {
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "config": dump::config(&config),
                "table": dump::table(&directory.load()),
            })
        }),
    }
}
