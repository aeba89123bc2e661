//! Tests of queues as whole state.
