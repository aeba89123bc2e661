//! The comparison as a document: a line a case, a column a proxy, and the reasons where Weft stands alone.

use std::fmt::Write;

use super::outcome::Verdict;

/// One line.
#[derive(Debug)]
pub struct Line {
    /// The case's name.
    pub name: &'static str,
    /// Where its rule stands.
    pub rfc: &'static str,
    /// Why Weft differs from all, if it may.
    pub why: &'static str,
    /// At the sidecar's outbound port.
    pub ours: Verdict,
    /// At the peers, in their order; `None` where one is not installed.
    pub theirs: Vec<Option<Verdict>>,
}

/// What is shown of a proxy.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name and version.
    pub title: String,
}

/// What a line of the summary counts.
type IsKind = fn(&Verdict) -> bool;

/// What the document says of itself.
const OPENING: &str = "\
# Hostile inputs

What Weft, nginx, HAProxy and Envoy make of malformed, ambiguous and hostile HTTP, each at its defaults in front of a
backend that keeps every byte. The inputs are the tables of `tests/src/hostile/`, written from the MUSTs of RFC 9110, 9112,
9113 and 7541. This file is written by `make hostile`; do not edit it.

- *refused N*: nothing whole reached the backend, the client was answered N. *closed*: the same, without an answer.
- *forwarded*: the backend got one message, well formed to the strictest reader (`tests/src/hostile/strict.rs`), with one
  framing; *forwarded 2*: so many messages, as were meant.
- *passed N*: the upstream's answer reached the client whole, with status N, and the next request was answered as usual.
  *answered N*: the proxy answered N in its place. *broken off*: the client saw that the answer is not whole.
- *goaway N*, *reset N*: the HTTP/2 connection, or its stream, ended with this error code; *goes on*: neither did.
- **ambiguous**: the backend, or the client, got what two readers could read differently, or a next request suffered.
  The peers' entries are by the same strict reader: some are harmless where the server behind is known.

The sidecar forwards HTTP/2 as HTTP/2; the peers are set to forward it as HTTP/1.1, which is where most of them stand.
Entries that depend on time may differ from run to run: what becomes of floods, and what a peer forwards of streams that
were reset (a backend may get some of them late, which then counts for the case after).

";

/// The whole document.
pub fn document(columns: &[Column], sections: &[(&str, Vec<Line>)]) -> String {
    let mut text = String::from(OPENING);
    summary(&mut text, columns, sections);
    for (title, lines) in sections {
        let _ = write!(text, "\n## {title}\n\n| case | RFC | Weft |");
        for column in columns {
            let _ = write!(text, " {} |", column.title);
        }
        let _ = write!(text, "\n|---|---|---|{}\n", "---|".repeat(columns.len()));
        for line in lines {
            let _ = write!(text, "| {} | {} | {} |", line.name, line.rfc, line.ours);
            for verdict in &line.theirs {
                let _ = match verdict {
                    Some(verdict) => write!(text, " {verdict} |"),
                    None => write!(text, " - |"),
                };
            }
            text.push('\n');
        }
    }
    reasons(&mut text, sections);
    text
}

/// Whether Weft stands alone: all peers were asked, and none did the same.
pub fn stands_alone(line: &Line) -> bool {
    line.theirs.iter().all(|verdict| verdict.as_ref().is_some_and(|theirs| !line.ours.is_like(theirs)))
}

fn summary(text: &mut String, columns: &[Column], sections: &[(&str, Vec<Line>)]) {
    let lines: Vec<&Line> = sections.iter().flat_map(|(_, lines)| lines).collect();
    let _ = writeln!(text, "| of {} inputs | Weft |{}", lines.len(), titles(columns));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(columns.len()));
    let kinds: [(&str, IsKind); 3] = [
        ("ambiguous", |verdict| matches!(verdict, Verdict::Ambiguous(_))),
        ("refused, ended, or not passed on", |verdict| {
            let is_ended = matches!(verdict, Verdict::Connection(_) | Verdict::Stream(_));
            is_ended || matches!(verdict, Verdict::Refused(_) | Verdict::Answered(_))
        }),
        ("forwarded or passed on, unambiguous", |verdict| {
            matches!(verdict, Verdict::Forwarded(_) | Verdict::Passed(_) | Verdict::Alive)
        }),
    ];
    for (kind, is_kind) in kinds {
        let ours = lines.iter().filter(|line| is_kind(&line.ours)).count();
        let _ = write!(text, "| {kind} | {ours} |");
        for place in 0..columns.len() {
            let theirs = lines.iter().filter_map(|line| line.theirs.get(place)?.as_ref());
            let _ = write!(text, " {} |", theirs.filter(|verdict| is_kind(verdict)).count());
        }
        text.push('\n');
    }
}

fn titles(columns: &[Column]) -> String {
    columns.iter().fold(String::new(), |text, column| text + " " + &column.title + " |")
}

fn reasons(text: &mut String, sections: &[(&str, Vec<Line>)]) {
    text.push_str("\n## Where Weft does otherwise than each peer\n\n");
    for line in sections.iter().flat_map(|(_, lines)| lines).filter(|line| stands_alone(line)) {
        let _ = writeln!(text, "- `{}` ({}): {}.", line.name, line.ours, line.why);
    }
}
