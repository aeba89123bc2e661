//! Choosing one endpoint among many: power of two choices on peak-EWMA, round robin.
