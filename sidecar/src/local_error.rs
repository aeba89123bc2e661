//! The one place where a named failure becomes a response. HTTP gets its status and a line of text; gRPC gets
//! a trailers-only response (grpc.io, "gRPC over HTTP2").

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use weft_model::error_code::{ErrorCode, grpc_status_of};

use crate::{body::ResponseBody, forward::WEFT_ERROR};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The response for `code`; `detail` is for people and must come from us, in plain ASCII.
pub(crate) fn response(code: ErrorCode, grpc: bool, detail: &'static str) -> Response<ResponseBody> {
    let mut response = if grpc { grpc_response(code, detail) } else { http_response(code, detail) };
    response.headers_mut().insert(WEFT_ERROR, HeaderValue::from_static(code.as_str()));
    response
}

/// The response of a failure that a policy makes, with the status that it says.
pub(crate) fn fault(status: u16, grpc: bool) -> Response<ResponseBody> {
    let code = ErrorCode::FaultInjected;
    let mut response = response(code, grpc, detail(code));
    if grpc {
        let status = HeaderValue::from(u16::from(grpc_status_of(status)));
        response.headers_mut().insert(GRPC_STATUS, status);
    } else if let Ok(status) = StatusCode::from_u16(status) {
        *response.status_mut() = status;
    }
    response
}

fn http_response(code: ErrorCode, detail: &str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Text(Some(Bytes::from(format!("{code}: {detail}\n")))));
    *response.status_mut() = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

fn grpc_response(code: ErrorCode, detail: &'static str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Empty);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(code.grpc_status())));
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(detail));
    response
}

/// Leaves our words out of an answer to HEAD, which has no body: HTTP/2's server would send it.
pub(crate) fn leave_body_out(response: &mut Response<ResponseBody>) {
    if let ResponseBody::Text(Some(text)) = response.body() {
        let length = HeaderValue::from(text.len());
        response.headers_mut().insert(header::CONTENT_LENGTH, length);
        *response.body_mut() = ResponseBody::Empty;
    }
}

/// The whole HTTP/1 answer to what is no request that anyone could be asked about; it ends the connection.
pub(crate) const fn raw(code: ErrorCode) -> &'static [u8] {
    match code {
        ErrorCode::HeaderTooLarge => {
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nweft-error: header-too-large\r\n\
              content-type: text/plain; charset=utf-8\r\ncontent-length: 51\r\nconnection: close\r\n\r\n\
              header-too-large: the request head is over a limit\n"
        }
        _ => {
            b"HTTP/1.1 400 Bad Request\r\nweft-error: bad-request\r\n\
              content-type: text/plain; charset=utf-8\r\ncontent-length: 46\r\nconnection: close\r\n\r\n\
              bad-request: the request cannot be understood\n"
        }
    }
}

/// What a person is told of each code.
pub(crate) const fn detail(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NoRoute => "no service of the mesh has this name",
        ErrorCode::NoHealthyEndpoint => "no replica of the service can take the request",
        ErrorCode::DiscoveryTimeout => "the control plane did not say in time where the service is",
        ErrorCode::CircuitOpen => "the circuit to the service is open",
        ErrorCode::Overloaded => "too many requests at once",
        ErrorCode::Draining => "the sidecar is stopping",
        ErrorCode::ConnectFailed => "no connection to the service could be made",
        ErrorCode::UpstreamReset => "the connection ended before the response did",
        ErrorCode::TlsFailed => "the TLS handshake failed",
        ErrorCode::ProtocolError => {
            "the service broke its protocol, or speaks only HTTP/2 and was sent HTTP/1"
        }
        ErrorCode::UpstreamTimeout => "the service gave no response in time",
        ErrorCode::DeadlineExceeded => "the deadline of the caller is over",
        ErrorCode::DeniedByPolicy => "a policy refused the call",
        ErrorCode::RateLimited => "a rate limit refused the call",
        ErrorCode::BodyTooLarge => "the request body is over the limit",
        ErrorCode::HeaderTooLarge => "the request head is over a limit",
        ErrorCode::BadRequest => "the request cannot be understood",
        ErrorCode::LoopDetected => "the request has passed this sidecar before",
        ErrorCode::WrongEndpoint => "this sidecar does not stand before the called service",
        ErrorCode::NoBackend => "the route gives the request to no service that exists",
        ErrorCode::FaultInjected => "a policy makes this request fail",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_answer_is_what_the_made_one_is() {
        for code in [ErrorCode::HeaderTooLarge, ErrorCode::BadRequest] {
            let text = std::str::from_utf8(raw(code)).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, format!("{code}: {}\n", detail(code)));
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
            assert!(head.contains(&format!("HTTP/1.1 {} ", code.http_status())), "{head}");
            assert!(head.contains(&format!("weft-error: {code}\r\n")), "{head}");
        }
    }

    #[test]
    fn grpc_callers_get_a_trailers_only_response_and_others_a_status() {
        let plain = response(ErrorCode::NoHealthyEndpoint, false, "x");
        assert_eq!(
            (plain.status().as_u16(), plain.headers()["weft-error"].as_bytes()),
            (503, &b"no-healthy-endpoint"[..])
        );
        let grpc = response(ErrorCode::NoHealthyEndpoint, true, "x");
        assert_eq!((grpc.status().as_u16(), grpc.headers()["grpc-status"].as_bytes()), (200, &b"14"[..]));
        assert_eq!(grpc.headers()["weft-error"].as_bytes(), b"no-healthy-endpoint");
    }

    #[test]
    fn a_fault_has_the_status_that_its_policy_says() {
        assert_eq!(fault(418, false).status().as_u16(), 418);
        let grpc = fault(403, true);
        assert_eq!((grpc.status().as_u16(), grpc.headers()["grpc-status"].as_bytes()), (200, &b"7"[..]));
        assert_eq!(grpc.headers()["weft-error"].as_bytes(), b"fault-injected");
    }
}
