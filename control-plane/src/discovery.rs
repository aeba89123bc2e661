//! The gRPC side: delta discovery streams and `Attach`.
