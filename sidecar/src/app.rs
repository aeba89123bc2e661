//! The wrapped application: its environment, its start, its signals, its end.
