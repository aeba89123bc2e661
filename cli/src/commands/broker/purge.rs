//! `weft purge`: takes out all that waits in a queue, after a question.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Context;

use super::{columns::text, queues::no_queue};
use crate::{args::PurgeOptions, broker::Management, commands::Answer, output};

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64;

/// Asks, and purges.
pub(super) async fn run(options: &PurgeOptions) -> anyhow::Result<Answer> {
    let PurgeOptions { queue: name, vhost, .. } = options;
    let management = Management::new(&options.management)?;
    let Some(queue) = management.queue(vhost, name).await? else { return no_queue(vhost, name) };
    let ready = text(&queue, "/messages_ready");
    if !options.yes && !agrees(&format!("Take the {ready} messages out of {name} for ever?"))? {
        output::note("nothing was purged");
        return Ok(Answer::No);
    }
    if !management.purge(vhost, name).await? {
        return no_queue(vhost, name);
    }
    let unacked = text(&queue, "/messages_unacknowledged");
    output::line(format!("{name} is empty: {ready} messages were taken out, {unacked} are with consumers"))?;
    Ok(Answer::Yes)
}

/// Whether the person says yes. Without one there is nobody to ask.
fn agrees(question: &str) -> anyhow::Result<bool> {
    anyhow::ensure!(
        io::stdin().is_terminal(),
        "nobody is there to confirm it: give --yes to purge without a question"
    );
    write!(io::stderr(), "{question} [y/N] ").context("cannot ask")?;
    let mut answer = String::new();
    let mut input = io::Read::take(io::stdin().lock(), ANSWER_BYTES_MAX);
    input.read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}
