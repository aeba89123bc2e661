//! Software of others that tests run: where `tests/interop/setup.sh` put it, and what becomes of a test where it
//! is not to be had. It knows no program's arguments.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, ensure};

/// The root of the repository.
///
/// # Panics
/// Never: this crate stands one folder below it.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// The Python that has `tests/interop/requirements.txt`; without it the test is reported as skipped.
pub fn python(test: &str) -> Option<PathBuf> {
    let python = repository().join("target/interop/venv/bin/python");
    if python.exists() && repository().join("target/interop/venv/requirements.txt").exists() {
        return Some(python);
    }
    skip(test, "no Python environment: run tests/interop/setup.sh");
    None
}

/// A program of the system, or of a Debian package that the set-up unpacked; without it the test is reported as
/// skipped.
pub fn program(test: &str, name: &str) -> Option<PathBuf> {
    let unpacked = repository().join("target/interop/root/usr");
    let found = [unpacked.join("bin"), unpacked.join("sbin")]
        .into_iter()
        .chain(["/usr/bin", "/usr/sbin", "/usr/local/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|path| path.exists());
    if found.is_none() {
        skip(test, &format!("no {name}: run tests/interop/setup.sh"));
    }
    found
}

/// Where the libraries of unpacked Debian packages are, as `LD_LIBRARY_PATH` wants it.
pub fn libraries() -> String {
    let folder = repository().join("target/interop/root/usr/lib");
    let machine = |machine: &str| folder.join(machine).display().to_string();
    [machine("x86_64-linux-gnu"), machine("aarch64-linux-gnu")].join(":")
}

/// A program that a package of the Python environment brings, by its path among the packages; without it the test is
/// reported as skipped.
pub fn program_of_python(test: &str, path: &str) -> Option<PathBuf> {
    let packages = std::fs::read_dir(repository().join("target/interop/venv/lib")).ok();
    let found = packages
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|python| python.path().join("site-packages").join(path))
        .find(|path| path.exists());
    if found.is_none() {
        skip(test, &format!("no {path}: run tests/interop/setup.sh"));
    }
    found
}

/// A script of `tests/interop`.
pub fn script(name: &str) -> PathBuf {
    repository().join("tests/interop").join(name)
}

/// Runs a command to its end, and gives what it printed.
///
/// # Errors
/// When it does not start or does not succeed: with all that it printed.
pub fn run(command: &mut Command) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } =
        command.output().with_context(|| format!("{:?} does not start", command.get_program()))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    ensure!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    Ok(stdout.into_owned())
}

/// Reports a test as skipped: in its output, and in the file that `make test` shows at its end.
pub fn skip(test: &str, reason: &str) {
    let line = format!("{test}: {reason}\n");
    let shown =
        skipped_file().and_then(|file| std::fs::File::options().create(true).append(true).open(file).ok());
    let _best_effort = match shown {
        Some(mut file) => file.write_all(line.as_bytes()),
        None => std::io::stderr().write_all(format!("skipped: {line}").as_bytes()),
    };
}

#[expect(clippy::disallowed_methods, reason = "the harness's one place for its variable")]
fn skipped_file() -> Option<PathBuf> {
    std::env::var_os("WEFT_SKIPPED").filter(|file| !file.is_empty()).map(PathBuf::from)
}
