//! The HTTP API on 8500: Consul's shapes, and the read-only views of `/v1/weft`.
