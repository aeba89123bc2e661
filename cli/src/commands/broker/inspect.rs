//! `weft queues inspect`: logs of virtual hosts, read from their files. Nothing is locked or written.

mod records;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::{Value, json};
use weft_broker::{
    log::inspect::{Inspection, QueueSummary, inspect},
    vhost::{DeclaredQueue, declared_queues},
};

use super::columns::{plain, size};
use crate::{
    args::{InspectOptions, ResourceFormat},
    commands::Answer,
    output,
};

/// The file by which the directory of a log is known.
const IDENTITY: &str = "identity";
/// Below a data directory.
const QUEUES_DIR: &str = "mq";

/// A queue of a log.
#[derive(Debug)]
struct Found {
    declared: Option<DeclaredQueue>,
    summary: QueueSummary,
}

/// Reads each log of a directory.
pub(super) fn run(options: &InspectOptions) -> anyhow::Result<Answer> {
    let (mut is_whole, mut has_queue, mut values) = (true, options.queue.is_none(), Vec::new());
    for (at, directory) in directories(&options.directory)?.iter().enumerate() {
        let mut log =
            inspect(directory).with_context(|| format!("cannot read the log in {}", directory.display()))?;
        let queues = queues(&log, options.queue.as_deref());
        is_whole &= log.recovered.damage.is_empty();
        has_queue |= !queues.is_empty();
        if is_for_programs(options) && !options.records {
            values.push(value(directory, &log, &queues));
        } else {
            print(at, directory, &mut log, &queues, options)?;
        }
    }
    match options.format {
        ResourceFormat::Json if !options.records => output::json(&values)?,
        ResourceFormat::Yaml if !options.records => {
            output::line(serde_yaml::to_string(&values)?.trim_end())?;
        }
        _ => {}
    }
    if !has_queue {
        output::note(format!("there is no queue {} in it", options.queue.as_deref().unwrap_or_default()));
    }
    Ok((is_whole && has_queue).into())
}

const fn is_for_programs(options: &InspectOptions) -> bool {
    matches!(options.format, ResourceFormat::Json | ResourceFormat::Yaml)
}

/// One log after the other, each with its records if they are wanted.
fn print(
    at: usize,
    directory: &Path,
    log: &mut Inspection,
    queues: &BTreeMap<u32, Found>,
    options: &InspectOptions,
) -> anyhow::Result<()> {
    if is_for_programs(options) {
        output::line(value(directory, log, queues).to_string())?;
        return records::print(log, queues, options);
    }
    if at > 0 {
        output::line("")?;
    }
    show(directory, log, queues, options)?;
    if options.records {
        output::line("")?;
        records::print(log, queues, options)?;
    }
    Ok(())
}

/// The logs of a directory: itself, or those of a data directory.
fn directories(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let is_log = |path: &Path| path.join(IDENTITY).is_file();
    if is_log(directory) {
        return Ok(vec![directory.to_owned()]);
    }
    let below = directory.join(QUEUES_DIR);
    let below = if below.is_dir() { below } else { directory.to_owned() };
    let entries = fs::read_dir(&below).with_context(|| format!("cannot read {}", below.display()))?;
    let mut found: Vec<_> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| is_log(path)).collect();
    found.sort();
    anyhow::ensure!(
        !found.is_empty(),
        "there is no log in {}: give the --data-dir of the message broker, or a directory below its mq/",
        directory.display()
    );
    Ok(found)
}

/// Queues by number: those that are declared, and those that have messages; or the one that is wanted.
fn queues(log: &Inspection, wanted: Option<&str>) -> BTreeMap<u32, Found> {
    let topology = log.recovered.state.topology.iter();
    let mut declared = declared_queues(topology.map(|(key, value)| (key.as_str(), value.as_ref())));
    let mut found: BTreeMap<u32, Found> = BTreeMap::new();
    for summary in log.queues() {
        found.insert(summary.queue, Found { declared: declared.remove(&summary.queue), summary });
    }
    for (queue, declared) in declared {
        let summary = QueueSummary { queue, messages: 0, bytes: 0, delivered: 0, seqs: None };
        found.insert(queue, Found { declared: Some(declared), summary });
    }
    found.retain(|number, queue| wanted.is_none_or(|wanted| is_wanted(*number, queue, wanted)));
    found
}

/// Names go before numbers.
fn is_wanted(number: u32, queue: &Found, wanted: &str) -> bool {
    let name = queue.declared.as_ref().map(|declared| declared.name.as_str());
    name == Some(wanted) || wanted.parse() == Ok(number)
}

fn show(
    directory: &Path,
    log: &Inspection,
    queues: &BTreeMap<u32, Found>,
    options: &InspectOptions,
) -> anyhow::Result<()> {
    for line in head(directory, log) {
        output::line(line)?;
    }
    if options.queue.is_none() && !log.segments.is_empty() {
        output::line("")?;
        output::table(&["segment", "size", "live", "opening"], &segments(log))?;
    }
    if queues.is_empty() {
        return output::line("\nno queue is declared");
    }
    output::line("")?;
    let headings = ["number", "name", "type", "messages", "bytes", "delivered", "first", "last"];
    output::table(&headings, &queues.iter().map(|(number, queue)| row(*number, queue)).collect::<Vec<_>>())
}

fn head(directory: &Path, log: &Inspection) -> Vec<String> {
    let (identity, recovered) = (&log.identity, &log.recovered);
    let state = match (recovered.clean, recovered.torn) {
        (true, _) => "it was closed in order",
        (false, true) => "it was not closed in order, and its last writes are torn: opening it cuts them",
        (false, false) => "it was not closed in order, or is open",
    };
    let mut lines = vec![
        format!("virtual host {} in {}", plain(&identity.vhost), directory.display()),
        format!("log {}, opened {} times", identity.log, identity.fencing),
        format!("ends in segment {} at byte {}; {state}", recovered.end.segment(), recovered.end.offset()),
    ];
    lines.extend(recovered.damage.iter().map(|damage| format!("DAMAGED {damage}")));
    lines
}

fn segments(log: &Inspection) -> Vec<Vec<String>> {
    let row = |segment: &weft_broker::log::recovery::survey::Segment| {
        let live = log.recovered.state.segments.segment(segment.number).map(|used| size(used.live_bytes()));
        let opening = segment.fencing.map(|fencing| fencing.to_string());
        let bytes = segment.limit.map_or(segment.bytes, u64::from);
        vec![
            segment.number.to_string(),
            size(bytes),
            live.unwrap_or_default(),
            opening.unwrap_or_else(|| "?".into()),
        ]
    };
    log.segments.iter().map(row).collect()
}

fn row(number: u32, queue: &Found) -> Vec<String> {
    let Found { declared, summary } = queue;
    let of = |field: fn(&DeclaredQueue) -> &str| declared.as_ref().map(|queue| plain(field(queue)));
    let seq = |seq: Option<u64>| seq.map(|seq| seq.to_string()).unwrap_or_default();
    vec![
        number.to_string(),
        of(|queue| &queue.name).unwrap_or_else(|| "(not declared)".to_owned()),
        of(|queue| &queue.kind).unwrap_or_default(),
        summary.messages.to_string(),
        size(summary.bytes),
        summary.delivered.to_string(),
        seq(summary.seqs.map(|(first, _)| first)),
        seq(summary.seqs.map(|(_, last)| last)),
    ]
}

fn value(directory: &Path, log: &Inspection, queues: &BTreeMap<u32, Found>) -> Value {
    let (identity, recovered) = (&log.identity, &log.recovered);
    let queues = queues.iter().map(|(number, Found { declared, summary })| {
        json!({
            "number": number,
            "name": declared.as_ref().map(|queue| &queue.name),
            "type": declared.as_ref().map(|queue| &queue.kind),
            "durable": declared.as_ref().map(|queue| queue.durable),
            "messages": summary.messages,
            "bytes": summary.bytes,
            "delivered": summary.delivered,
            "first": summary.seqs.map(|(first, _)| first),
            "last": summary.seqs.map(|(_, last)| last),
        })
    });
    let segments = log.segments.iter().map(|segment| {
        let used = recovered.state.segments.segment(segment.number);
        json!({
            "number": segment.number,
            "bytes": segment.limit.map_or(segment.bytes, u64::from),
            "live_bytes": used.map(|used| used.live_bytes()),
            "opening": segment.fencing,
        })
    });
    json!({
        "directory": directory.display().to_string(),
        "vhost": identity.vhost,
        "log": identity.log.to_string(),
        "openings": identity.fencing,
        "end": { "segment": recovered.end.segment(), "offset": recovered.end.offset() },
        "clean": recovered.clean,
        "torn": recovered.torn,
        "damage": recovered.damage.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "segments": segments.collect::<Vec<_>>(),
        "queues": queues.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logs_of_a_data_directory_are_found_from_any_height() -> anyhow::Result<()> {
        let data = tempfile::tempdir()?;
        let log = data.path().join("mq/%2F");
        fs::create_dir_all(&log)?;
        let error = directories(data.path()).unwrap_err().to_string();
        assert!(error.contains("--data-dir"), "{error}");
        fs::write(log.join(IDENTITY), "")?;
        for directory in [data.path(), &data.path().join("mq"), &log] {
            assert_eq!(directories(directory)?, std::slice::from_ref(&log));
        }
        Ok(())
    }

    #[test]
    fn a_queue_is_named_by_its_name_or_its_number() {
        let declared = DeclaredQueue { name: "7".into(), kind: "classic".into(), durable: true };
        let summary = QueueSummary { queue: 3, messages: 2, bytes: 9, delivered: 1, seqs: Some((4, 5)) };
        let queue = Found { declared: Some(declared), summary };
        assert!(is_wanted(3, &queue, "7") && is_wanted(3, &queue, "3") && !is_wanted(3, &queue, "4"));
        assert_eq!(row(3, &queue), ["3", "7", "classic", "2", "9 B", "1", "4", "5"]);
    }
}
