//! The discovery client against a scripted control plane.
