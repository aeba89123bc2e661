//! The lines of an export, as JSON. Knows no store.

use std::io::{BufRead, Read as _, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{TRANSFER_FORMAT, TransferError};
use crate::store::{Revision, Versioned};

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// The format number; its name says what the file is.
    pub(super) weft_store: u32,
    pub(super) id: String,
    pub(super) revision: Revision,
}

/// The part of the first line that every format has.
#[derive(Debug, Deserialize)]
struct AnyHeader {
    weft_store: u32,
}

/// One key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyLine {
    pub(super) key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    create_revision: Revision,
    mod_revision: Revision,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trailer {
    pub(super) keys: u64,
    /// Keys that were left out, because a lease held them.
    pub(super) leased: u64,
}

/// What may follow the header.
#[derive(Debug)]
pub(super) enum Line {
    Key(KeyLine),
    Trailer(Trailer),
}

/// Reads line by line and counts them.
pub(super) struct Reader<'a> {
    input: &'a mut dyn BufRead,
    bytes_max: u64,
    line: u64,
}

impl From<&Versioned> for KeyLine {
    fn from(entry: &Versioned) -> Self {
        let text = std::str::from_utf8(&entry.value).ok().map(str::to_owned);
        let base64 = text.is_none().then(|| STANDARD.encode(&entry.value));
        Self {
            key: entry.key.to_string(),
            value: text,
            base64,
            create_revision: entry.create_revision,
            mod_revision: entry.mod_revision,
        }
    }
}

impl KeyLine {
    /// The bytes of the value, or what is wrong with it.
    pub(super) fn value(self) -> Result<Bytes, String> {
        match (self.value, self.base64) {
            (Some(text), None) => Ok(text.into()),
            (None, Some(text)) => {
                STANDARD.decode(text).map(Bytes::from).map_err(|error| format!("`base64`: {error}"))
            }
            (Some(_), Some(_)) => Err("both `value` and `base64`".to_owned()),
            (None, None) => Err("neither `value` nor `base64`".to_owned()),
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a mut dyn BufRead, bytes_max: u64) -> Self {
        Self { input, bytes_max, line: 0 }
    }

    /// The first line, of a format we know.
    pub(super) fn header(&mut self) -> Result<Header, TransferError> {
        let text = self.text()?.ok_or(TransferError::CutOff { keys: 0 })?;
        let any: AnyHeader = self.parse(&text)?;
        if any.weft_store > TRANSFER_FORMAT {
            return Err(TransferError::NewerFormat { found: any.weft_store });
        }
        self.parse(&text)
    }

    /// The next line after the header; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Line>, TransferError> {
        let Some(text) = self.text()? else { return Ok(None) };
        // Told apart by their first field, so that an error is about the kind that was meant.
        let line = if text.starts_with("{\"keys\"") {
            Line::Trailer(self.parse(&text)?)
        } else {
            Line::Key(self.parse(&text)?)
        };
        Ok(Some(line))
    }

    /// An error about the line read last.
    pub(super) fn bad(&self, reason: impl Into<String>) -> TransferError {
        TransferError::BadLine { line: self.line, reason: reason.into() }
    }

    fn text(&mut self) -> Result<Option<String>, TransferError> {
        self.line += 1;
        let mut text = String::new();
        let read = self.input.take(self.bytes_max).read_line(&mut text);
        let read = read.map_err(|source| TransferError::File { action: "read", source })?;
        match text.strip_suffix('\n') {
            Some(line) => Ok(Some(line.to_owned())),
            None if read as u64 == self.bytes_max => {
                Err(self.bad(format!("longer than {} bytes", self.bytes_max)))
            }
            // A last line without its end was cut off, unless there is none at all.
            None => Ok(None),
        }
    }

    fn parse<'t, T: Deserialize<'t>>(&self, text: &'t str) -> Result<T, TransferError> {
        serde_json::from_str(text).map_err(|error| self.bad(error.to_string()))
    }
}

/// One line.
pub(super) fn write(out: &mut dyn Write, line: &impl Serialize) -> Result<(), TransferError> {
    serde_json::to_writer(&mut *out, line)
        .map_err(std::io::Error::from)
        .and_then(|()| out.write_all(b"\n"))
        .map_err(|source| TransferError::File { action: "written", source })
}
