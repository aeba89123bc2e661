//! The admin server: `/live`, `/ready`, `/metrics`, `/config_dump`.
