//! The plain values that the data path decides with: timeouts, retry policy, balancing, ejection. Every
//! default is a commented constant.

/// Placeholder until the data path's owner lands the real one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {}
