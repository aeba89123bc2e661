//! Starts the parts of the control plane, in order, and stops them.
