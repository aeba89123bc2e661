//! The strictest reader of HTTP/1 there is: what it takes, every reader takes, and in the same way. A message that
//! could be read in two ways is an error that says which. It knows no socket.

/// A message, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The first line, without its end.
    pub start: String,
    /// Names in lower case, in order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Without its framing.
    pub body: Vec<u8>,
}

/// How many bytes the message took, and the message; `None` while bytes are missing.
pub type Read = Result<Option<(Message, usize)>, String>;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

/// A chunk size of more digits is read differently by those who have 32 bits, or 64.
const CHUNK_DIGITS_MAX: usize = 8;
/// A length of more digits likewise.
const LENGTH_DIGITS_MAX: usize = 18;

impl Message {
    /// The only value of a field; none if it is absent or there are several.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.fields.iter().filter(|(given, _)| given == name).map(|(_, value)| value);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// How many of this field there are.
    pub fn count(&self, name: &str) -> usize {
        self.fields.iter().filter(|(given, _)| given == name).count()
    }

    /// The n-th word of the first line.
    pub fn word(&self, place: usize) -> &str {
        self.start.split(' ').nth(place).unwrap_or_default()
    }

    /// A response's status.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }
}

/// Reads one request from the front of `bytes`.
///
/// # Errors
/// What two readers could read differently.
pub fn request(bytes: &[u8]) -> Read {
    let Some((head, length)) = head(bytes)? else { return Ok(None) };
    let words: Vec<&str> = head.start.split(' ').collect();
    let [method, target, version] = words.as_slice() else {
        return Err(format!("a request line of {} words: {:?}", words.len(), head.start));
    };
    if method.is_empty() || !method.bytes().all(is_token) {
        return Err(format!("a method that is no token: {method:?}"));
    }
    if target.is_empty() || !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(format!("a target with bytes that none has: {target:?}"));
    }
    if *target == "*" && *method != "OPTIONS" {
        return Err("the target * without OPTIONS".to_owned());
    }
    let is_absolute = target.starts_with("http://") || target.starts_with("https://");
    if !(target.starts_with('/') || *target == "*" || is_absolute) {
        return Err(format!("a target of no form: {target:?}"));
    }
    let is_11 = match *version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        other => return Err(format!("a version that is none: {other:?}")),
    };
    host(&head, is_11)?;
    let framing = framing(&head, is_11, Framing::None)?;
    body(bytes, head, length, framing, false)
}

/// Reads one response to a request by `method`; `ended` says that no more bytes will come.
///
/// # Errors
/// What two readers could read differently.
pub fn response(bytes: &[u8], method: &str, ended: bool) -> Read {
    let Some((head, length)) = head(bytes)? else { return Ok(None) };
    let is_11 = match head.word(0) {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        other => return Err(format!("a version that is none: {other:?}")),
    };
    let digits = head.word(1);
    if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) || head.status() < 100 {
        return Err(format!("a status that is none: {:?}", head.start));
    }
    let status = head.status();
    let framed = head.count("content-length") + head.count("transfer-encoding");
    if framed > 0 && (status < 200 || status == 204) {
        return Err(format!("a length where there can be no body: {status}"));
    }
    let mut framing = framing(&head, is_11, Framing::UntilClose)?;
    let is_tunnel = method == "CONNECT" && (200..300).contains(&status);
    if status < 200 || matches!(status, 204 | 304) || method == "HEAD" || is_tunnel {
        framing = Framing::None;
    }
    body(bytes, head, length, framing, ended)
}

fn head(bytes: &[u8]) -> Result<Option<(Message, usize)>, String> {
    let Some((start, mut at)) = line(bytes)? else { return Ok(None) };
    let start = text(start)?;
    let mut fields = Vec::new();
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some((field, length)) = line(rest)? else { return Ok(None) };
        at += length;
        if field.is_empty() {
            return Ok(Some((Message { start, fields, body: Vec::new() }, at)));
        }
        fields.push(self::field(field)?);
    }
}

/// A line up to its CRLF, and its length with it.
fn line(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, String> {
    for (at, byte) in bytes.iter().enumerate() {
        let line = bytes.get(..at).unwrap_or_default();
        match (byte, bytes.get(at + 1)) {
            (b'\r', Some(b'\n')) => return Ok(Some((line, at + 2))),
            (b'\r', None) => return Ok(None),
            (b'\r', Some(_)) => return Err(format!("a bare CR after {}", shown(line))),
            (b'\n', _) => return Err(format!("a bare LF after {}", shown(line))),
            (0, _) => return Err(format!("a NUL after {}", shown(line))),
            _ => {}
        }
    }
    Ok(None)
}

fn field(line: &[u8]) -> Result<(String, Vec<u8>), String> {
    if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        return Err(format!("a folded line {}", shown(line)));
    }
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = colon
        .and_then(|at| line.split_at_checked(at))
        .ok_or_else(|| format!("no colon in {}", shown(line)))?;
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(format!("a field name that is no token {}", shown(name)));
    }
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    if let Some(byte) = value.iter().find(|byte| (**byte < b' ' && **byte != b'\t') || **byte == 0x7f) {
        return Err(format!("a control byte {byte:#x} in a field's value {}", shown(value)));
    }
    let name = text(name)?.to_ascii_lowercase();
    if matches!(name.as_str(), "content_length" | "transfer_encoding") {
        return Err(format!("{name}, which many a gateway reads as the field with hyphens"));
    }
    Ok((name, value.to_vec()))
}

fn host(head: &Message, is_11: bool) -> Result<(), String> {
    match head.count("host") {
        1 => {}
        0 if !is_11 => return Ok(()),
        count => return Err(format!("{count} hosts")),
    }
    let host = head.field("host").unwrap_or_default();
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte);
    if host.iter().all(good) { Ok(()) } else { Err(format!("a host that is none {}", shown(host))) }
}

fn framing(head: &Message, is_11: bool, default: Framing) -> Result<Framing, String> {
    match (head.count("transfer-encoding"), head.count("content-length")) {
        (0, 0) => Ok(default),
        (0, 1) => {
            let value = head.field("content-length").unwrap_or_default();
            let good = (1..=LENGTH_DIGITS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
            let length = text(value)?.parse().ok().filter(|_| good);
            length.map(Framing::Length).ok_or_else(|| format!("a length that is none {}", shown(value)))
        }
        (1, 0) => {
            let value = head.field("transfer-encoding").unwrap_or_default();
            match value.eq_ignore_ascii_case(b"chunked") && is_11 {
                true => Ok(Framing::Chunked),
                false => Err(format!("a transfer coding that not all read {}", shown(value))),
            }
        }
        (codings, lengths) => Err(format!("{codings} transfer codings beside {lengths} lengths")),
    }
}

fn body(bytes: &[u8], mut head: Message, at: usize, framing: Framing, ended: bool) -> Read {
    let rest = bytes.get(at..).unwrap_or_default();
    match framing {
        Framing::None => Ok(Some((head, at))),
        Framing::Length(length) => Ok(rest.get(..length).map(|body| {
            head.body = body.to_vec();
            (head, at + length)
        })),
        Framing::Chunked => {
            let Some((body, length)) = chunks(rest)? else { return Ok(None) };
            head.body = body;
            Ok(Some((head, at + length)))
        }
        Framing::UntilClose if ended => {
            head.body = rest.to_vec();
            Ok(Some((head, bytes.len())))
        }
        Framing::UntilClose => Ok(None),
    }
}

fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some((size, length)) = line(bytes.get(at..).unwrap_or_default())? else { return Ok(None) };
        at += length;
        let digits = size.split(|byte| *byte == b';').next().unwrap_or_default();
        let good = (1..=CHUNK_DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
        let size = usize::from_str_radix(&text(digits)?, 16).ok().filter(|_| good);
        let size = size.ok_or_else(|| format!("a chunk size that is none {}", shown(digits)))?;
        if size == 0 {
            break;
        }
        let Some(chunk) = bytes.get(at..at + size) else { return Ok(None) };
        body.extend_from_slice(chunk);
        at += size;
        match bytes.get(at..at + 2) {
            Some(b"\r\n") => at += 2,
            Some(other) => return Err(format!("a chunk that ends in {}", shown(other))),
            None => return Ok(None),
        }
    }
    trailers(bytes, at).map(|end| end.map(|end| (body, end)))
}

fn trailers(bytes: &[u8], mut at: usize) -> Result<Option<usize>, String> {
    loop {
        let Some((field, length)) = line(bytes.get(at..).unwrap_or_default())? else { return Ok(None) };
        at += length;
        if field.is_empty() {
            return Ok(Some(at));
        }
        let (name, _) = self::field(field)?;
        if ["content-length", "transfer-encoding", "host", "trailer", "connection"].contains(&name.as_str()) {
            return Err(format!("{name} in a trailer"));
        }
    }
}

/// A byte of a token (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| format!("bytes that are no text {}", shown(bytes)))
}

fn shown(bytes: &[u8]) -> String {
    let start = bytes.get(..bytes.len().min(40)).unwrap_or_default();
    format!("`{}`", start.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Message {
        request(bytes).unwrap().unwrap().0
    }

    #[test]
    fn a_plain_request_is_read_with_its_body() {
        let message = whole(b"POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!((message.word(1), message.body.as_slice()), ("/a", b"hi".as_slice()));
        let chunked =
            b"POST /a HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n";
        assert_eq!(whole(chunked).body, b"hi");
        for end in 0..chunked.len() {
            assert_eq!(request(&chunked[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn what_two_could_read_differently_is_an_error() {
        for bytes in [
            &b"GET / HTTP/1.1\nHost: a\n\n"[..],
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
            b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert!(request(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_response_without_a_length_ends_with_its_connection() {
        let bytes = b"HTTP/1.1 200 OK\r\n\r\nrest";
        assert_eq!(response(bytes, "GET", false), Ok(None));
        assert_eq!(response(bytes, "GET", true).unwrap().unwrap().0.body, b"rest");
        assert_eq!(response(bytes, "HEAD", false).unwrap().unwrap().1, 19);
    }
}
