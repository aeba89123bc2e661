//! Peak-EWMA latency: rises at once, decays over time.
