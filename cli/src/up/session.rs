//! One mesh from its first process to its last: waits for the control plane, starts the rest, watches for
//! readiness, stops in order, and sweeps. See [`super`] for the picture.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use weft_model::mesh_file::MeshFile;
use weft_runtime::signal::Signals;

use super::{
    Options, START_TIMEOUT,
    board::Status,
    console::Console,
    plan::{EDGE, Places, ProcessSpec, Role},
    proc::Processes,
    state_dir,
    supervisor::{Event, Outcome, Supervisor, Surroundings},
};
use crate::{
    api,
    client::{Address, Client},
    manifest::Manifest,
    mesh::Loaded,
    objects::{self, Name},
};

/// Events on their way to the session; a supervisor with one more waits.
const QUEUE_EVENTS: usize = 256;
/// Between two looks at how many replicas pass.
const READY_INTERVAL: Duration = Duration::from_millis(200);
/// After that it is said, once, who is missing.
const READY_HINT_AFTER: Duration = Duration::from_secs(20);

/// A mesh under way.
pub(super) struct Session<'a> {
    options: &'a Options,
    mesh: &'a MeshFile,
    resources: &'a [Manifest],
    places: &'a Places<'a>,
    console: Console,
    signals: Signals,
    supervisors: JoinSet<(bool, Outcome)>,
    started: usize,
    events: mpsc::Receiver<Event>,
    events_in: mpsc::Sender<Event>,
    stop_replicas: CancellationToken,
    stop_control_plane: CancellationToken,
    now: CancellationToken,
    /// Applications whose sidecar died: our children now, to be reaped by us.
    orphans: Vec<Pid>,
}

/// Why the session goes over to stopping.
enum End {
    Told,
    AllEnded { well: bool },
}

impl<'a> Session<'a> {
    /// From here on signals no longer end us by themselves.
    pub(super) fn new(
        options: &'a Options,
        loaded: &'a Loaded,
        places: &'a Places<'a>,
        console: Console,
    ) -> anyhow::Result<Self> {
        let (events_in, events) = mpsc::channel(QUEUE_EVENTS);
        Ok(Self {
            options,
            mesh: &loaded.mesh,
            resources: &loaded.resources,
            places,
            console,
            signals: Signals::new().context("the system refuses signal handlers")?,
            supervisors: JoinSet::new(),
            started: 0,
            events,
            events_in,
            stop_replicas: CancellationToken::new(),
            stop_control_plane: CancellationToken::new(),
            now: CancellationToken::new(),
            orphans: Vec::new(),
        })
    }

    /// The whole of it.
    pub(super) async fn run(mut self) -> anyhow::Result<ExitCode> {
        let result = self.work().await;
        self.stop().await;
        let (message, code) = match &result {
            Ok(End::Told) => ("stopped; nothing is left running".to_owned(), ExitCode::SUCCESS),
            Ok(End::AllEnded { well: true }) => ("every replica has ended well".into(), ExitCode::SUCCESS),
            Ok(End::AllEnded { well: false }) => ("a replica has failed".into(), ExitCode::FAILURE),
            Err(_) => ("stopped".into(), ExitCode::FAILURE),
        };
        self.console.say(message).await;
        result.map(|_| code)
    }

    async fn work(&mut self) -> anyhow::Result<End> {
        self.spawn(self.places.control_plane(self.options.control_plane_http));
        let Some(up) = self.control_plane_up().await? else { return Ok(End::Told) };
        let Event::Up { ports, .. } = &up else { bail!("the control plane has no ports") };
        let grpc = ports.grpc.context("the control plane reports no gRPC port")?;
        let http = ports.http.context("the control plane reports no HTTP port")?;
        let url = format!("http://{http}");
        self.places.state.point(&url)?;
        self.apply_resources(http).await?;
        let replicas = self.places.replicas(self.mesh, grpc);
        let mut status = Status::new(self.mesh.name().as_str(), &replicas);
        status.apply(&up);
        self.spawn(self.places.edge(grpc, self.options.edge));
        for replica in replicas {
            self.spawn(replica);
        }
        let end = self.watch(http, &mut status).await;
        self.places.state.unpoint(&url);
        end
    }

    /// Before the first sidecar: no call is made that they do not hold for.
    async fn apply_resources(&self, http: SocketAddr) -> anyhow::Result<()> {
        let client = Client::new(Address::find(Some(&http.to_string()), None));
        for manifest in self.resources {
            let name = Name::of(&manifest.resource);
            let done = objects::apply(&client, &name, &manifest.value, false);
            let done = done.await.with_context(|| manifest.file.display().to_string())?;
            self.console.say(format!("{} {}", name.short(), done.what)).await;
        }
        Ok(())
    }

    /// `None` = we were told to stop first.
    async fn control_plane_up(&mut self) -> anyhow::Result<Option<Event>> {
        let up = tokio::select! {
            // A person who has changed their mind goes first.
            biased;
            _ = stop_signal(&mut self.signals) => return Ok(None),
            up = timeout(START_TIMEOUT, self.events.recv()) => up,
        };
        match up {
            Ok(Some(up @ Event::Up { .. })) => Ok(Some(up)),
            Ok(Some(Event::Ended { last_words, .. })) => {
                bail!("the control plane does not start: {}", words(last_words.as_deref()))
            }
            Ok(_) => bail!("the control plane does not start"),
            Err(_) => {
                bail!("the control plane does not listen within {START_TIMEOUT:?}: see its lines above")
            }
        }
    }

    async fn watch(&mut self, http: SocketAddr, status: &mut Status) -> anyhow::Result<End> {
        let client = Client::new(Address::find(Some(&http.to_string()), None));
        let begun = Instant::now();
        let mut hinted = false;
        let mut all_well = true;
        let mut left = status.replicas.len();
        let mut tick = interval(READY_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // Stopping goes first, then what has happened, then the question whether all is well.
                biased;
                signal = stop_signal(&mut self.signals) => {
                    self.console.say(format!("{signal}: stopping (once more stops at once)")).await;
                    return Ok(End::Told);
                }
                Some(event) = self.events.recv() => self.take(&event, status).await?,
                Some(ended) = self.supervisors.join_next() => {
                    if let Ok((true, Outcome::Finished { well })) = ended {
                        all_well &= well;
                        left -= 1;
                    }
                    if left == 0 {
                        return Ok(End::AllEnded { well: all_well });
                    }
                }
                _ = tick.tick(), if !status.ready => {
                    let missing = missing(&client, status).await;
                    if missing.is_empty() {
                        status.ready = true;
                        self.write(status)?;
                        self.summary(status).await;
                    } else if !hinted && begun.elapsed() > READY_HINT_AFTER {
                        hinted = true;
                        self.console.say(format!("still waiting for {}", describe(&missing))).await;
                    }
                }
            }
        }
    }

    async fn take(&mut self, event: &Event, status: &mut Status) -> anyhow::Result<()> {
        if let Event::Ended { name, .. } = event {
            let app = status.replicas.iter().find(|replica| replica.instance == *name);
            let app = app.and_then(|replica| i32::try_from(replica.app_pid?).ok());
            self.orphans.extend(app.map(Pid::from_raw));
        }
        self.orphans.retain(|pid| {
            matches!(waitpid(*pid, Some(WaitPidFlag::WNOHANG)), Ok(nix::sys::wait::WaitStatus::StillAlive))
        });
        if let Event::Ended { name, last_words, .. } = event
            && name == EDGE
            && status.edge.outbound.is_none()
        {
            bail!("the sidecar that is your way in does not start: {}", words(last_words.as_deref()));
        }
        status.apply(event);
        if let (Event::Application { name, pid }, true) = (event, status.ready) {
            self.console.say(format!("{name} runs again (application {pid})")).await;
        }
        self.write(status)
    }

    fn write(&self, status: &Status) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(status).context("the status is no JSON")?;
        state_dir::replace(&self.places.state.status_file(), &text)?;
        match &self.options.status_file {
            Some(file) if status.ready => state_dir::replace(file, &text),
            _ => Ok(()),
        }
    }

    async fn summary(&self, status: &Status) {
        let url = |url: &Option<String>| url.clone().unwrap_or_else(|| "-".into());
        let (control, edge) = (url(&status.control_plane.http), url(&status.edge.outbound));
        let example = self.mesh.services().first().map_or("-", |service| service.name().as_str());
        self.console.say(format!("{} is up", status.mesh)).await;
        for service in self.mesh.services() {
            let (name, count, protocol) = (service.name().as_str(), service.replicas(), service.protocol());
            self.console.say(format!("  {name:<24} {count} x {protocol}")).await;
        }
        self.console.say(format!("  {:<24} {control}  (weft status)", "control plane")).await;
        self.console.say(format!("  {:<24} curl -x {edge} http://{example}/", "your way in")).await;
        self.console.say("Ctrl-C stops everything").await;
    }

    /// Replicas and edge first, so that they can say goodbye to the control plane; then that.
    async fn stop(&mut self) {
        self.events.close();
        self.stop_replicas.cancel();
        let control_plane_left = usize::from(!self.supervisors.is_empty());
        self.join_until(control_plane_left).await;
        self.stop_control_plane.cancel();
        self.join_until(0).await;
        for pid in Processes::now().descendants(std::process::id()) {
            self.console.say(format!("ending process {pid}, which was left behind")).await;
            if let Ok(pid) = i32::try_from(pid) {
                let _gone_already = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }

    async fn join_until(&mut self, left: usize) {
        while self.supervisors.len() > left {
            tokio::select! {
                // An end that has come is taken before a second signal, which might not be needed any more.
                biased;
                _ = self.supervisors.join_next() => {}
                _ = stop_signal(&mut self.signals) => self.now.cancel(),
            }
        }
    }

    fn spawn(&mut self, spec: ProcessSpec) {
        let stop = match spec.role {
            Role::ControlPlane => &self.stop_control_plane,
            Role::Edge | Role::Replica { .. } => &self.stop_replicas,
        };
        let around = Surroundings {
            console: self.console.clone(),
            events: self.events_in.clone(),
            stop: stop.clone(),
            now: self.now.clone(),
        };
        let is_replica = matches!(spec.role, Role::Replica { .. });
        debug_assert!(is_replica || self.started < 2 || spec.name != EDGE, "one edge");
        let supervisor = Supervisor::new(spec, self.started, around);
        self.started += 1;
        self.supervisors.spawn(async move { (is_replica, supervisor.run().await) });
    }
}

/// Waits for a signal that means stop; the others are nothing to us.
async fn stop_signal(signals: &mut Signals) -> &'static str {
    loop {
        let signal = signals.next().await;
        if signal.stops() || signal == weft_runtime::signal::Signal::Hangup {
            return signal.as_str();
        }
    }
}

/// Services whose replicas do not all pass yet, with how many are missing.
async fn missing(client: &Client, status: &Status) -> BTreeMap<String, usize> {
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    for replica in status.replicas.iter().filter(|replica| !replica.ended) {
        *wanted.entry(replica.service.clone()).or_default() += 1;
    }
    let mut missing = BTreeMap::new();
    for (service, wanted) in wanted {
        // A control plane that does not answer yet is as good as one that knows nobody.
        let passing = api::passing(client, &service).await.unwrap_or(0);
        if passing < wanted {
            missing.insert(service, wanted - passing);
        }
    }
    missing
}

fn words(last: Option<&str>) -> &str {
    last.unwrap_or("it says nothing")
}

fn describe(missing: &BTreeMap<String, usize>) -> String {
    let each = missing.iter().map(|(service, count)| format!("{count} of {service}"));
    each.collect::<Vec<_>>().join(", ")
}
