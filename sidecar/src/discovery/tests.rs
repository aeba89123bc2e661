//! The discovery client against a control plane in the same process, over real gRPC.

pub(crate) mod fake;
mod traffic;

use std::{path::Path, time::Duration};

use tokio::sync::watch;
use weft_model::{
    endpoint::Health,
    name::{Label, ServiceName},
};
use weft_proto::weft::v1 as proto;
use weft_runtime::drain::Drain;

use super::*;
use crate::table::{self, Demanded, Directory};
use fake::{Fake, endpoint};

const PATIENCE: Duration = Duration::from_secs(20);
const ORDERS: &str = "orders.default";

/// A discovery client with its table.
struct Bench {
    directory: Directory,
    handle: DiscoveryHandle,
    health: watch::Sender<AppHealth>,
    drain: Drain,
}

impl Bench {
    fn start(control_plane: String, data_dir: &Path, flags: &[&str]) -> Self {
        let (directory, publisher, demands) = table::directory(table::Home::default());
        let (health, told) = watch::channel(AppHealth { health: Health::Critical, reason: "new".into() });
        let drain = Drain::new();
        let inputs = Inputs {
            control_plane,
            publisher,
            demands,
            health: told,
            advertise: "127.0.0.1:4143".parse().unwrap(),
            admin: "127.0.0.1:4191".parse().unwrap(),
            drain: drain.watch(),
        };
        let handle = start(&config(data_dir, flags), inputs).unwrap();
        Self { directory, handle, health, drain }
    }

    fn ids(&self) -> Option<Vec<String>> {
        let table = self.directory.load();
        let service = table.services.get(&name(ORDERS))?;
        Some(service.endpoints.iter().map(|known| known.endpoint.key.id.to_string()).collect())
    }

    async fn until(&self, what: &str, wanted: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !wanted(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}: {:?}", self.handle.status());
    }

    async fn until_ids(&self, ids: &[&str]) {
        let wanted: Vec<String> = ids.iter().map(ToString::to_string).collect();
        self.until("the table", |bench| bench.ids().as_ref() == Some(&wanted)).await;
    }
}

fn config(data_dir: &Path, flags: &[&str]) -> SidecarConfig {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        run: crate::config::RunArgs,
    }
    let data_dir = data_dir.display().to_string();
    let all = ["sidecar", "--control-plane", "http://127.0.0.1:1", "--data-dir", &data_dir];
    let command = <Command as clap::Parser>::parse_from(all.iter().chain(flags));
    SidecarConfig::load(command.run).unwrap()
}

fn name(text: &str) -> ServiceName {
    ServiceName::from_host(text, &"default".parse::<Label>().unwrap()).unwrap()
}

#[tokio::test]
async fn a_first_dial_is_answered_by_the_control_plane() {
    let (data, fake) = (tempfile::tempdir().unwrap(), Fake::start().await);
    fake.set(ORDERS, vec![endpoint("a")]);
    let bench = Bench::start(fake.url(), data.path(), &[]);
    bench.until("connected", |bench| bench.handle.status().connected).await;
    assert_eq!(bench.directory.demand(name(ORDERS)).await, Demanded::Known);
    assert_eq!(bench.ids().unwrap(), ["a"]);
    assert_eq!(bench.directory.demand(name("nowhere")).await, Demanded::NoRoute);
    fake.set("nowhere.default", vec![endpoint("b")]);
    bench.until("it is there now", |bench| bench.directory.load().services.len() == 2).await;
    bench.drain.finish(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn losing_the_control_plane_empties_no_table_and_it_catches_up() {
    let (data, fake) = (tempfile::tempdir().unwrap(), Fake::start().await);
    fake.set(ORDERS, vec![endpoint("a"), endpoint("b")]);
    let bench = Bench::start(fake.url(), data.path(), &[]);
    assert_eq!(bench.directory.demand(name(ORDERS)).await, Demanded::Known);
    let (address, world) = fake.stop().await;
    bench.until("lost", |bench| !bench.handle.status().connected).await;
    assert_eq!(bench.ids().unwrap(), ["a", "b"]);
    assert_eq!(bench.directory.demand(name("unheard")).await, Demanded::Timeout);
    let fake = Fake::start_at(address, world).await;
    fake.set(ORDERS, vec![endpoint("b"), endpoint("c")]);
    bench.until_ids(&["b", "c"]).await;
    bench.drain.finish(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_sidecar_that_starts_without_a_control_plane_serves_from_its_disk() {
    let (data, fake) = (tempfile::tempdir().unwrap(), Fake::start().await);
    fake.set(ORDERS, vec![endpoint("a")]);
    let bench = Bench::start(fake.url(), data.path(), &[]);
    assert_eq!(bench.directory.demand(name(ORDERS)).await, Demanded::Known);
    bench.drain.finish(PATIENCE).await.unwrap();
    fake.stop().await;
    let bench = Bench::start("http://127.0.0.1:1".into(), data.path(), &[]);
    assert_eq!(bench.ids().unwrap(), ["a"], "at once");
    assert_eq!(bench.directory.demand(name(ORDERS)).await, Demanded::Known);
    bench.drain.finish(PATIENCE).await.unwrap();
    std::fs::write(keeper::path(data.path()), b"WEFTSNP1 and then nothing of use").unwrap();
    let bench = Bench::start("http://127.0.0.1:1".into(), data.path(), &[]);
    assert_eq!(bench.ids(), None, "a damaged snapshot is none");
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_read_is_refused_alone() {
    let (data, fake) = (tempfile::tempdir().unwrap(), Fake::start().await);
    let strange = proto::Endpoint { health: 99, ..endpoint("b") };
    fake.set(ORDERS, vec![endpoint("a"), strange]);
    let bench = Bench::start(fake.url(), data.path(), &[]);
    assert_eq!(bench.directory.demand(name(ORDERS)).await, Demanded::Known);
    assert_eq!(bench.ids().unwrap(), ["a"]);
    let refused = bench.handle.dump().await.refused;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].0, "orders.default/node/b");
    assert!(refused[0].1.starts_with("health: 99"), "{refused:?}");
    bench.until("the control plane knows", |_| fake.refused() == ["orders.default/node/b"]).await;
}

#[tokio::test]
async fn a_sidecar_attaches_reports_and_deregisters_its_instance() {
    let (data, mut fake) = (tempfile::tempdir().unwrap(), Fake::start().await);
    let flags = ["--service", "orders", "--instance", "orders-1", "--app", "127.0.0.1:8080"];
    let bench = Bench::start(fake.url(), data.path(), &flags);
    let hello = fake.said(|said| match said {
        fake::Said::Hello(hello) => Some(hello),
        _ => None,
    });
    let instance = hello.await.instance.unwrap();
    assert_eq!((&*instance.service, &*instance.id), ("orders", "orders-1"));
    assert_eq!(instance.sidecar.unwrap().address, "127.0.0.1:4143");
    assert_eq!(instance.ports[0].port, 8080);
    bench.until("attached", |bench| bench.handle.status().attached).await;
    assert_eq!(&*bench.handle.status().store_id, "store-1");
    bench.health.send_replace(AppHealth { health: Health::Passing, reason: String::new() });
    let report = fake.said(|said| match said {
        fake::Said::Health(report) => Some(report.health),
        _ => None,
    });
    assert_eq!(report.await, i32::from(proto::Health::Passing));
    bench.handle.deregister().await;
    fake.said(|said| matches!(said, fake::Said::Deregister(_)).then_some(())).await;
    let again = fake.said(|said| match said {
        fake::Said::Hello(hello) => Some(hello.instance),
        _ => None,
    });
    assert_eq!(again.await, None, "what was deregistered does not come back");
}

#[tokio::test]
async fn deregistering_without_a_control_plane_holds_nothing_up_for_long() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--service", "orders", "--app", "127.0.0.1:8080"];
    let bench = Bench::start("http://127.0.0.1:1".into(), data.path(), &flags);
    tokio::time::timeout(PATIENCE, bench.handle.deregister()).await.unwrap();
}

#[tokio::test]
async fn without_an_instance_there_is_nothing_to_wait_for() {
    use futures_util::FutureExt;

    let (data, fake) = (tempfile::tempdir().unwrap(), Fake::start().await);
    let bench = Bench::start(fake.url(), data.path(), &[]);
    bench.until("attached", |bench| bench.handle.status().attached).await;
    assert!(bench.handle.deregister().now_or_never().is_some());
}

#[tokio::test]
async fn a_wrong_url_is_said_at_the_start() {
    assert!(matches!(target("not a url"), Err(StartError::ControlPlane { .. })));
}
