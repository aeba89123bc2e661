//! Blocks of compressed headers (RFC 7541) made once and repeated: the first on a connection puts its fields
//! into the table, as clients do, and each later one names them by their place there.

/// The static table has 61 entries: the newest of the dynamic one is here (section 2.3.3).
const DYNAMIC_FIRST: usize = 62;
/// A literal with incremental indexing and a new name (section 6.2.1).
const LITERAL_INDEXED: u8 = 0x40;
/// A literal that is not put into the table, with a new name (section 6.2.2).
const LITERAL: u8 = 0;
/// From here on the table has no room (section 6.3).
const TABLE_EMPTY: u8 = 0x20;
/// An indexed field (section 6.1).
const INDEXED: u8 = 0x80;
/// The longest integer that fits the seven bits of its prefix, and so the longest name or value.
const SHORT_MAX: u8 = 126;

/// One list of headers, as it is sent at first and from then on. A connection sends one such list only: places
/// in the table count from its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    first: Vec<u8>,
    later: Vec<u8>,
    plain: Vec<u8>,
}

/// Whether a connection has sent its block before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent(bool);

impl Block {
    /// Of few fields with short names and values.
    pub fn new(fields: &[(&str, &str)]) -> Self {
        let mut plain = vec![TABLE_EMPTY];
        put_plain(&mut plain, fields);
        let mut block = Self { first: Vec::new(), later: Vec::new(), plain };
        for (place, field) in fields.iter().enumerate() {
            put_literal(&mut block.first, LITERAL_INDEXED, field);
            block.later.push(INDEXED | short(DYNAMIC_FIRST + fields.len() - 1 - place));
        }
        block
    }

    /// The bytes to send next, to a peer with a table or without one.
    pub fn next(&self, sent: &mut Sent, has_table: bool) -> &[u8] {
        if !has_table {
            return &self.plain;
        }
        if std::mem::replace(&mut sent.0, true) { &self.later } else { &self.first }
    }
}

/// A list of headers that leaves the table as it is.
pub fn plain(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_plain(&mut bytes, fields);
    bytes
}

fn put_plain(out: &mut Vec<u8>, fields: &[(&str, &str)]) {
    for field in fields {
        put_literal(out, LITERAL, field);
    }
}

fn put_literal(out: &mut Vec<u8>, form: u8, (name, value): &(&str, &str)) {
    out.push(form);
    for text in [name, value] {
        let bytes = text.as_bytes();
        let length = short(bytes.len());
        out.push(length);
        out.extend_from_slice(bytes.get(..usize::from(length)).unwrap_or_default());
    }
}

fn short(number: usize) -> u8 {
    u8::try_from(number).map_or(SHORT_MAX, |number| number.min(SHORT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_once_and_then_named_by_their_place() {
        let block = Block::new(&[("a", "1"), ("bc", "2")]);
        let mut sent = Sent::default();
        assert_eq!(block.next(&mut sent, true), b"\x40\x01a\x011\x40\x02bc\x012");
        // The one put in last is the newest.
        assert_eq!(block.next(&mut sent, true), [0x80 | 63, 0x80 | 62]);
        assert_eq!(block.next(&mut sent, false), b"\x20\x00\x01a\x011\x00\x02bc\x012");
        assert_eq!(plain(&[("a", "1")]), b"\x00\x01a\x011");
    }
}
