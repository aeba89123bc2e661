//! A control plane for tests: the real discovery machine over a world that the test sets, and an `Attach` that
//! records what it is told.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use weft_model::discovery::{Group, Kind, Mode, Nack, Request as Ask, Resource, Server, Snapshot, Version};
use weft_proto::{
    ENDPOINT_TYPE_URL, SERVICE_TYPE_URL, TRAFFIC_TYPE_URL,
    discovery::{self, aggregated_discovery_service_server as ads},
    weft::v1::{self as proto, mesh_server},
};

pub(super) use weft_proto::weft::v1::attach_request::Message as Said;

/// By kind and service.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    groups: HashMap<(Kind, String), Arc<Group>>,
    /// Of the version before: what is asked of traffic is not understood.
    old: bool,
}

/// A running control plane.
pub(super) struct Fake {
    address: SocketAddr,
    world: watch::Sender<World>,
    refused: Arc<Mutex<Vec<String>>>,
    said: mpsc::Receiver<Said>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Service {
    world: watch::Receiver<World>,
    refused: Arc<Mutex<Vec<String>>>,
    tell: mpsc::Sender<Said>,
    stop: CancellationToken,
}

impl Snapshot for World {
    fn group(&self, kind: Kind, group: &str) -> Option<&Arc<Group>> {
        self.groups.get(&(kind, group.to_owned()))
    }
}

impl World {
    pub(crate) fn put(&mut self, kind: Kind, service: &str, resources: Vec<Resource>) {
        self.groups.insert((kind, service.to_owned()), Arc::new(Group::new(resources)));
    }
}

impl Fake {
    pub(super) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), World::default()).await
    }

    pub(super) async fn start_at(address: SocketAddr, world: World) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (world, shown) = watch::channel(world);
        let (tell, said) = mpsc::channel(1_024);
        let (refused, stop) = (Arc::<Mutex<Vec<String>>>::default(), CancellationToken::new());
        let service = Service { world: shown, refused: Arc::clone(&refused), tell, stop: stop.clone() };
        let server = tonic::transport::Server::builder()
            .add_service(ads::AggregatedDiscoveryServiceServer::new(service.clone()))
            .add_service(mesh_server::MeshServer::new(service));
        let ended = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), ended).await.unwrap();
        });
        Self { address, world, refused, said, stop, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn set(&self, service: &str, endpoints: Vec<proto::Endpoint>) {
        let (name, namespace) = service.split_once('.').unwrap();
        let resources = endpoints.into_iter().map(|mut endpoint| {
            (endpoint.service, endpoint.namespace) = (name.to_owned(), namespace.to_owned());
            let name = format!("{service}/{}/{}", endpoint.node, endpoint.id);
            Resource::new(name, endpoint.encode_to_vec().into())
        });
        let closing = proto::Service { name: name.to_owned(), namespace: namespace.to_owned() };
        let closing = Resource::new(service, closing.encode_to_vec().into());
        self.world.send_modify(|world| {
            world.put(Kind::Endpoint, service, resources.collect());
            world.put(Kind::Service, service, vec![closing]);
        });
    }

    /// What resources say about a service.
    pub(super) fn say(&self, service: &str, traffic: &[proto::Traffic]) {
        let resources = traffic.iter().map(|one| {
            let origin = one.origin.as_ref().unwrap();
            let kind = origin.kind.to_ascii_lowercase();
            let name = format!("{service}/{kind}.{}.{}", origin.namespace, origin.name);
            Resource::new(name, one.encode_to_vec().into())
        });
        self.world.send_modify(|world| world.put(Kind::Traffic, service, resources.collect()));
    }

    /// From now on (a stream that begins later) of the version before.
    pub(super) fn forget_traffic(&self) {
        self.world.send_modify(|world| world.old = true);
    }

    pub(super) fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap().clone()
    }

    /// Waits for something that the sidecar says on its `Attach` stream.
    pub(super) async fn said<T>(&mut self, wanted: impl Fn(Said) -> Option<T>) -> T {
        let waiting = async {
            loop {
                if let Some(found) = wanted(self.said.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        tokio::time::timeout(super::PATIENCE, waiting).await.expect("the sidecar says it in time")
    }

    pub(super) async fn stop(self) -> (SocketAddr, World) {
        self.stop.cancel();
        self.task.await.unwrap();
        let world = self.world.borrow().clone();
        (self.address, world)
    }
}

#[tonic::async_trait]
impl ads::AggregatedDiscoveryService for Service {
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<discovery::DeltaDiscoveryResponse, Status>>;

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<discovery::DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let (say, outgoing) = mpsc::channel(8);
        let (mut service, mut asked) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            let mut machine = Server::new(Mode::Delta, 1);
            loop {
                let world = service.world.borrow_and_update().clone();
                while let Some(response) = machine.poll(&world, false) {
                    say.send(Ok(answer(response))).await.unwrap();
                }
                tokio::select! {
                    biased;
                    () = service.stop.cancelled() => return,
                    request = asked.message() => {
                        let Ok(Some(request)) = request else { return };
                        if world.old && request.type_url == TRAFFIC_TYPE_URL {
                            continue;
                        }
                        machine.on_request(ask(request)).unwrap();
                        let refused = machine.view().into_iter().flat_map(|view| view.refused);
                        *service.refused.lock().unwrap() = refused.map(|(name, _)| name.to_string()).collect();
                    }
                    _ = service.world.changed() => {}
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

#[tonic::async_trait]
impl mesh_server::Mesh for Service {
    type AttachStream = ReceiverStream<Result<proto::AttachResponse, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<proto::AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (say, outgoing) = mpsc::channel(8);
        let (service, mut heard) = (self.clone(), request.into_inner());
        let welcome = proto::Welcome {
            store_id: "store-1".to_owned(),
            lease_ms: 3_000,
            heartbeat_ms: 100,
            control_plane_version: "0.1.0".to_owned(),
        };
        let message = Some(proto::attach_response::Message::Welcome(welcome));
        say.send(Ok(proto::AttachResponse { message })).await.unwrap();
        tokio::spawn(async move {
            // Held until the stream is to end.
            let _say = say;
            while let Some(Ok(Some(request))) = service.stop.run_until_cancelled(heard.message()).await {
                let Some(message) = request.message else { continue };
                let last = matches!(message, Said::Deregister(_));
                if service.tell.try_send(message).is_err() || last {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

/// An endpoint on `node` that is called plainly.
pub(super) fn endpoint(id: &str) -> proto::Endpoint {
    proto::Endpoint {
        node: "node".to_owned(),
        id: id.to_owned(),
        address: "127.0.0.1".to_owned(),
        ports: vec![proto::Port { name: String::new(), protocol: proto::Protocol::Http.into(), port: 8080 }],
        health: proto::Health::Passing.into(),
        weight: 1,
        hop: Some(proto::endpoint::Hop::Direct(proto::Direct {})),
        ..proto::Endpoint::default()
    }
}

/// A route of `orders.default` that sends calls with this path to `backend`.
pub(super) fn route(name: &str, path: proto::path_match::Path, backend: &str) -> proto::Traffic {
    let path = Some(proto::PathMatch { path: Some(path) });
    let target = proto::BackendRef { service: backend.into(), namespace: "default".into(), port: None };
    let rule = proto::Rule {
        matches: vec![proto::RequestMatch { path, ..proto::RequestMatch::default() }],
        backends: vec![proto::Backend { target: Some(target), weight: 1, filters: Vec::new() }],
        ..proto::Rule::default()
    };
    let route = proto::Route { ports: Vec::new(), rules: vec![rule] };
    proto::Traffic {
        service: "orders".to_owned(),
        namespace: "default".to_owned(),
        origin: Some(proto::TrafficOrigin {
            created_ms: 1,
            namespace: "default".to_owned(),
            name: name.to_owned(),
            kind: "HTTPRoute".to_owned(),
            generation: 1,
        }),
        spec: Some(proto::traffic::Spec::Route(route)),
    }
}

/// A request, as the machine takes it.
pub(crate) fn ask(request: discovery::DeltaDiscoveryRequest) -> Ask {
    let names = |names: Vec<String>| names.into_iter().map(Into::into).collect();
    let versions = request.initial_resource_versions.into_iter();
    let refusals = request.error_detail.map(|status| {
        let refusals = proto::Refusals::decode(status.details[0].value.as_slice()).unwrap();
        let resources = refusals.resources.into_iter();
        Nack::Resources(resources.map(|one| (one.name.into(), one.reason.into())).collect())
    });
    Ask {
        kind: match request.type_url.as_str() {
            ENDPOINT_TYPE_URL => Kind::Endpoint,
            TRAFFIC_TYPE_URL => Kind::Traffic,
            _ => Kind::Service,
        },
        subscribe: names(request.resource_names_subscribe),
        unsubscribe: names(request.resource_names_unsubscribe),
        initial_versions: versions.map(|(name, held)| (name.into(), Version::parse(&held))).collect(),
        response_nonce: request.response_nonce.into(),
        error: refusals,
    }
}

/// A response, as it is sent.
pub(crate) fn answer(response: weft_model::discovery::Response) -> discovery::DeltaDiscoveryResponse {
    let type_url = match response.kind {
        Kind::Endpoint => ENDPOINT_TYPE_URL,
        Kind::Traffic => TRAFFIC_TYPE_URL,
        Kind::Service => SERVICE_TYPE_URL,
    };
    let resources = response.resources.into_iter().map(|resource| discovery::Resource {
        version: resource.version.to_string(),
        resource: Some(prost_types::Any { type_url: type_url.to_owned(), value: resource.bytes.to_vec() }),
        name: resource.name.to_string(),
    });
    discovery::DeltaDiscoveryResponse {
        resources: resources.collect(),
        type_url: type_url.to_owned(),
        nonce: response.nonce.to_string(),
        removed_resources: response.removed.iter().map(ToString::to_string).collect(),
        ..discovery::DeltaDiscoveryResponse::default()
    }
}
