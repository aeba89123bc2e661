//! Jittered exponential back-off: (attempt, seed) in, a delay out.
