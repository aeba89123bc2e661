//! `weft check`: is a mesh's file valid, and what is wrong with it.

use serde_json::json;

use super::Answer;
use crate::{
    args::CheckOptions,
    mesh::{self, Fault, LoadError},
    output::{self, Format},
};

/// Lists all that is wrong.
pub(super) fn run(options: &CheckOptions) -> anyhow::Result<Answer> {
    let json = options.output.format == Format::Json;
    match mesh::load(&options.file) {
        Ok(loaded) => {
            let services = loaded.mesh.services();
            let replicas: u32 = services.iter().map(|service| u32::from(service.replicas())).sum();
            if json {
                output::json(&json!({ "valid": true, "errors": [], "warnings": loaded.warnings.0 }))?;
                return Ok(Answer::Yes);
            }
            for warning in &loaded.warnings.0 {
                output::note(format!("warning: {warning}"));
            }
            output::line(format!(
                "{} is valid: mesh {}, {} services, {replicas} replicas{}",
                options.file.display(),
                loaded.mesh.name(),
                services.len(),
                match loaded.resources.len() {
                    0 => String::new(),
                    resources => format!(", {resources} resources"),
                }
            ))?;
            Ok(Answer::Yes)
        }
        Err(LoadError::Rules(faults)) => report(json, &faults.0),
        Err(LoadError::File(weft_runtime::config::ConfigError::Invalid(invalid))) => {
            let fault = Fault {
                file: options.file.clone(),
                line: invalid.place.map(|(line, _)| line),
                field: invalid.field.clone(),
                reason: invalid.message.clone(),
            };
            if json {
                return report(json, &[fault]);
            }
            output::note(invalid.to_string());
            Ok(Answer::No)
        }
        Err(error) => Err(error.into()),
    }
}

fn report(json: bool, faults: &[Fault]) -> anyhow::Result<Answer> {
    if json {
        output::json(&json!({ "valid": false, "errors": faults, "warnings": [] }))?;
        return Ok(Answer::No);
    }
    for fault in faults {
        output::note(fault.to_string());
    }
    Ok(Answer::No)
}
