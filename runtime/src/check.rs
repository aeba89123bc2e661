//! Runs health probes: HTTP, TCP, gRPC health. What results mean is the model's.
