//! `weft demo`: the gateway example under a steady load, while parts of it are killed. It is a client like any
//! other: it runs `weft up` as a child, calls through the mesh, and reads what anybody could read.
//!
//! ```text
//!  weft demo ──▶ weft up ──▶ control plane, sidecars, applications
//!     │ load ─────────────────▶ edge ▶ api-server ▶ account-manager × 3
//!     └ script: kill -9 a replica … kill -9 the control plane … SIGTERM a replica
//! ```

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::time::{MissedTickBehavior, interval};
use weft_runtime::signal::{Signal, Signals};

mod load;
mod mesh;
mod script;
mod tally;
mod view;

use load::Load;
use mesh::Mesh;
use script::Director;
use view::View;

/// How long it runs where nobody watches and nobody says.
const SECONDS_DEFAULT: u64 = 20;
/// With a terminal, the script begins anew after so long.
const CYCLE: Duration = Duration::from_secs(30);
/// What was killed at the end has this long to come back.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks at the mesh.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What `weft demo` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The mesh's file
    #[arg(default_value = "examples/gateway/weft.yaml", value_name = "FILE")]
    pub file: PathBuf,
    /// End by itself after so many seconds [default: with a terminal, at Ctrl-C; else 20]
    #[arg(long, env = "DEMO_SECONDS", hide_env_values = true, value_name = "N", value_parser = clap::value_parser!(u64).range(5..=86_400))]
    pub seconds: Option<u64>,
    /// Requests a second
    #[arg(long, value_name = "N", default_value_t = 80, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    pub rate: u32,
}

/// Runs the demo; exit code 0 only if every request succeeded and everything that was killed came back.
///
/// # Errors
/// When the mesh does not come up.
pub async fn run(options: &Options, colour: bool) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new().context("the system refuses signal handlers")?;
    let live = options.seconds.is_none() && io::stdout().is_terminal();
    let duration = match options.seconds {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None if live => None,
        None => Some(Duration::from_secs(SECONDS_DEFAULT)),
    };
    let mut view = View::new(live, colour);
    view.say("starting the mesh")?;
    let mut mesh = Mesh::start(&options.file)?;
    let ready = tokio::select! {
        // Whoever stops while it starts wants it stopped.
        biased;
        _ = stop_signal(&mut signals) => None,
        ready = mesh.ready() => Some(ready),
    };
    let Some(ready) = ready else {
        mesh.stop().await?;
        return Ok(ExitCode::FAILURE);
    };
    let begun = Instant::now();
    let result = match ready {
        Ok(()) => act(options, duration, &mut mesh, &mut view, &mut signals).await,
        Err(error) => Err(error),
    };
    let left = mesh.stop().await?;
    let ended = result.with_context(|| format!("the mesh's own words are in {}", mesh.log().display()))?;
    view.summary(&ended.tally, &ended.script, begun.elapsed(), left)?;
    let good = ended.tally.failed == 0 && ended.tally.sent > 0 && ended.recovered && left == 0;
    if good {
        mesh.forget();
        return Ok(ExitCode::SUCCESS);
    }
    view.say(&format!("the mesh's own words are in {}", mesh.log().display()))?;
    Ok(ExitCode::FAILURE)
}

/// What came of the demo.
struct Ended {
    tally: tally::Tally,
    script: Vec<script::Note>,
    recovered: bool,
}

/// Load and faults, until the time is over or somebody stops it.
async fn act(
    options: &Options,
    duration: Option<Duration>,
    mesh: &mut Mesh,
    view: &mut View,
    signals: &mut Signals,
) -> anyhow::Result<Ended> {
    let load =
        Load::start(&mesh.status().edge.outbound.clone().context("there is no way in")?, options.rate)?;
    let mut director = Director::new(duration.unwrap_or(CYCLE), duration.is_none());
    let begun = Instant::now();
    let mut tick = interval(LOOK_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // A person goes before the clock.
            biased;
            _ = stop_signal(signals) => break,
            _ = tick.tick() => {}
        }
        let now = begun.elapsed();
        mesh.look()?;
        director.step(now, mesh).await?;
        view.show(now, &load.tally(), mesh.status(), director.notes())?;
        let over = duration.is_some_and(|duration| now >= duration);
        let waited_enough = duration.is_some_and(|duration| now >= duration + RECOVERY_TIMEOUT);
        if over && (director.settled() || waited_enough) {
            break;
        }
    }
    let tally = load.finish().await;
    // Whoever presses Ctrl-C between a kill and its mending has seen enough.
    let recovered = director.settled() || duration.is_none();
    Ok(Ended { tally, script: director.into_notes(), recovered })
}

async fn stop_signal(signals: &mut Signals) {
    loop {
        let signal = signals.next().await;
        if signal.stops() || signal == Signal::Hangup {
            return;
        }
    }
}
