//! Drain is a value: tasks hold a watch of it, and whoever stops waits for them.
