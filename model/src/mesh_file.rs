//! The file of `weft up`: `weft.yaml`, validated into domain types.
