//! A control plane on a simulated host: the real discovery machine over a made-up registry, behind real gRPC. It
//! checks the replicas that have no sidecar to do so.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, service::Routes};
use weft_model::discovery::{Mode, Server};
use weft_proto::{
    discovery::{self, aggregated_discovery_service_server as ads},
    weft::v1::{
        self as proto, attach_request::Message as Said, attach_response::Message as Say, mesh_server,
    },
};

use super::{
    application,
    registry::{LEASE_MS, Registry},
    socket::Place,
};
use crate::{
    discovery::tests::fake::{World, answer, ask},
    exec::LocalExec,
};

/// Where it serves gRPC.
pub(super) const PORT: u16 = 8_502;
/// How often leases are looked at, and replicas without a sidecar.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// A check that takes longer has failed.
const CHECK_TIMEOUT: Duration = Duration::from_millis(200);
const HEARTBEAT_MS: u64 = 500;
/// In place of a stream's number, for a replica that has none.
const BARE: u64 = 0;

/// What outlives a restart.
pub(super) type Disk = Arc<Mutex<Registry>>;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct ControlPlane {
    place: Place,
    disk: Disk,
    world: Arc<watch::Sender<World>>,
}

impl ControlPlane {
    pub(super) fn new(place: Place, disk: &Disk) -> Self {
        let world = disk.lock().unwrap().world();
        Self { place, disk: Arc::clone(disk), world: Arc::new(watch::Sender::new(world)) }
    }

    /// Serves until it is dropped; `bare` are the replicas that it checks itself.
    pub(super) async fn serve(self, bare: Vec<IpAddr>) {
        let now = self.place.shared.now();
        self.disk.lock().unwrap().restart(now);
        for host in bare {
            self.change(|registry, now| {
                registry.register(now, &host.to_string(), BARE, bare_instance(host));
                true
            });
            tokio::task::spawn_local(self.clone().check(host));
        }
        tokio::task::spawn_local(self.clone().expire());
        let routes = Routes::new(ads::AggregatedDiscoveryServiceServer::new(self.clone()))
            .add_service(mesh_server::MeshServer::new(self.clone()))
            .prepare();
        let listener = self.place.listen(PORT);
        while let Ok((socket, _)) = listener.accept().await {
            let service = TowerToHyperService::new(routes.clone());
            // No date: it is of the real time.
            let connection = http2::Builder::new(LocalExec)
                .timer(TokioTimer::new())
                .auto_date_header(false)
                .serve_connection(TokioIo::new(socket), service);
            tokio::task::spawn_local(async move {
                // Its end is the other side's to notice.
                drop(connection.await);
                Ok::<_, Infallible>(())
            });
        }
    }

    /// Shows what has become of a change, if it is one.
    fn change(&self, change: impl FnOnce(&mut Registry, u64) -> bool) {
        let mut registry = self.disk.lock().unwrap();
        if change(&mut registry, self.place.shared.now()) {
            self.world.send_replace(registry.world());
        }
    }

    async fn expire(self) {
        loop {
            sleep(LOOK_INTERVAL).await;
            self.change(Registry::expire);
        }
    }

    /// Two failures in a row make it critical.
    async fn check(self, host: IpAddr) {
        let mut failures = 0;
        loop {
            let is_well = application::probe(&self.place, host, CHECK_TIMEOUT).await;
            failures = if is_well { 0 } else { failures + 1 };
            let health = if failures > 1 { proto::Health::Critical } else { proto::Health::Passing };
            self.change(|registry, now| registry.renew(now, &host.to_string(), BARE, Some(health)));
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// What a sidecar says on its stream; `false` = it says goodbye.
    fn hear(&self, (stream, node): (u64, &mut String), said: Said) -> bool {
        match said {
            Said::Hello(hello) => {
                *node = hello.node;
                if let Some(instance) = hello.instance {
                    self.change(|registry, now| {
                        registry.register(now, node, stream, instance);
                        true
                    });
                }
            }
            Said::Health(report) => {
                self.change(|registry, now| registry.renew(now, node, stream, Some(report.health())));
            }
            Said::Heartbeat(_) => self.change(|registry, now| registry.renew(now, node, stream, None)),
            Said::Deregister(_) => {
                self.change(|registry, _| {
                    registry.deregister(node);
                    true
                });
                return false;
            }
        }
        true
    }
}

fn bare_instance(host: IpAddr) -> proto::Instance {
    proto::Instance {
        service: "orders".to_owned(),
        namespace: "default".to_owned(),
        id: "orders".to_owned(),
        address: host.to_string(),
        ports: vec![proto::Port {
            name: String::new(),
            protocol: proto::Protocol::Http.into(),
            port: u32::from(application::PORT),
        }],
        weight: 1,
        health: proto::Health::Critical.into(),
        ..proto::Instance::default()
    }
}

#[tonic::async_trait]
impl ads::AggregatedDiscoveryService for ControlPlane {
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<discovery::DeltaDiscoveryResponse, Status>>;

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<discovery::DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let (say, outgoing) = mpsc::channel(8);
        let (mut world, mut asked) = (self.world.subscribe(), request.into_inner());
        tokio::spawn(async move {
            let mut machine = Server::new(Mode::Delta, 1);
            loop {
                let shown = world.borrow_and_update().clone();
                while let Some(response) = machine.poll(&shown, false) {
                    if say.send(Ok(answer(response))).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    // What is asked first: it may be what was waited for.
                    biased;
                    request = asked.message() => {
                        let Ok(Some(request)) = request else { return };
                        machine.on_request(ask(request)).unwrap();
                    }
                    changed = world.changed() => if changed.is_err() { return },
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

#[tonic::async_trait]
impl mesh_server::Mesh for ControlPlane {
    type AttachStream = ReceiverStream<Result<proto::AttachResponse, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<proto::AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (say, outgoing) = mpsc::channel(8);
        let (control_plane, mut heard) = (self.clone(), request.into_inner());
        let welcome = proto::Welcome {
            store_id: "store-1".to_owned(),
            lease_ms: LEASE_MS,
            heartbeat_ms: HEARTBEAT_MS,
            control_plane_version: "0.1.0".to_owned(),
        };
        let message = Some(Say::Welcome(welcome));
        say.send(Ok(proto::AttachResponse { message })).await.unwrap();
        let stream = self.disk.lock().unwrap().begin();
        tokio::spawn(async move {
            // Held until the stream is to end.
            let (_say, mut node) = (say, String::new());
            while let Ok(Some(request)) = heard.message().await {
                if !request.message.is_none_or(|said| control_plane.hear((stream, &mut node), said)) {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}
