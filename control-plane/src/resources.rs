//! What users say about the calls of services, as resources: kept in the store, read once a change into plain
//! values by service, which discovery carries to sidecars. It knows neither HTTP nor gRPC.

use std::{collections::BTreeMap, sync::Arc};

use weft_model::{name::ServiceName, traffic::Item};

/// What is said about one service, one item a resource.
pub type Said = Arc<Vec<Item>>;
/// All that is said, by service.
pub type Sayings = BTreeMap<ServiceName, Said>;
