//! Carries out a plan: hosts with their processes, the faults in their order, the load. A process is a set of tasks
//! that ends all at once, as it does when it is killed.

use std::{
    cell::Cell,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime,
    sync::watch,
    task::{AbortHandle, JoinSet, LocalSet},
    time::sleep_until,
};
use weft_model::{
    endpoint::{Endpoint, Health, HopTarget, Port, Protocol, TlsMode},
    name::{InstanceKey, ServiceName},
};

use super::{
    application::{self, Application},
    caller::Worker,
    history::History,
    network::{Network, Quality},
    plan::{Behaviour, Fault, Kind, Plan},
    sidecar::{INBOUND_PORT, Sidecar, config},
    socket::{Place, Shared},
};
use crate::{
    data::Phase,
    table::{self, Home},
};

/// Who calls.
const CALLER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));
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
    service: ServiceName,
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
        world.start(plan);
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
    steps.sort_by_key(|(at, fault, begins)| (*at, fault.replica, *begins));
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
        Self { shared: shared.clone(), hosts: hosts.collect(), service: "orders".parse().unwrap() }
    }

    fn start(&mut self, plan: &Plan) {
        for host in &mut self.hosts {
            host.start_application();
            host.start_sidecar();
        }
        let place = Place { shared: self.shared.clone(), host: CALLER };
        let mut config = config("--control-plane http://10.0.2.1:8502 --node caller");
        config.policy = plan.policy.clone();
        let config = Arc::new(config);
        let (directory, publisher, demands) = table::directory(Home::from(&*config));
        let endpoints: Vec<_> = self.hosts.iter().map(|host| host.endpoint(&self.service)).collect();
        publisher.update([(self.service.clone(), Some(endpoints))]);
        let (phase, phases) = watch::channel(Phase::Serving);
        let sidecar = Sidecar { place: place.clone(), config, directory, phase: phases };
        process(place, async move {
            let _kept = (phase, demands, publisher);
            sidecar.run().await;
        });
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
            workers.spawn_local(place.run(worker.work(plan.time_ms)));
        }
        workers
    }

    /// A fault begins or ends.
    fn strike(&mut self, fault: &Fault, begins: bool) {
        let now = self.shared.now();
        let host = &mut self.hosts[fault.replica];
        let ip = host.place.host;
        self.shared.lock().trace().note(now, (ip, begins), || format!("{begins} {fault:?}"));
        match (fault.kind, begins) {
            (Kind::Behaves(behaviour, percent), true) => {
                host.application.behaviour.set((behaviour, percent));
            }
            (Kind::Behaves(..), false) => host.application.behaviour.set((Behaviour::Answers, 0)),
            (Kind::ApplicationDown, true) => kill(&mut host.process),
            (Kind::ApplicationDown, false) => host.start_application(),
            (Kind::HostDown, true) => {
                kill(&mut host.sidecar);
                kill(&mut host.process);
            }
            (Kind::HostDown, false) => {
                host.start_application();
                host.start_sidecar();
            }
            (Kind::PowerLoss, true) => {
                let mut network = self.shared.lock();
                network.cut(now, CALLER, ip);
                network.forget(now, ip);
                kill(&mut host.sidecar);
                kill(&mut host.process);
            }
            (Kind::PowerLoss, false) => {
                host.start_application();
                host.start_sidecar();
                self.shared.lock().mend(now, CALLER, ip);
            }
            (Kind::Cut, true) => self.shared.lock().cut(now, CALLER, ip),
            (Kind::Cut, false) => self.shared.lock().mend(now, CALLER, ip),
            (Kind::Lossy, true) => self.shared.lock().degrade(now, CALLER, ip, Some(LOSSY)),
            (Kind::Lossy, false) => self.shared.lock().degrade(now, CALLER, ip, None),
        }
    }
}

impl Host {
    fn start_application(&mut self) {
        let application = self.application.clone();
        self.process = Some(process(self.place.clone(), application.serve()));
    }

    fn start_sidecar(&mut self) {
        if !self.has_sidecar {
            return;
        }
        let host = self.place.host;
        let flags = format!(
            "--control-plane http://10.0.2.1:8502 --node {host} --service orders --instance orders \
             --app {host}:{} --protocol http",
            application::PORT
        );
        let config = Arc::new(config(&flags));
        let (directory, publisher, demands) = table::directory(Home::from(&*config));
        let (phase, phases) = watch::channel(Phase::Serving);
        let sidecar = Sidecar { place: self.place.clone(), config, directory, phase: phases };
        self.sidecar = Some(process(self.place.clone(), async move {
            let _kept = (phase, demands, publisher);
            sidecar.run().await;
        }));
    }

    fn endpoint(&self, service: &ServiceName) -> Endpoint {
        let host = self.place.host;
        let hop = match self.has_sidecar {
            true => HopTarget::Sidecar {
                address: SocketAddr::new(host, INBOUND_PORT),
                hop_version: 1,
                identity: String::new(),
                tls: TlsMode::Off,
            },
            false => HopTarget::Direct,
        };
        Endpoint {
            key: InstanceKey {
                service: service.clone(),
                node: host.to_string().parse().unwrap(),
                id: "orders".parse().unwrap(),
            },
            address: host.to_string(),
            ports: vec![Port { name: String::new(), protocol: Protocol::Http, port: application::PORT }],
            health: Health::Passing,
            reason: String::new(),
            weight: 1,
            zone: String::new(),
            hop,
            tags: Vec::new(),
        }
    }
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
    async fn until(&self, at: u64) {
        sleep_until(self.begun() + Duration::from_millis(at)).await;
    }
}
