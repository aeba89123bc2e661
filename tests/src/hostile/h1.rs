//! The HTTP/1 cases, by theme.

mod chunks;
mod coding;
mod connection;
mod fields;
mod host;
mod length;
mod request_line;
mod response_framing;
mod responses;

use super::{Case, Part};

/// A request with a body to come.
const POST: Part = Part::Raw(b"POST /p HTTP/1.1\r\nHost: orders\r\n");
/// A request without one.
const GET: Part = Part::Raw(b"GET /g HTTP/1.1\r\nHost: orders\r\n");
/// A second request, where there should be none.
const SMUGGLED: Part = Part::Raw(b"GET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n");

/// All of them.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [
        length::CASES,
        coding::CASES,
        chunks::CASES,
        request_line::CASES,
        host::CASES,
        fields::CASES,
        connection::CASES,
        response_framing::CASES,
        responses::CASES,
    ]
    .into_iter()
    .flatten()
}
