//! Logs: tracing to standard error, text or JSON.
