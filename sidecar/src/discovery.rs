//! The control plane as this sidecar sees it: delta discovery, `Attach`, the snapshot on disk.
