//! The HTTP API over real connections, with a real registry on a store in memory: Consul's behaviour, its
//! texts and statuses, and the limits.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "what fails here is a test")]

#[path = "http_api/agent.rs"]
mod agent;
#[path = "http_api/blocking.rs"]
mod blocking;
#[path = "http_api/catalog.rs"]
mod catalog;
#[path = "http_api/kv.rs"]
mod kv;
#[path = "http_api/limits.rs"]
mod limits;
#[path = "http_api/openapi.rs"]
mod openapi;
#[path = "http_api/resources.rs"]
mod resources;
#[path = "http_api/support.rs"]
mod support;
#[path = "http_api/views.rs"]
mod views;
