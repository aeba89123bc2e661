//! The types made from `proto/**/*.proto`, and the names under which they travel. No logic lives here:
//! conversions to domain types stand at the edges of the crates that speak gRPC.

#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated"
)]
mod generated {
    /// Weft's own messages: resources of delta discovery, `Attach`, the hop header.
    pub mod weft {
        /// `weft.v1`
        pub mod v1 {
            tonic::include_proto!("weft.v1");
        }
    }

    /// Envoy's discovery transport, the delta variant (a wire-compatible subset).
    pub mod discovery {
        tonic::include_proto!("envoy.service.discovery.v3");
    }

    /// OpenTelemetry's export of spans (a wire-compatible subset).
    pub mod otlp {
        tonic::include_proto!("opentelemetry.proto.collector.trace.v1");
    }
}

pub use generated::{discovery, otlp, weft};

/// Type URL of [`weft::v1::Endpoint`] in `Any` and in discovery requests.
pub const ENDPOINT_TYPE_URL: &str = "type.googleapis.com/weft.v1.Endpoint";
/// Type URL of [`weft::v1::Traffic`].
pub const TRAFFIC_TYPE_URL: &str = "type.googleapis.com/weft.v1.Traffic";
/// Type URL of [`weft::v1::Service`].
pub const SERVICE_TYPE_URL: &str = "type.googleapis.com/weft.v1.Service";

/// Type URL of [`weft::v1::Refusals`] in the details of a NACK.
pub const REFUSALS_TYPE_URL: &str = "type.googleapis.com/weft.v1.Refusals";

/// The compiled descriptors of all files, for gRPC server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weft.bin"));
