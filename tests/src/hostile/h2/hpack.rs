//! Header blocks (RFC 7541): a reader that knows the whole of it, and a writer that knows only literals, which is what a
//! test needs to say exactly what it means.

use std::collections::VecDeque;

use super::huffman;

/// The static table (RFC 7541 appendix A).
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];
/// What an entry costs beside its bytes (RFC 7541 section 4.1).
const ENTRY_OVERHEAD: usize = 32;
/// The table that neither side has changed.
const TABLE_SIZE: usize = 4_096;

/// A field.
pub type Field = (Vec<u8>, Vec<u8>);

/// The reader of one connection's blocks.
#[derive(Debug)]
pub struct Decoder {
    dynamic: VecDeque<Field>,
    size: usize,
    size_max: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { dynamic: VecDeque::new(), size: 0, size_max: TABLE_SIZE }
    }
}

impl Decoder {
    /// The fields of a whole block.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(&mut self, block: &[u8]) -> Result<Vec<Field>, String> {
        let mut at = 0;
        let mut fields = Vec::new();
        while let Some(first) = block.get(at).copied() {
            if first & 0x80 != 0 {
                let index = integer(block, &mut at, 7)?;
                fields.push(self.entry(index)?);
            } else if first & 0xc0 == 0x40 {
                let field = self.literal(block, &mut at, 6)?;
                self.insert(field.clone());
                fields.push(field);
            } else if first & 0xe0 == 0x20 {
                self.size_max = integer(block, &mut at, 5)?;
                if self.size_max > TABLE_SIZE {
                    return Err("a table larger than allowed".to_owned());
                }
                self.evict();
            } else {
                fields.push(self.literal(block, &mut at, 4)?);
            }
        }
        Ok(fields)
    }

    fn literal(&self, block: &[u8], at: &mut usize, bits: u32) -> Result<Field, String> {
        let index = integer(block, at, bits)?;
        let name = if index == 0 { string(block, at)? } else { self.entry(index)?.0 };
        Ok((name, string(block, at)?))
    }

    fn entry(&self, index: usize) -> Result<Field, String> {
        let place = index.checked_sub(1).ok_or("index 0")?;
        let fixed =
            STATIC.get(place).map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let own = || self.dynamic.get(place - STATIC.len()).cloned();
        fixed.or_else(own).ok_or_else(|| format!("index {index} of nothing"))
    }

    fn insert(&mut self, field: Field) {
        self.size += cost(&field);
        self.dynamic.push_front(field);
        self.evict();
    }

    fn evict(&mut self) {
        while self.size > self.size_max {
            let Some(field) = self.dynamic.pop_back() else { return };
            self.size -= cost(&field);
        }
    }
}

/// A block of literals without indexing, with plain strings.
pub fn encode(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            push_integer(&mut block, text.len(), 7);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn cost(field: &Field) -> usize {
    field.0.len() + field.1.len() + ENTRY_OVERHEAD
}

fn push_integer(block: &mut Vec<u8>, mut value: usize, bits: u32) {
    let most = (1 << bits) - 1;
    if value < most {
        return block.push(u8::try_from(value).unwrap_or_default());
    }
    block.push(u8::try_from(most).unwrap_or_default());
    value -= most;
    while value >= 128 {
        block.push(u8::try_from(value % 128 + 128).unwrap_or_default());
        value /= 128;
    }
    block.push(u8::try_from(value).unwrap_or_default());
}

fn integer(block: &[u8], at: &mut usize, bits: u32) -> Result<usize, String> {
    let mut next = || {
        let byte = block.get(*at).copied().ok_or("an integer that ends early");
        *at += 1;
        byte.map(usize::from)
    };
    let most = (1_usize << bits) - 1;
    let mut value = next()? & most;
    if value < most {
        return Ok(value);
    }
    for shift in (0..28).step_by(7) {
        let byte = next()?;
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("an integer that is too large".to_owned())
}

fn string(block: &[u8], at: &mut usize) -> Result<Vec<u8>, String> {
    let is_coded = block.get(*at).is_some_and(|byte| byte & 0x80 != 0);
    let length = integer(block, at, 7)?;
    let bytes = block.get(*at..*at + length).ok_or("a string that ends early")?;
    *at += length;
    if is_coded { huffman::decode(bytes) } else { Ok(bytes.to_vec()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(fields: &[Field]) -> Vec<String> {
        fields
            .iter()
            .map(|(name, value)| {
                format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
            })
            .collect()
    }

    /// RFC 7541 appendix C.4: three requests on one connection.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let mut decoder = Decoder::default();
        let first = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        let plain = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
        assert_eq!(shown(&decoder.decode(first).unwrap()), plain);
        let second = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
        let got = shown(&decoder.decode(second).unwrap());
        assert_eq!(got.last().map(String::as_str), Some("cache-control: no-cache"));
        let third = b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";
        let got = shown(&decoder.decode(third).unwrap());
        assert_eq!(got.last().map(String::as_str), Some("custom-key: custom-value"));
    }

    #[test]
    fn what_is_written_is_read() {
        let long = "v".repeat(5_000);
        let block = encode(&[(":path", "/"), ("x", &long)]);
        let fields = Decoder::default().decode(&block).unwrap();
        assert_eq!(fields, [(b":path".to_vec(), b"/".to_vec()), (b"x".to_vec(), long.into_bytes())]);
        assert!(Decoder::default().decode(&[0x80]).is_err());
        assert!(Decoder::default().decode(&[0xbe]).is_err());
    }
}
