//! Starts the parts of a sidecar, in order, and stops them.
