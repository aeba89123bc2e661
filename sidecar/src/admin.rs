//! What `/ready`, `/metrics` and `/config_dump` say of this sidecar.
