//! The two ends around a peer, both on the load's core: the backend, which stays, and a load a round.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
};

use anyhow::Context;

use crate::{backend::Ports, process};

/// What answers; it ends when its standard input does, with this.
#[derive(Debug)]
pub struct Backend {
    child: Child,
    /// Where it answers.
    pub ports: Ports,
}

impl Backend {
    pub(super) fn start(core: usize, this: &Path) -> anyhow::Result<Self> {
        let mut child = process::on_core(core, this)
            .arg("backend")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the backend does not start; is `taskset` there?")?;
        let line = first_line(&mut child)?;
        let ports = serde_json::from_str(&line).context("the backend does not say its ports")?;
        Ok(Self { child, ports })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _gone_already = self.child.wait();
    }
}

/// What a child says first.
///
/// # Errors
/// When it says nothing.
pub fn first_line(child: &mut Child) -> anyhow::Result<String> {
    let out = child.stdout.as_mut().context("its output is not a pipe")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    anyhow::ensure!(!line.is_empty(), "a child of the bench ended before it said anything");
    Ok(line)
}
