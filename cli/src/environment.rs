//! The one place of the command line that reads the process's surroundings: its own path, the search path,
//! the working directory. (Variables that stand for a flag are read by clap.) It decides nothing.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// The directory of this executable: the other programs of Weft stand beside it.
///
/// # Errors
/// When the system does not say where that is.
pub fn program_dir() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("the system does not say where this program is")?;
    Ok(program.parent().map(Path::to_owned).unwrap_or_default())
}

/// The search path of a child: `first`, then our own.
#[expect(clippy::disallowed_methods, reason = "this is where the search path is read")]
pub fn search_path(first: &Path) -> OsString {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(first.to_owned()).chain(std::env::split_paths(&own));
    // Only a directory with a `:` in its name cannot be joined; then our own path is as good as it gets.
    std::env::join_paths(dirs).unwrap_or(own)
}

/// Variables of ours that would speak to every sidecar of a mesh at once (`WEFT_OUTBOUND`, `PORT`): what a
/// child must not inherit. What is said about logs and traces is meant for all.
pub fn not_inherited() -> Vec<OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| name.to_str().is_some_and(is_ours)).collect()
}

fn is_ours(name: &str) -> bool {
    let is_for_all =
        name.starts_with("WEFT_LOG") || matches!(name, "WEFT_OTLP_ENDPOINT" | "WEFT_TRACE_SAMPLE");
    name == "PORT" || (name.starts_with("WEFT_") && !is_for_all)
}

/// Where we are.
///
/// # Errors
/// When the directory is gone.
pub fn working_dir() -> anyhow::Result<PathBuf> {
    std::env::current_dir().context("the working directory is gone")
}

/// Looks a program up in a search path; one with a `/` is taken from `dir`.
pub fn find_program(program: &str, dir: &Path, path: &OsString) -> Option<PathBuf> {
    if program.contains('/') {
        let place = dir.join(program);
        return place.is_file().then_some(place);
    }
    std::env::split_paths(path).map(|dir| dir.join(program)).find(|place| place.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_all_is_inherited_and_what_speaks_of_one_is_not() {
        let names =
            ["PORT", "WEFT_OUTBOUND", "WEFT_LOG_FORMAT", "WEFT_OTLP_ENDPOINT", "WEFT_TRACE_SAMPLE", "PATH"];
        assert_eq!(names.map(is_ours), [true, true, false, false, false, false]);
    }
}
