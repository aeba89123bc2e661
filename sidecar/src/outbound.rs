//! Calls of the application to other services.
