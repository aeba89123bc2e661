//! `weft kv …`: the key-value store by way of Consul's API.

use std::{
    fs,
    io::Read,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use serde_json::json;

use super::{Answer, connect};
use crate::{
    api::{self, Pair, Pairs},
    args::{Connection, KvCommand},
    client::{Client, ClientError},
    output::{self, Format},
};

/// The largest value that is taken from a file or standard input: Consul's limit.
const VALUE_SIZE_MAX: u64 = 512 * 1024;
/// Before a watch asks again after an error.
const WATCH_RETRY: Duration = Duration::from_secs(1);

/// Does what was typed.
pub(super) async fn run(command: KvCommand) -> anyhow::Result<Answer> {
    match command {
        KvCommand::Get { key, recurse, output, connection } => {
            let pairs = api::kv_get(&connect(&connection)?, &key, recurse, None).await?;
            get(&key, recurse, &pairs, output.format)
        }
        KvCommand::Put { key, value, cas, flags, connection } => {
            let value = read_value(&value)?;
            let written = api::kv_put(&connect(&connection)?, &key, value, cas, flags).await?;
            if !written {
                output::note(format!("{key} was not written: its index is not {}", cas.unwrap_or_default()));
            }
            Ok(written.into())
        }
        KvCommand::Delete { key, recurse, cas, connection } => {
            let removed = api::kv_delete(&connect(&connection)?, &key, recurse, cas).await?;
            if !removed {
                output::note(format!("{key} was not removed: its index is not {}", cas.unwrap_or_default()));
            }
            Ok(removed.into())
        }
        KvCommand::Watch { key, recurse, count, output, connection } => {
            let watch = Watch { key, recurse, format: output.format };
            watch.run(&connection, count).await
        }
    }
}

fn get(key: &str, recurse: bool, pairs: &Pairs, format: Format) -> anyhow::Result<Answer> {
    let Some(pairs) = &pairs.pairs else {
        output::note(format!("there is no key {key}"));
        return Ok(Answer::No);
    };
    match (format, recurse, pairs.first()) {
        (Format::Json, ..) => output::json(&pairs)?,
        (_, false, Some(pair)) => value(&pair.bytes())?,
        _ => {
            let rows: Vec<_> = pairs.iter().map(row).collect();
            output::table(&["key", "value", "flags", "modified"], &rows)?;
        }
    }
    Ok(Answer::Yes)
}

/// As it is; on a terminal, and for whoever reads lines, with an end of line.
fn value(bytes: &[u8]) -> anyhow::Result<()> {
    output::bytes(bytes)?;
    if bytes.ends_with(b"\n") { Ok(()) } else { output::line("") }
}

fn row(pair: &Pair) -> Vec<String> {
    let bytes = pair.bytes();
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) if !text.contains(|c: char| c.is_control()) => text.to_owned(),
        _ => format!("({} bytes)", bytes.len()),
    };
    vec![pair.key.clone(), text, pair.flags.to_string(), pair.modify_index.to_string()]
}

fn read_value(argument: &str) -> anyhow::Result<Bytes> {
    let mut bytes = Vec::new();
    match argument.strip_prefix('@') {
        Some(path) => {
            let file = fs::File::open(path).with_context(|| format!("cannot open {path}"))?;
            file.take(VALUE_SIZE_MAX + 1)
                .read_to_end(&mut bytes)
                .with_context(|| format!("cannot read {path}"))?;
        }
        None if argument == "-" => {
            std::io::stdin()
                .take(VALUE_SIZE_MAX + 1)
                .read_to_end(&mut bytes)
                .context("cannot read standard input")?;
        }
        None => bytes.extend_from_slice(argument.as_bytes()),
    }
    anyhow::ensure!(bytes.len() as u64 <= VALUE_SIZE_MAX, "a value has at most {VALUE_SIZE_MAX} bytes");
    Ok(bytes.into())
}

/// A watch by blocking queries: each answers when the index has moved on, or after a minute.
struct Watch {
    key: String,
    recurse: bool,
    format: Format,
}

impl Watch {
    async fn run(&self, connection: &Connection, count: Option<u64>) -> anyhow::Result<Answer> {
        let client = connect(connection)?;
        let mut last: Option<Vec<(String, u64)>> = None;
        let mut index = None;
        let mut shown = 0;
        while count.is_none_or(|count| shown < count) {
            let asked = Instant::now();
            let Some(pairs) = self.ask(&client, index, last.is_some()).await? else {
                index = None;
                tokio::time::sleep(WATCH_RETRY).await;
                continue;
            };
            // A store that begins anew counts from the start (Consul, "Blocking Queries").
            index = Some(if index.is_some_and(|before| pairs.index < before) { 0 } else { pairs.index });
            let state: Vec<_> =
                pairs.pairs.iter().flatten().map(|pair| (pair.key.clone(), pair.modify_index)).collect();
            if last.as_ref() != Some(&state) {
                self.show(&pairs)?;
                shown += 1;
                last = Some(state);
            } else if asked.elapsed() < Duration::from_millis(10) {
                // An index that does not block must not become a busy loop.
                tokio::time::sleep(WATCH_RETRY).await;
            }
        }
        Ok(Answer::Yes)
    }

    /// `None` = not now. Before the first answer an error is one: the address may be wrong.
    async fn ask(
        &self,
        client: &Client,
        index: Option<u64>,
        began: bool,
    ) -> Result<Option<Pairs>, ClientError> {
        match api::kv_get(client, &self.key, self.recurse, index).await {
            Ok(pairs) => Ok(Some(pairs)),
            Err(error) if began => {
                output::note(format!("{error}; waiting for it"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn show(&self, pairs: &Pairs) -> anyhow::Result<()> {
        let list = pairs.pairs.as_deref().unwrap_or_default();
        if self.format == Format::Json {
            return output::line(serde_json::to_string(&json!({ "index": pairs.index, "pairs": list }))?);
        }
        match (self.recurse, list) {
            (_, []) => output::line(format!("{} is not there", self.key)),
            (false, [pair, ..]) => value(&pair.bytes()),
            (true, list) => {
                let rows: Vec<_> = list.iter().map(row).collect();
                output::table(&["key", "value", "flags", "modified"], &rows)
            }
        }
    }
}
