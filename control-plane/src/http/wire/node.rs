//! Bodies of `/v1/catalog/register` and `/v1/catalog/deregister`. Field names are folded.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{super::error::ApiError, check::CatalogCheck, check_meta, service::ServiceDefinition};

/// A node with at most one service and any number of checks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CatalogRegistration {
    pub(crate) node: String,
    pub(crate) address: String,
    pub(crate) datacenter: String,
    pub(crate) nodemeta: BTreeMap<String, String>,
    pub(crate) service: Option<ServiceDefinition>,
    pub(crate) check: Option<CatalogCheck>,
    pub(crate) checks: Vec<CatalogCheck>,
    pub(crate) skipnodeupdate: bool,
}

impl CatalogRegistration {
    /// Refuses what Consul refuses.
    ///
    /// # Errors
    /// 400 with Consul's text.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if self.node.is_empty() {
            return Err(ApiError::bad("Must provide node"));
        }
        if self.address.is_empty() && !self.skipnodeupdate {
            return Err(ApiError::bad("Must provide address if SkipNodeUpdate is not set"));
        }
        check_meta("Node", &self.nodemeta)
    }
}

/// What to remove: a service or a check of a node, or the node.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CatalogDeregistration {
    pub(crate) node: String,
    pub(crate) datacenter: String,
    pub(crate) serviceid: String,
    pub(crate) checkid: String,
}
