//! The arguments of the commands about resources.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use weft_model::{name::DEFAULT_NAMESPACE, resource::Kind};

use super::Connection;
use crate::objects;

/// How long `--wait` waits by default.
const WAIT_DEFAULT: &str = "30s";

/// How resources look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ResourceFormat {
    /// For people.
    #[default]
    Table,
    /// For people, with more columns.
    Wide,
    /// For programs: one value.
    Json,
    /// As files are written.
    Yaml,
}

/// Files of resources.
#[derive(Debug, Clone, Args)]
pub struct Files {
    /// A file of one or more resources, a directory of such files, or `-`; repeatable
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// `weft apply`.
#[derive(Debug, Clone, Args)]
pub struct ApplyOptions {
    /// What to apply.
    #[command(flatten)]
    pub files: Files,
    /// Check everything and say what would be, without writing
    #[arg(long)]
    pub dry_run: bool,
    /// Wait until all sidecars that call these services have applied it
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = WAIT_DEFAULT, value_parser = humantime::parse_duration, requires = "wait")]
    pub timeout: Duration,
    /// Which control plane.
    #[command(flatten)]
    pub connection: Connection,
}

/// `weft get`.
#[derive(Debug, Clone, Args)]
pub struct GetOptions {
    /// A kind, or `kind/name`
    #[arg(value_parser = subject)]
    kind: Subject,
    /// Only this one
    #[arg(conflicts_with = "all_namespaces")]
    name: Option<String>,
    /// In this namespace
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    pub namespace: String,
    /// In all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// How the result looks
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t)]
    pub format: ResourceFormat,
    /// Which control plane.
    #[command(flatten)]
    pub connection: Connection,
}

/// `weft delete`.
#[derive(Debug, Clone, Args)]
pub struct DeleteOptions {
    /// A kind, or `kind/name`
    #[arg(value_parser = subject, required_unless_present = "files")]
    kind: Option<Subject>,
    /// Which
    name: Option<String>,
    /// The resources of a file, of a directory of files, or of `-`; repeatable
    #[arg(short = 'f', long = "file", value_name = "FILE", conflicts_with_all = ["kind", "name"])]
    pub files: Vec<PathBuf>,
    /// In this namespace
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    pub namespace: String,
    /// One that is not there is no failure
    #[arg(long)]
    pub ignore_not_found: bool,
    /// Which control plane.
    #[command(flatten)]
    pub connection: Connection,
}

/// `weft diff`.
#[derive(Debug, Clone, Args)]
pub struct DiffOptions {
    /// What to compare.
    #[command(flatten)]
    pub files: Files,
    /// Which control plane.
    #[command(flatten)]
    pub connection: Connection,
}

/// `httproute` or `httproute/orders`.
#[derive(Debug, Clone)]
struct Subject {
    kind: Kind,
    name: Option<String>,
}

impl GetOptions {
    /// The kind, and the name if there is one.
    pub fn subject(&self) -> (Kind, Option<String>) {
        (self.kind.kind, self.name.clone().or_else(|| self.kind.name.clone()))
    }
}

impl DeleteOptions {
    /// Kind and name; `None` where files say it.
    ///
    /// # Errors
    /// When a kind stands without a name: nothing deletes all of a kind.
    pub fn subject(&self) -> anyhow::Result<Option<(Kind, String)>> {
        let Some(subject) = &self.kind else { return Ok(None) };
        let name = self.name.clone().or_else(|| subject.name.clone());
        let kind = subject.kind.as_str().to_ascii_lowercase();
        match name {
            Some(name) => Ok(Some((subject.kind, name))),
            None => anyhow::bail!("which {kind} is to be deleted? Give its name: weft delete {kind} NAME"),
        }
    }
}

fn subject(text: &str) -> Result<Subject, String> {
    match text.split_once('/') {
        Some((kind, name)) if !name.is_empty() => {
            Ok(Subject { kind: objects::kind(kind)?, name: Some(name.to_owned()) })
        }
        Some((kind, _)) => Ok(Subject { kind: objects::kind(kind)?, name: None }),
        None => Ok(Subject { kind: objects::kind(text)?, name: None }),
    }
}
