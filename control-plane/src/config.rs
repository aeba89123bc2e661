//! Flags, file and environment of the control plane, parsed into one validated value.
