//! Where access records are written: standard output, or a file that does not grow without end. It knows lines
//! and sizes, and not what a record says.
//!
//! ```text
//!  line ─▶ buffer ─▶ FILE ──over FILE_BYTES_MAX──▶ FILE.1 (what was there goes), FILE anew
//! ```

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::config::AccessLog;

/// The write buffer, in bytes; it is flushed whenever no record waits.
const BUFFER_SIZE: usize = 64 * 1_024;
/// A file of records, in bytes: some 200,000 of them. With the one before it, a sidecar takes twice as much.
const FILE_BYTES_MAX: u64 = 64 * 1_024 * 1_024;
/// The name of the file before is that of the file and this.
const BEFORE: &str = ".1";

/// See the module.
pub(super) struct Writer {
    out: BufWriter<Box<dyn Write + Send>>,
    /// None where nothing grows: standard output, a pipe, `/dev/null`.
    file: Option<Growing>,
}

struct Growing {
    path: PathBuf,
    size: u64,
    size_max: u64,
}

impl Writer {
    /// `None` where no records are wanted.
    ///
    /// # Errors
    /// When the file cannot be opened for appending; the error names it and the flag.
    pub(super) fn open(log: &AccessLog) -> io::Result<Option<Self>> {
        match log {
            AccessLog::Off => Ok(None),
            AccessLog::Stdout => Ok(Some(Self::new(Box::new(io::stdout()), None))),
            AccessLog::File(path) => Self::append(path, FILE_BYTES_MAX).map(Some).map_err(|error| {
                let remedy = "give --access-log a file that this user may write, stdout or off";
                io::Error::new(error.kind(), format!("{}: {error}; {remedy}", path.display()))
            }),
        }
    }

    fn append(path: &Path, size_max: u64) -> io::Result<Self> {
        let file = open(path)?;
        let metadata = file.metadata()?;
        let growing =
            metadata.is_file().then(|| Growing { path: path.into(), size: metadata.len(), size_max });
        Ok(Self::new(Box::new(file), growing))
    }

    fn new(out: Box<dyn Write + Send>, file: Option<Growing>) -> Self {
        Self { out: BufWriter::with_capacity(BUFFER_SIZE, out), file }
    }

    /// Writes one record, a whole line, to the buffer.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.out.write_all(line)?;
        let Some(file) = &mut self.file else { return Ok(()) };
        file.size += line.len() as u64;
        if file.size >= file.size_max { self.begin_anew() } else { Ok(()) }
    }

    /// The buffer to the file.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        // If that fails, it is tried again after as much more.
        file.size = 0;
        let mut before = OsString::from(&file.path);
        before.push(BEFORE);
        self.out.flush()?;
        fs::rename(&file.path, before)?;
        self.out = BufWriter::with_capacity(BUFFER_SIZE, Box::new(open(&file.path)?));
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> usize {
        fs::read_to_string(path).unwrap_or_default().lines().count()
    }

    #[test]
    fn a_file_that_is_full_becomes_the_one_before_and_no_record_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        // What was written before counts: ten lines of ten bytes fill a file.
        fs::write(&path, "123456789\n").unwrap();
        let mut writer = Writer::append(&path, 100).unwrap();
        for _ in 0..14 {
            writer.write(b"123456789\n").unwrap();
        }
        writer.flush().unwrap();
        let before = dir.path().join("access.log.1");
        assert_eq!((lines(&before), lines(&path)), (10, 5));
        for _ in 0..5 {
            writer.write(b"123456789\n").unwrap();
        }
        assert_eq!((lines(&before), lines(&path)), (10, 0));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "one file before, and no more");
    }

    #[test]
    fn a_device_is_left_where_it_is() {
        let writer = Writer::append(Path::new("/dev/null"), 1).unwrap();
        assert!(writer.file.is_none());
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named_with_its_flag() {
        let error = Writer::open(&AccessLog::File("/nowhere/access.log".into())).map(|_| ()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("/nowhere/access.log: ") && text.contains("--access-log"), "{text}");
    }
}
