//! Bytes of a child's output in, lines out: pure. A line that grows too long is cut, so that a child that
//! never ends one cannot fill our memory.

/// The longest line, in bytes; the rest comes as the next.
pub(crate) const LINE_BYTES_MAX: usize = 16 * 1024;

/// What has come of the line that is not complete yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes what was read, and gives the lines that it completed.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for &byte in bytes {
            if byte == b'\n' {
                lines.push(self.cut());
                continue;
            }
            self.partial.push(byte);
            if self.partial.len() >= LINE_BYTES_MAX {
                lines.push(self.cut());
            }
        }
        lines
    }

    /// What is left at the end of the output, if it did not end a line.
    pub(crate) fn rest(&mut self) -> Option<String> {
        (!self.partial.is_empty()).then(|| self.cut())
    }

    fn cut(&mut self) -> String {
        let line = String::from_utf8_lossy(&self.partial).trim_end_matches('\r').to_owned();
        self.partial.clear();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_any_pieces() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"on"), Vec::<String>::new());
        assert_eq!(lines.push(b"e\r\ntwo\n\nth"), ["one", "two", ""]);
        assert_eq!(lines.rest().as_deref(), Some("th"));
        assert_eq!(lines.rest(), None);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut lines = Lines::default();
        let cut = lines.push(&vec![b'x'; 2 * LINE_BYTES_MAX + 1]);
        assert_eq!(cut.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES_MAX, LINE_BYTES_MAX]);
        assert_eq!(lines.rest().map(|rest| rest.len()), Some(1));
    }
}
