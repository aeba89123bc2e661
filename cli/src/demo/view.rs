//! What a person sees of the demo: with a terminal a picture that is painted over itself, else a line now and
//! then; a summary at the end. It decides nothing.

use std::{
    io::{self, Write},
    time::Duration,
};

use owo_colors::OwoColorize;

use super::{script::Note, tally::Tally};
use crate::{
    output,
    up::board::{ReplicaStatus, Status},
};

/// Between two pictures, and between two lines without a terminal.
const PICTURE_INTERVAL: Duration = Duration::from_millis(500);
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// Events in the picture.
const NOTES_SHOWN: usize = 6;
/// Back to the first line of the last picture, and everything from there cleared (ECMA-48 CPL and ED).
fn back(lines: usize) -> String {
    format!("\x1b[{lines}F\x1b[J")
}

/// The demo's output.
#[derive(Debug)]
pub(super) struct View {
    live: bool,
    colour: bool,
    painted: usize,
    next: Duration,
    said: usize,
    sent_before: (Duration, u64),
}

impl View {
    /// With a picture, or with lines.
    pub(super) const fn new(live: bool, colour: bool) -> Self {
        Self { live, colour, painted: 0, next: PICTURE_INTERVAL, said: 0, sent_before: (Duration::ZERO, 0) }
    }

    /// One line.
    pub(super) fn say(&mut self, text: &str) -> anyhow::Result<()> {
        output::line(text)
    }

    /// What is so now.
    pub(super) fn show(
        &mut self,
        now: Duration,
        tally: &Tally,
        status: &Status,
        notes: &[Note],
    ) -> anyhow::Result<()> {
        if !self.live {
            for note in notes.iter().skip(self.said) {
                self.event(note)?;
            }
            self.said = notes.len();
        }
        if now < self.next {
            return Ok(());
        }
        if self.live {
            self.next = now + PICTURE_INTERVAL;
            return self.paint(now, tally, status, notes);
        }
        self.next = now + LINE_INTERVAL;
        let shares: Vec<_> = tally.by_replica.iter().map(|(name, count)| format!("{name} {count}")).collect();
        output::line(format!(
            "{:>5.1} s  {} requests, {} failed, p99 {:.1} ms  |  {}",
            now.as_secs_f64(),
            tally.sent,
            tally.failed,
            tally.latency_ms(0.99),
            shares.join(", ")
        ))
    }

    /// What it was, all in all.
    pub(super) fn summary(
        &mut self,
        tally: &Tally,
        notes: &[Note],
        took: Duration,
        left: usize,
    ) -> anyhow::Result<()> {
        if self.live {
            output::line("")?;
            for note in notes {
                self.event(note)?;
            }
        }
        output::line("")?;
        let rows = vec![vec![
            tally.sent.to_string(),
            tally.failed.to_string(),
            format!("{:.1} ms", tally.latency_ms(0.5)),
            format!("{:.1} ms", tally.latency_ms(0.99)),
            format!("{:.1} ms", tally.latency_ms(1.0)),
            format!("{:.0} s", took.as_secs_f64()),
        ]];
        output::table(&["requests", "failed", "p50", "p99", "longest", "time"], &rows)?;
        output::line("")?;
        let rows: Vec<_> =
            tally.by_replica.iter().map(|(name, count)| vec![name.clone(), count.to_string()]).collect();
        output::table(&["replica", "answers"], &rows)?;
        output::line("")?;
        for failure in &tally.failures {
            output::line(format!("failed: {failure}"))?;
        }
        let verdict =
            if tally.failed == 0 && tally.sent > 0 { "no request failed" } else { "requests failed" };
        output::line(format!("{verdict}; {left} processes left behind"))
    }

    fn event(&self, note: &Note) -> anyhow::Result<()> {
        let line = format!("{:>5.1} s  {}", note.at.as_secs_f64(), note.text);
        if self.colour { output::line(line.bold().to_string()) } else { output::line(line) }
    }

    fn paint(&mut self, now: Duration, tally: &Tally, status: &Status, notes: &[Note]) -> anyhow::Result<()> {
        let text = self.picture(now, tally, status, notes);
        let mut out = io::stdout().lock();
        if self.painted > 0 {
            write!(out, "{}", back(self.painted))?;
        }
        // No wrapping meanwhile (DECAWM): the lines of a picture are counted for the way back.
        writeln!(out, "\x1b[?7l{text}\x1b[?7h")?;
        out.flush()?;
        self.painted = text.lines().count();
        Ok(())
    }

    fn picture(&mut self, now: Duration, tally: &Tally, status: &Status, notes: &[Note]) -> String {
        let (then, sent) = std::mem::replace(&mut self.sent_before, (now, tally.sent));
        let seconds = now.saturating_sub(then).as_secs_f64().max(0.001);
        let new = u32::try_from(tally.sent.saturating_sub(sent)).unwrap_or(u32::MAX);
        let control = status.control_plane.http.as_deref().unwrap_or("-");
        let edge = status.edge.outbound.as_deref().unwrap_or("-");
        let mut lines = vec![
            format!(
                "{} for {:.0} s: control plane {control}, your way in {edge}",
                status.mesh,
                now.as_secs_f64()
            ),
            format!(
                "{} requests ({:.0}/s), {} failed, p50 {:.1} ms, p99 {:.1} ms",
                tally.sent,
                f64::from(new) / seconds,
                tally.failed,
                tally.latency_ms(0.5),
                tally.latency_ms(0.99)
            ),
            String::new(),
        ];
        let rows: Vec<_> = status.replicas.iter().map(|replica| row(replica, tally)).collect();
        let table =
            output::layout(&["replica", "state", "answers", "sidecar", "application", "restarts"], &rows);
        lines.extend(table.lines().map(str::to_owned));
        lines.push(String::new());
        for note in notes.iter().skip(notes.len().saturating_sub(NOTES_SHOWN)) {
            lines.push(format!("{:>5.1} s  {}", note.at.as_secs_f64(), note.text));
        }
        lines.push(format!("try: curl -x {edge} http://api-server/accounts/biology     Ctrl-C ends it"));
        lines.join("\n")
    }
}

fn row(replica: &ReplicaStatus, tally: &Tally) -> Vec<String> {
    let state = match (replica.app_pid, replica.sidecar_pid) {
        (Some(_), _) => "runs",
        (None, Some(_)) => "starts",
        (None, None) => "is down",
    };
    let pid = |pid: Option<u32>| pid.map(|pid| pid.to_string()).unwrap_or_default();
    vec![
        replica.instance.clone(),
        state.into(),
        tally.by_replica.get(&replica.instance).map(ToString::to_string).unwrap_or_default(),
        pid(replica.sidecar_pid),
        pid(replica.app_pid),
        replica.restarts.to_string(),
    ]
}
