//! `policy:` of the file: timeouts, retries, balancing, ejection for every service.

use serde::Deserialize;
use weft_model::policy::Policy;

use super::Faults;

/// As written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPolicy {}

impl RawPolicy {
    pub(super) fn validate(&self, _faults: &mut Faults) -> Policy {
        Policy::default()
    }
}
