//! What commands print: tables for people, JSON for programs. It knows columns and cells, not what they mean.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// How a result looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For people, with more columns.
    Wide,
    /// For programs: one value.
    Json,
}

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal.
    #[default]
    Auto,
    /// Also into a file.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// For standard output; `no_color` is what the variable of that name says (no-color.org).
    pub fn applies(self, no_color: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => !no_color && io::stdout().is_terminal(),
        }
    }
}

/// Prints a value as JSON.
///
/// # Errors
/// When standard output is closed.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Prints a line.
///
/// # Errors
/// When standard output is closed.
pub fn line(text: impl AsRef<str>) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{}", text.as_ref())?;
    Ok(())
}

/// Prints bytes as they are.
///
/// # Errors
/// When standard output is closed.
pub fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Says something to the person beside the result.
pub fn note(text: impl AsRef<str>) {
    let _nobody_reads = writeln!(io::stderr(), "{}", text.as_ref());
}

/// Writes over the last line of the terminal that the person looks at; an empty text wipes it.
pub fn progress(text: impl AsRef<str>) {
    let mut err = io::stderr();
    let _nobody_reads = write!(err, "\r\x1b[2K{}", text.as_ref()).and_then(|()| err.flush());
}

/// Prints rows below headings, without frames, as wide as they need to be: what is piped is not cut.
///
/// # Errors
/// When standard output is closed.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    line(layout(headings, rows))
}

/// The table as text.
pub fn layout(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| if cell.is_empty() { "-" } else { cell }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [vec!["orders".to_owned(), "3".into()], vec!["a".into(), String::new()]];
        assert_eq!(layout(&["service", "passing"], &rows), "SERVICE  PASSING\norders   3\na        -");
    }

    #[test]
    fn no_color_counts_only_where_nobody_has_decided() {
        assert!(Colour::Always.applies(true));
        assert!(!Colour::Never.applies(false) && !Colour::Auto.applies(true));
    }
}
