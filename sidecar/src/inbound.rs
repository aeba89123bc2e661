//! Calls from other sidecars, and from bare clients, to the application.
