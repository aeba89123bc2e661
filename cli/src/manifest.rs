//! Reads files of resources and says all that is wrong with them, each with its file and line. What a resource
//! may say is `weft_model::resource`'s; it knows no control plane.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::Value;
use weft_model::resource::{self, Resource, text};

use crate::mesh::{Fault, Faults};

mod place;

/// Bytes of one file that are read, at most.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// What stands for standard input.
const STDIN: &str = "-";
/// Files of a directory that are read.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// One resource of a file, valid.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// As given.
    pub file: PathBuf,
    /// As its author wrote it.
    pub value: Value,
    /// What it means.
    pub resource: Resource,
}

/// What was read.
#[derive(Debug)]
pub struct Manifests {
    /// In the order of files, and in them.
    pub all: Vec<Manifest>,
    /// Allowed, and more often a slip.
    pub warnings: Faults,
}

/// Reads files, directories (their YAML and JSON files, by name) or `-`.
///
/// # Errors
/// With all that is wrong, in all of them.
pub fn read(paths: &[PathBuf]) -> Result<Manifests, Faults> {
    let (mut all, mut faults, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        match files(path) {
            Ok(files) => files.iter().for_each(|file| read_file(file, &mut all, &mut faults, &mut warnings)),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(Manifests { all, warnings: Faults(warnings) }) } else { Err(Faults(faults)) }
}

fn read_file(file: &Path, all: &mut Vec<Manifest>, faults: &mut Vec<Fault>, warnings: &mut Vec<Fault>) {
    let fault = |line: Option<usize>, field: &str, reason: &str| Fault {
        file: file.into(),
        line,
        field: field.into(),
        reason: reason.into(),
    };
    let text = match contents(file) {
        Ok(text) => text,
        Err(error) => return faults.push(fault(None, "$", &error)),
    };
    let objects = match text::yaml(&text) {
        Ok(objects) if objects.is_empty() => return faults.push(fault(None, "$", "holds no resource")),
        Ok(objects) => objects,
        Err(error) => {
            let line = error.place.map(|(line, _)| line);
            return faults.push(fault(line, "$", &error.message));
        }
    };
    for object in objects {
        let line = |field: &str| place::line_of(&text, object.number, field);
        match resource::parse(&object.value) {
            Ok(resource) => {
                let slips = resource.warnings();
                warnings.extend(slips.iter().map(|slip| fault(line(&slip.path), &slip.path, &slip.message)));
                all.push(Manifest { file: file.into(), value: object.value, resource });
            }
            Err(errors) => {
                faults.extend(errors.iter().map(|one| fault(line(&one.path), &one.path, &one.message)));
                if errors.untold() > 0 {
                    faults.push(fault(None, "$", &format!("and {} more", errors.untold())));
                }
            }
        }
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Fault> {
    if !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let fault = |reason: String| Fault { file: path.into(), line: None, field: "$".into(), reason };
    let entries = fs::read_dir(path).map_err(|error| fault(error.to_string()))?;
    let is_ours = |file: &PathBuf| {
        let extension = file.extension().and_then(|extension| extension.to_str());
        file.is_file() && extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_ours).collect();
    files.sort();
    if files.is_empty() {
        return Err(fault(format!("holds no file that ends with .{}", EXTENSIONS.join(", ."))));
    }
    Ok(files)
}

fn contents(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = if file == Path::new(STDIN) {
        std::io::stdin().take(FILE_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
    };
    match read {
        Ok(bytes) if bytes as u64 > FILE_BYTES_MAX => Err(format!("has more than {FILE_BYTES_MAX} bytes")),
        Ok(_) => Ok(text),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "apiVersion: weft.dev/v1alpha1\nkind: ServicePolicy\nmetadata:\n  name: calm\nspec:\n  \
                          targetRefs:\n  - {group: '', kind: Service, name: orders}\n  timeouts:\n    request: 2s\n";

    #[test]
    fn a_directory_is_read_by_name_and_all_that_is_wrong_has_its_line() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), format!("{POLICY}---\n{POLICY}")).unwrap();
        fs::write(dir.path().join("ignored.txt"), "?").unwrap();
        assert_eq!(read(&[dir.path().into()]).unwrap().all.len(), 2);
        let bad = POLICY.replace("request: 2s", "request: soon").replace("calm", "Not A Name");
        fs::write(dir.path().join("b.yaml"), format!("{POLICY}---\n{bad}")).unwrap();
        let faults = read(&[dir.path().into()]).unwrap_err();
        let told: Vec<(Option<usize>, &str)> =
            faults.0.iter().map(|fault| (fault.line, fault.field.as_str())).collect();
        assert_eq!(told, [(Some(14), "metadata.name"), (Some(19), "spec.timeouts.request")], "{faults}");
        assert!(read(&["/nowhere/at/all.yaml".into()]).unwrap_err().to_string().contains("cannot be read"));
    }
}
