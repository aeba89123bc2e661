//! The plain values that the data path decides with: timeouts, retry policy, balancing, limits.
