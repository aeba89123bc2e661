//! What a person sees of `weft up`: one line a line of output, with the process's name in front, in its own
//! colour. One thread owns standard output; everyone else hands it lines over a bounded queue, so a terminal
//! that is stopped holds the children's output back and not the supervision.

use std::{
    io::{self, Write},
    sync::Arc,
    thread::JoinHandle,
};

use owo_colors::{AnsiColors, OwoColorize};
use tokio::sync::mpsc;

/// Lines on their way to the terminal; a child whose line is one more waits.
const QUEUE_LINES: usize = 256;
/// What the tool itself is called in front of its lines.
const OWN_NAME: &str = "weft";
/// Told apart well on dark and on light ground; red is left for errors.
const COLOURS: [AnsiColors; 6] = [
    AnsiColors::Cyan,
    AnsiColors::Yellow,
    AnsiColors::Green,
    AnsiColors::Magenta,
    AnsiColors::Blue,
    AnsiColors::BrightCyan,
];

/// Where lines go. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    lines: mpsc::Sender<Line>,
}

/// The thread that writes; ends when the last [`Console`] is gone.
#[derive(Debug)]
pub(crate) struct Writer(JoinHandle<()>);

#[derive(Debug)]
struct Line {
    source: Option<Source>,
    text: String,
}

/// A process as the console knows it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    name: Arc<str>,
    colour: AnsiColors,
}

impl Source {
    /// The `index`th process.
    pub(crate) fn new(name: &str, index: usize) -> Self {
        let colour = COLOURS.iter().cycle().nth(index % COLOURS.len()).copied().unwrap_or(AnsiColors::White);
        Self { name: name.into(), colour }
    }
}

impl Console {
    /// Starts the writer. `width` is that of the longest name.
    pub(crate) fn start(width: usize, colour: bool) -> io::Result<(Self, Writer)> {
        let (lines, queue) = mpsc::channel(QUEUE_LINES);
        let width = width.max(OWN_NAME.len());
        let thread = std::thread::Builder::new()
            .name("console".into())
            .spawn(move || write_all(queue, width, colour))?;
        Ok((Self { lines }, Writer(thread)))
    }

    /// A line of a process.
    pub(crate) async fn line(&self, source: &Source, text: String) {
        let _writer_ended = self.lines.send(Line { source: Some(source.clone()), text }).await;
    }

    /// A line of the tool itself.
    pub(crate) async fn say(&self, text: impl Into<String>) {
        let _writer_ended = self.lines.send(Line { source: None, text: text.into() }).await;
    }
}

impl Writer {
    /// Waits until everything is written. Drop every [`Console`] first.
    pub(crate) fn finish(self) {
        let _panicked = self.0.join();
    }
}

/// A reader that has gone away (`weft up | head`) is no reason to stop the mesh: what comes then is dropped.
fn write_all(mut queue: mpsc::Receiver<Line>, width: usize, colour: bool) {
    while let Some(line) = queue.blocking_recv() {
        let _reader_gone = write_line(&line, width, colour);
    }
}

fn write_line(line: &Line, width: usize, colour: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let text = &line.text;
    match (&line.source, colour) {
        (Some(source), true) => {
            writeln!(out, "{} {text}", format!("{:width$} |", source.name).color(source.colour))
        }
        (Some(source), false) => writeln!(out, "{:width$} | {text}", source.name),
        (None, true) => writeln!(out, "{} {text}", format!("{OWN_NAME:width$} |").bold()),
        (None, false) => writeln!(out, "{OWN_NAME:width$} | {text}"),
    }
}
