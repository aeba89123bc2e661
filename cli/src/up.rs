//! `weft up`: runs a whole mesh of local processes, and leaves nothing behind. It owns the order of things:
//! the control plane first, then a sidecar with its application for every replica, and at the end the other
//! way round. How one process is kept running is [`supervisor`]'s.
//!
//! ```text
//!  file ─▶ plan ─▶ supervisors (one a process) ──events──▶ board ─▶ status.json
//!                     │ lines                                └──▶ "is up", restarts
//!                     ▼
//!                  console
//! ```

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use nix::sys::prctl;

use crate::{environment, mesh};

mod backoff;
pub mod board;
mod console;
mod lines;
mod plan;
pub(crate) mod proc;
mod process;
mod session;
pub mod shim;
pub(crate) mod state_dir;
mod supervisor;

use console::Console;
use plan::Places;
use session::Session;
use state_dir::StateDir;

/// The programs that must stand beside this one.
const PROGRAMS: [&str; 2] = ["weft-control-plane", "weft-sidecar"];
/// For the control plane to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// What `weft up` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The mesh's file
    #[arg(default_value = "weft.yaml", value_name = "FILE")]
    pub file: PathBuf,
    /// Where the mesh keeps its data [default: .weft/<name>/ beside the file]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Write what runs where as JSON to this file, once everything is up and after each change
    #[arg(long, value_name = "FILE")]
    pub status_file: Option<PathBuf>,
    /// Port of the control plane's HTTP API; 0 = the system's choice
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub control_plane_http: u16,
    /// Port of your own way into the mesh; 0 = the system's choice
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub edge: u16,
}

/// Runs the mesh until it is told to stop, or everything in it has ended.
///
/// # Errors
/// When the file is not valid, a program is missing or the control plane does not start.
pub async fn run(options: &Options, colour: bool) -> anyhow::Result<ExitCode> {
    let loaded = mesh::load(&options.file)?;
    let here = environment::working_dir()?;
    let file_dir = here.join(options.file.parent().unwrap_or(Path::new("")));
    let programs = programs()?;
    let search_path = environment::search_path(&programs);
    for service in loaded.mesh.services() {
        let program = service.command().first().map(String::as_str).unwrap_or_default();
        environment::find_program(program, &file_dir, &search_path).with_context(|| {
            format!(
                "{}: services.{}.command: there is no program `{program}`: build or install it, or give its path",
                options.file.display(),
                service.name()
            )
        })?;
    }
    free("--control-plane-http", options.control_plane_http)?;
    free("--edge", options.edge)?;
    let mesh_name = loaded.mesh.name().as_str();
    let state = StateDir::open(options.state_dir.as_deref(), &file_dir, &here, mesh_name)?;
    // Whatever outlives its sidecar becomes our child, so that the last sweep finds it.
    prctl::set_child_subreaper(true).context("the system refuses to hand us orphans")?;
    let (console, writer) = Console::start(width(&loaded.mesh), colour)?;
    for warning in &loaded.warnings.0 {
        console.say(format!("warning: {warning}")).await;
    }
    let places = Places { programs, file_dir, state: &state, search_path };
    let session = Session::new(options, &loaded, &places, console);
    let result = match session {
        Ok(session) => session.run().await,
        Err(error) => Err(error),
    };
    writer.finish();
    result
}

/// A port that is asked for by number has to be free; the daemon that binds it would name its own flag.
fn free(flag: &str, port: u16) -> anyhow::Result<()> {
    if port == 0 {
        return Ok(());
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop).with_context(|| {
        format!("port {port} cannot be had: stop what has it, or give another {flag}, or 0 for any")
    })
}

/// The directory of the other programs, which is ours.
fn programs() -> anyhow::Result<PathBuf> {
    let dir = environment::program_dir()?;
    for program in PROGRAMS {
        if !dir.join(program).is_file() {
            bail!(
                "{program} is not beside weft in {}: build all of them (`cargo build -p weft -p weft-control-plane -p weft-sidecar`) or install them together",
                dir.display()
            );
        }
    }
    Ok(dir)
}

/// Of the longest name in front of a line.
fn width(mesh: &weft_model::mesh_file::MeshFile) -> usize {
    let replicas = mesh
        .services()
        .iter()
        .map(|service| plan::instance(service.name().as_str(), service.replicas()).len());
    replicas.chain([plan::CONTROL_PLANE.len()]).max().unwrap_or_default()
}
