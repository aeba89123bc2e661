//! HTTP/1.1 messages: the one request that the load repeats, the one answer that the backend gives, and where an
//! answer ends. Only `content-length` frames a body here: every peer passes it on.

use super::WireError;

/// The longest head that is waited for, in bytes.
const HEAD_MAX: usize = 8 * 1_024;
const HEAD_END: &[u8] = b"\r\n\r\n";
/// How a good answer begins.
const OK: &[u8] = b"HTTP/1.1 200";

/// A GET for a service by its host name.
pub fn request(host: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: weft-bench\r\naccept: */*\r\n\r\n")
        .into_bytes()
}

/// An answer of 200 with so many bytes.
pub fn answer(body_length: usize) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {body_length}\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + body_length, b'x');
    bytes
}

/// The length of the whole first request in `bytes`, which has no body; `None` = more is to come.
///
/// # Errors
/// When its head does not end.
pub fn request_length(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    head_length(bytes)
}

/// The length of the whole first answer in `bytes`, of which there may be fewer; `None` = more is to come.
///
/// # Errors
/// When it is not a 200 with a length.
pub fn answer_length(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    let Some(length) = head_length(bytes)? else { return Ok(None) };
    let head = bytes.get(..length).unwrap_or_default();
    let unexpected = || WireError::Unexpected(String::from_utf8_lossy(head).into_owned());
    if !head.starts_with(OK) {
        return Err(unexpected());
    }
    let body = head.split(|byte| *byte == b'\n').find_map(content_length).ok_or_else(unexpected)?;
    Ok(Some(length + body))
}

fn head_length(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    match bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END) {
        Some(at) => Ok(Some(at + HEAD_END.len())),
        None if bytes.len() > HEAD_MAX => Err(WireError::HeadTooLong(HEAD_MAX)),
        None => Ok(None),
    }
}

fn content_length(line: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    if !name.eq_ignore_ascii_case(NAME) {
        return None;
    }
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let bytes = answer(128);
        for cut in 0..bytes.len() {
            let said = answer_length(&bytes[..cut]).unwrap();
            assert!(said.is_none() || said == Some(bytes.len()), "{cut}: {said:?}");
        }
        let capitals = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(answer_length(capitals), Ok(Some(capitals.len())));
    }

    #[test]
    fn an_answer_that_is_no_200_or_has_no_length_is_an_error() {
        for text in ["HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(matches!(answer_length(text.as_bytes()), Err(WireError::Unexpected(_))), "{text}");
        }
        assert_eq!(answer_length(&[b'a'; HEAD_MAX + 1]), Err(WireError::HeadTooLong(HEAD_MAX)));
    }

    #[test]
    fn a_request_ends_with_its_head() {
        let bytes = request("orders", "/");
        assert_eq!(request_length(&bytes), Ok(Some(bytes.len())));
        assert_eq!(request_length(&bytes[..bytes.len() - 1]), Ok(None));
    }
}
