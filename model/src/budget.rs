//! The retry budget: retries are allowed as a share of requests, with a small floor.
