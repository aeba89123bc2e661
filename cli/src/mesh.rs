//! Reads a mesh's file, with the files of resources that it names, and says all that is wrong with them, each
//! with its line. What the file may say is
//! `weft_model::mesh_file`'s; how a file is read is `weft_runtime::config`'s.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use weft_model::mesh_file::{FieldError, MeshFile, RawMeshFile};
use weft_runtime::config::{self, ConfigError};

use crate::manifest::{self, Manifest};

/// Why there is no mesh.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read, or is not of the right shape.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// It breaks rules.
    #[error(transparent)]
    Rules(#[from] Faults),
}

/// What is wrong with a file, or worth a look, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// As given.
    pub file: PathBuf,
    /// From 1, where it could be found.
    pub line: Option<usize>,
    /// As `services.orders.replicas`.
    pub field: String,
    /// What, and what to write instead.
    pub reason: String,
}

/// A mesh with what is worth a look.
#[derive(Debug)]
pub struct Loaded {
    /// Valid.
    pub mesh: MeshFile,
    /// Of the files under `resources`, valid.
    pub resources: Vec<Manifest>,
    /// Allowed, and more often a slip.
    pub warnings: Faults,
}

/// Reads and checks a file.
///
/// # Errors
/// When it cannot be read, or with all that is wrong with it.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    let raw: RawMeshFile = config::load(path)?;
    // Only for the lines of errors: it was readable a moment ago.
    let text = fs::read_to_string(path).unwrap_or_default();
    let place = |errors: Vec<FieldError>| {
        let fault = |error: FieldError| Fault {
            file: path.into(),
            line: line_of(&text, &error.field),
            field: error.field,
            reason: error.reason,
        };
        Faults(errors.into_iter().map(fault).collect())
    };
    let mesh = MeshFile::try_from(raw).map_err(|error| place(error.errors))?;
    let mut warnings = place(mesh.warnings());
    let beside = path.parent().unwrap_or(Path::new(""));
    let files: Vec<PathBuf> = mesh.resources().iter().map(|file| beside.join(file)).collect();
    let manifests = manifest::read(&files)?;
    warnings.0.extend(manifests.warnings.0);
    Ok(Loaded { mesh, resources: manifests.all, warnings })
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}: {}", self.field, self.reason)
    }
}

/// The line of a field, or of the nearest one above it that is found: values know no place once they are
/// parsed, but keys stand below each other in block style.
fn line_of(text: &str, field: &str) -> Option<usize> {
    let mut found = None;
    let mut lines = text.lines().enumerate();
    let mut outer: Option<usize> = None;
    for key in field.split('.') {
        let hit = lines.by_ref().find_map(|(number, line)| {
            let trimmed = line.trim_start();
            let indent = line.len() - trimmed.len();
            let name = trimmed.split(':').next()?.trim().trim_matches(['"', '\'']);
            (name == key && outer.is_none_or(|outer| indent > outer)).then_some((number + 1, indent))
        });
        let Some((number, indent)) = hit else { break };
        (found, outer) = (Some(number), Some(indent));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_is_broken_has_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weft.yaml");
        let text = "name: m\nservices:\n  a:\n    command: [x]\n  b:\n    command: [y]\n    replicas: 0\n";
        fs::write(&path, text).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.ends_with("weft.yaml:7: services.b.replicas: is 0: give 1 to 100"), "{error}");
    }

    #[test]
    fn an_unknown_field_has_a_line_and_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weft.yaml");
        fs::write(&path, "name: m\nservices:\n  a:\n    command: [x]\n    replica: 2\n").unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("weft.yaml:5:5: services.a.replica: unknown field"), "{error}");
    }

    #[test]
    fn a_field_in_flow_style_has_the_line_of_what_holds_it() {
        assert_eq!(line_of("services:\n  a: {replicas: 0}\n", "services.a.replicas"), Some(2));
        assert_eq!(line_of("x: 1\n", "services"), None);
    }
}
