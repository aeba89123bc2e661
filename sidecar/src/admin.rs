//! What `/ready`, `/metrics`, `/config_dump`, `/explain` and `/tap` say of this sidecar. The server itself is the runtime's.

use std::sync::{Arc, Mutex};

use prometheus_client::registry::Registry;
use serde_json::json;
use weft_runtime::admin::Admin;

use crate::{config::SidecarConfig, discovery::DiscoveryHandle, record::Observed, table::Directory};

pub mod dump;
pub mod readiness;
mod requests;

use readiness::Readiness;

/// What the answers are made of.
pub struct Sources {
    /// What this sidecar was told.
    pub config: Arc<SidecarConfig>,
    /// What it knows.
    pub directory: Directory,
    /// From whom; `None` = it runs alone.
    pub discovery: Option<DiscoveryHandle>,
    /// Whether it is ready.
    pub readiness: Readiness,
    /// What it counts.
    pub registry: Registry,
    /// What its requests came to.
    pub(crate) observed: Arc<Observed>,
}

/// The answers of this sidecar's admin server.
pub fn admin(sources: Sources) -> Admin {
    let Sources { config, directory, discovery, readiness, registry, observed } = sources;
    Admin {
        registry: Arc::new(Mutex::new(registry)),
        more: Some(requests::more(observed)),
        ready: Arc::new(move || readiness.now().reasons()),
        config_dump: Arc::new(move || {
            let (config, table, discovery) =
                (dump::config(&config), dump::table(&directory.load()), discovery.clone());
            Box::pin(async move {
                let discovery = match discovery {
                    Some(discovery) => Some(discovery.dump().await),
                    None => None,
                };
                json!({
                    "version": env!("CARGO_PKG_VERSION"),
                    "config": config,
                    "discovery": discovery,
                    "table": table,
                })
            })
        }),
    }
}
