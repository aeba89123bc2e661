//! The Huffman code of HPACK (RFC 7541 appendix B). It is canonical: the lengths of its codes are the code.

/// The length of each byte's code, in bits; the last is that of the end of the string.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];
/// The longest code, in bits.
const LENGTH_MAX: u8 = 30;
/// The symbol that no string may hold.
const END: usize = 256;

/// The text of coded bytes.
///
/// # Errors
/// When they are no code, hold the end's symbol, or are padded with anything but the beginning of it.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let table = table();
    let mut text = Vec::new();
    let (mut code, mut length) = (0_u32, 0_u8);
    for byte in bytes {
        for bit in (0..8).rev() {
            code = (code << 1) | u32::from((byte >> bit) & 1);
            length += 1;
            if let Some((_, _, symbol)) =
                table.iter().find(|(bits, value, _)| (*bits, *value) == (length, code))
            {
                text.push(u8::try_from(*symbol).map_err(|_| "the end's symbol in a string".to_owned())?);
                (code, length) = (0, 0);
            } else if length >= LENGTH_MAX {
                return Err("no Huffman code".to_owned());
            }
        }
    }
    let is_padding = length < 8 && code == (1 << length) - 1;
    if is_padding { Ok(text) } else { Err("Huffman padding that is none".to_owned()) }
}

/// Length, code and symbol of each.
fn table() -> Vec<(u8, u32, usize)> {
    let mut symbols: Vec<usize> = (0..=END).collect();
    symbols.sort_by_key(|symbol| (LENGTHS[*symbol], *symbol));
    let mut table = Vec::new();
    let (mut code, mut before) = (0_u32, LENGTHS[symbols[0]]);
    for symbol in symbols {
        let length = LENGTHS[symbol];
        if !table.is_empty() {
            code = (code + 1) << (length - before);
        }
        before = length;
        table.push((length, code, symbol));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541 appendix C.4.1 and C.6.1.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let host = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decode(&host).unwrap(), b"www.example.com");
        assert_eq!(decode(&[0x64, 0x02]).unwrap(), b"302");
    }

    #[test]
    fn the_end_and_bad_padding_are_refused() {
        assert!(decode(&[0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(decode(&[0xf2]).is_err());
        assert!(decode(&[0x64, 0x02, 0xff]).is_err());
    }
}
