//! `weft apply`, `get`, `delete` and `diff`: resources, as a person writes and reads them.

mod difference;
mod table;

pub(super) use table::troubles;

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Answer, connect};
use crate::{
    args::{ApplyOptions, DeleteOptions, DiffOptions, GetOptions, ResourceFormat},
    client::Client,
    manifest::{self, Manifest},
    objects::{self, Name, ObjectError},
    output,
};

/// Between two looks at how many sidecars have applied a resource.
const WAIT_INTERVAL: Duration = Duration::from_millis(100);

/// Checks all files, then writes their resources.
pub(super) async fn apply(options: &ApplyOptions) -> anyhow::Result<Answer> {
    let Some(manifests) = read(&options.files.files)? else { return Ok(Answer::No) };
    let client = connect(&options.connection)?;
    let (mut all_well, mut applied) = (true, Vec::new());
    for manifest in &manifests {
        let name = Name::of(&manifest.resource);
        match objects::apply(&client, &name, &manifest.value, options.dry_run).await {
            Ok(done) => {
                let dry = if options.dry_run { " (dry run)" } else { "" };
                output::line(format!("{} {}{dry}", name.short(), done.what))?;
                applied.push(name);
            }
            Err(error) => {
                all_well = false;
                refused(&manifest.file, error)?;
            }
        }
    }
    if options.wait && !options.dry_run {
        let until = Instant::now() + options.timeout;
        for name in &applied {
            all_well &= wait(&client, name, until).await?;
        }
    }
    Ok(all_well.into())
}

/// Shows one or all.
pub(super) async fn get(options: &GetOptions) -> anyhow::Result<Answer> {
    let client = connect(&options.connection)?;
    let (kind, name) = options.subject();
    let namespace = (!options.all_namespaces).then_some(options.namespace.as_str());
    let (items, found) = match name {
        None => (objects::list(&client, kind, namespace).await?, true),
        Some(name) => {
            let name = Name { kind, namespace: options.namespace.clone(), name };
            let object = objects::read(&client, &name).await?;
            if object.is_none() {
                output::note(format!("there is no {} in {}", name.short(), name.namespace));
                return Ok(Answer::No);
            }
            (object.into_iter().collect(), false)
        }
    };
    let whole = |items: Vec<Value>| match (found, items) {
        (false, mut items) => items.pop().unwrap_or_default(),
        (true, items) => serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items }),
    };
    match options.format {
        ResourceFormat::Json => output::json(&whole(items))?,
        ResourceFormat::Yaml => output::line(serde_yaml::to_string(&whole(items))?.trim_end())?,
        ResourceFormat::Table | ResourceFormat::Wide if items.is_empty() => {
            let place = namespace.map_or_else(String::new, |namespace| format!(" in {namespace}"));
            output::note(format!("there are no {}{place}", kind.plural()));
        }
        ResourceFormat::Table | ResourceFormat::Wide => {
            table::print(&items, options.all_namespaces, options.format == ResourceFormat::Wide)?;
        }
    }
    Ok(Answer::Yes)
}

/// Removes one, or all of files.
pub(super) async fn delete(options: &DeleteOptions) -> anyhow::Result<Answer> {
    let names = match options.subject()? {
        Some((kind, name)) => vec![Name { kind, namespace: options.namespace.clone(), name }],
        None => {
            let Some(manifests) = read(&options.files)? else { return Ok(Answer::No) };
            manifests.iter().map(|manifest| Name::of(&manifest.resource)).collect()
        }
    };
    let client = connect(&options.connection)?;
    let mut all_there = true;
    for name in names {
        if objects::delete(&client, &name).await? {
            output::line(format!("{} deleted", name.short()))?;
        } else {
            all_there &= options.ignore_not_found;
            output::note(format!("there is no {} in {}", name.short(), name.namespace));
        }
    }
    Ok(all_there.into())
}

/// Shows what applying would change.
pub(super) async fn diff(options: &DiffOptions) -> anyhow::Result<Answer> {
    let Some(manifests) = read(&options.files.files)? else { return Ok(Answer::No) };
    let client = connect(&options.connection)?;
    let mut same = true;
    for manifest in &manifests {
        let name = Name::of(&manifest.resource);
        match objects::apply(&client, &name, &manifest.value, true).await {
            Ok(done) if done.what == "unchanged" => {}
            Ok(done) => {
                same = false;
                let text = |object: Option<&Value>| {
                    object.map_or_else(
                        || Ok(String::new()),
                        |object| serde_yaml::to_string(&objects::plain(object)),
                    )
                };
                let (before, after) = (text(done.before.as_ref())?, text(Some(&done.object))?);
                output::line(format!(
                    "--- {} (now)\n+++ {} ({})",
                    name.short(),
                    name.short(),
                    manifest.file.display()
                ))?;
                output::line(difference::unified(&before, &after))?;
            }
            Err(error) => {
                same = false;
                refused(&manifest.file, error)?;
            }
        }
    }
    Ok(same.into())
}

/// Valid resources; `None` when all that is wrong has been told.
fn read(files: &[std::path::PathBuf]) -> anyhow::Result<Option<Vec<Manifest>>> {
    match manifest::read(files) {
        Ok(manifests) => {
            for warning in &manifests.warnings.0 {
                output::note(format!("warning: {warning}"));
            }
            Ok(Some(manifests.all))
        }
        Err(faults) => {
            output::note(faults.to_string());
            output::note("nothing was applied");
            Ok(None)
        }
    }
}

/// Tells of a resource that the control plane refuses; whatever else goes wrong ends the command.
fn refused(file: &std::path::Path, error: ObjectError) -> anyhow::Result<()> {
    match error {
        ObjectError::Refused { .. } => {
            output::note(format!("{}: {error}", file.display()));
            Ok(())
        }
        other => Err(other.into()),
    }
}

/// Until all sidecars that subscribe to it have answered; false when one refuses, or not in time.
async fn wait(client: &Client, name: &Name, until: Instant) -> anyhow::Result<bool> {
    loop {
        let Some(object) = objects::read(client, name).await? else {
            output::note(format!("{} was deleted by another", name.short()));
            return Ok(false);
        };
        let applied = table::Applied::of(&object);
        if !applied.refused_by.is_empty() {
            for (sidecar, reason) in &applied.refused_by {
                output::note(format!("{} is refused by {sidecar}: {reason}", name.short()));
            }
            return Ok(false);
        }
        if applied.applied == applied.subscribed {
            output::line(format!("{} applied by {applied}", name.short()))?;
            return Ok(true);
        }
        if Instant::now() >= until {
            output::note(format!(
                "{} is applied by {applied} only; still waited for: {}",
                name.short(),
                applied.pending.join(", ")
            ));
            return Ok(false);
        }
        tokio::time::sleep(WAIT_INTERVAL).await;
    }
}
