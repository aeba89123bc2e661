//! Carries out a plan: hosts with their processes, the faults in their order, the load. A process is a set of tasks
//! that ends all at once, as it does when it is killed.

use std::{
    cell::Cell,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    runtime,
    task::{AbortHandle, JoinSet, LocalSet},
    time::sleep_until,
};

use super::{
    application::{self, Application},
    caller::Worker,
    control_plane::{ControlPlane, Disk},
    history::History,
    network::{Network, Quality},
    plan::{BEGIN_MS, Behaviour, Fault, Kind, Plan, Site},
    sidecar::{Sidecar, config},
    socket::{Place, Shared},
};

/// Who calls.
const CALLER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));
const CONTROL_PLANE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 1));
/// A link that loses much.
const LOSSY: Quality = Quality { delay_ms_max: 50, loss_percent: 30 };

/// What came of a run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) history: History,
    /// Of all events.
    pub(super) hash: u64,
    /// In words, where they were asked for.
    pub(super) words: Vec<String>,
}

/// The processes of one replica.
struct Host {
    place: Place,
    application: Application,
    process: Option<AbortHandle>,
    sidecar: Option<AbortHandle>,
    has_sidecar: bool,
}

/// See the module.
struct World {
    shared: Shared,
    hosts: Vec<Host>,
    control_plane: Option<AbortHandle>,
    /// Of the control plane.
    disk: Disk,
    /// Of all sidecars.
    data_dir: TempDir,
}

/// Runs the plan to its end.
pub(super) fn run(plan: &Plan, keeps_words: bool) -> Run {
    // Whatever draws from the thread's own randomness.
    fastrand::seed(plan.seed);
    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut network = Network::new(plan.seed, plan.usual);
        if keeps_words {
            network.trace().keep_words();
        }
        let shared = Shared::new(network);
        let history = History::default();
        let driver = tokio::task::spawn_local(shared.clone().drive());
        let mut world = World::new(plan, &shared, &history);
        world.start(plan, &history);
        let workers = world.load(plan, &history);
        for (at, fault, begins) in steps(&plan.faults) {
            shared.until(at).await;
            world.strike(fault, begins);
        }
        workers.join_all().await;
        driver.abort();
        let mut network = shared.lock();
        Run { history, hash: network.trace().hash(), words: network.trace().take_lines() }
    })
}

/// The beginnings and ends of all faults, in order.
fn steps(faults: &[Fault]) -> Vec<(u64, &Fault, bool)> {
    let begins = faults.iter().map(|fault| (fault.time.start, fault, true));
    let ends = faults.iter().map(|fault| (fault.time.end, fault, false));
    let mut steps: Vec<_> = begins.chain(ends).collect();
    steps.sort_by_key(|(at, fault, begins)| (*at, fault.site, *begins));
    steps
}

impl World {
    fn new(plan: &Plan, shared: &Shared, history: &History) -> Self {
        let hosts = plan.replicas.iter().zip(1..).enumerate().map(|(replica, (known, number))| {
            let place = Place { shared: shared.clone(), host: Ipv4Addr::new(10, 0, 0, number).into() };
            let behaviour = Rc::new(Cell::new((Behaviour::Answers, 0)));
            let application =
                Application { place: place.clone(), replica, behaviour, history: history.clone() };
            Host { place, application, process: None, sidecar: None, has_sidecar: known.has_sidecar }
        });
        Self {
            shared: shared.clone(),
            hosts: hosts.collect(),
            control_plane: None,
            disk: Disk::default(),
            data_dir: data_dir(),
        }
    }

    fn start(&mut self, plan: &Plan, history: &History) {
        self.start_control_plane();
        for host in &mut self.hosts {
            host.start(self.data_dir.path());
        }
        let place = Place { shared: self.shared.clone(), host: CALLER };
        let mut config = config(&place, self.data_dir.path(), "--subscribe orders");
        config.policy = plan.policy.clone();
        let sidecar = Sidecar { place: place.clone(), config: Arc::new(config) };
        process(place, sidecar.run(Some(history.clone())));
    }

    fn start_control_plane(&mut self) {
        let place = Place { shared: self.shared.clone(), host: CONTROL_PLANE };
        let control_plane = ControlPlane::new(place.clone(), &self.disk);
        let bare = self.hosts.iter().filter(|host| !host.has_sidecar).map(|host| host.place.host);
        self.control_plane = Some(process(place, control_plane.serve(bare.collect())));
    }

    fn load(&self, plan: &Plan, history: &History) -> JoinSet<()> {
        let mut rng = fastrand::Rng::with_seed(plan.seed ^ 0x10ad);
        let mut workers = JoinSet::new();
        for number in 0..plan.workers {
            let place = Place { shared: self.shared.clone(), host: CALLER };
            let worker = Worker {
                place: place.clone(),
                history: history.clone(),
                rng: rng.fork(),
                think_ms_max: plan.think_ms_max,
                next_id: number as u64 + 1,
                stride: plan.workers as u64,
            };
            workers.spawn_local(place.run(worker.work(BEGIN_MS..plan.time_ms)));
        }
        workers
    }

    /// A fault begins or ends.
    fn strike(&mut self, fault: &Fault, begins: bool) {
        let now = self.shared.now();
        let ip = match fault.site {
            Site::Replica(replica) => self.hosts[replica].place.host,
            Site::ControlPlane => CONTROL_PLANE,
        };
        self.shared.lock().trace().note(now, (ip, begins), || format!("{begins} {fault:?}"));
        match (fault.kind, begins) {
            (Kind::Cut, true) => self.shared.lock().cut(now, CALLER, ip),
            (Kind::Cut, false) => self.shared.lock().mend(now, CALLER, ip),
            (Kind::Lossy, true) => self.shared.lock().degrade(now, CALLER, ip, Some(LOSSY)),
            (Kind::Lossy, false) => self.shared.lock().degrade(now, CALLER, ip, None),
            (Kind::Isolated, begins) => self.isolate(ip, begins),
            (Kind::HostDown, true) => {
                self.kill(fault.site);
                self.shared.lock().kill(now, ip);
            }
            (Kind::HostDown, false) => self.revive(fault.site),
            (Kind::PowerLoss, true) => {
                self.isolate(ip, true);
                self.shared.lock().forget(now, ip);
                self.kill(fault.site);
            }
            (Kind::PowerLoss, false) => {
                self.revive(fault.site);
                self.isolate(ip, false);
            }
            (kind, begins) => self.strike_application(fault.site, kind, begins),
        }
    }

    fn strike_application(&mut self, site: Site, kind: Kind, begins: bool) {
        let Site::Replica(replica) = site else { return };
        let host = &mut self.hosts[replica];
        match (kind, begins) {
            (Kind::Behaves(behaviour, percent), true) => host.application.behaviour.set((behaviour, percent)),
            (Kind::Behaves(..), false) => host.application.behaviour.set((Behaviour::Answers, 0)),
            (_, true) => kill(&mut host.process),
            (_, false) => host.start_application(),
        }
    }

    /// Cuts all links of a host, or mends them.
    fn isolate(&self, ip: IpAddr, begins: bool) {
        let others = self.hosts.iter().map(|host| host.place.host).chain([CALLER, CONTROL_PLANE]);
        let (mut network, now) = (self.shared.lock(), self.shared.now());
        for other in others.filter(|other| *other != ip) {
            // Where both ends are isolated, the first that comes back mends their link: nobody uses it.
            if begins { network.cut(now, ip, other) } else { network.mend(now, ip, other) }
        }
    }

    fn kill(&mut self, site: Site) {
        match site {
            Site::Replica(replica) => self.hosts[replica].kill(),
            Site::ControlPlane => kill(&mut self.control_plane),
        }
    }

    fn revive(&mut self, site: Site) {
        match site {
            Site::Replica(replica) => self.hosts[replica].start(self.data_dir.path()),
            Site::ControlPlane => self.start_control_plane(),
        }
    }
}

impl Host {
    fn start_application(&mut self) {
        let application = self.application.clone();
        self.process = Some(process(self.place.clone(), application.serve()));
    }

    fn start_sidecar(&mut self, data_dir: &Path) {
        if !self.has_sidecar {
            return;
        }
        let flags = format!(
            "--service orders --instance orders --app {}:{} --protocol http --check http:/health \
             --check-interval 500ms --check-timeout 300ms",
            self.place.host,
            application::PORT
        );
        let config = Arc::new(config(&self.place, data_dir, &flags));
        let sidecar = Sidecar { place: self.place.clone(), config };
        self.sidecar = Some(process(self.place.clone(), sidecar.run(None)));
    }

    fn start(&mut self, data_dir: &Path) {
        self.start_application();
        self.start_sidecar(data_dir);
    }

    /// All its processes end.
    fn kill(&mut self) {
        kill(&mut self.sidecar);
        kill(&mut self.process);
    }
}

/// In memory where that can be: the snapshots are written through.
fn data_dir() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

/// Starts a process on a host: all tasks that it starts are its own.
fn process(place: Place, main: impl Future<Output = ()> + 'static) -> AbortHandle {
    let tasks = LocalSet::new();
    tasks.spawn_local(main);
    tokio::task::spawn_local(place.run(tasks)).abort_handle()
}

fn kill(process: &mut Option<AbortHandle>) {
    process.take().iter().for_each(AbortHandle::abort);
}

impl Shared {
    /// Waits until this time, in milliseconds since the beginning.
    pub(super) async fn until(&self, at: u64) {
        sleep_until(self.begun() + Duration::from_millis(at)).await;
    }
}
