//! Discovery and `Attach` over real gRPC connections, spoken by hand: what a sidecar of ours would not say, and
//! what the two streams owe to each other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails here says so, which is its job"
)]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Code, Status, Streaming, codegen::http::uri::PathAndQuery, transport::Channel};
use weft_control_plane::{
    discovery::{Discovery, REMOVALS_HELD, Sidecars, grpc_server},
    registry::{Origin, Registration, Registry, RegistryOptions},
    store::{MemoryStore, Store},
};
use weft_model::{
    discovery::{Digest, Version},
    endpoint::{HopTarget, Port, Protocol},
    name::Id,
};
use weft_proto::{
    ENDPOINT_TYPE_URL, SERVICE_TYPE_URL,
    discovery::{self as ads, aggregated_discovery_service_client::AggregatedDiscoveryServiceClient},
    weft::v1::{self as proto, attach_request::Message as Say, attach_response::Message as Heard},
};
use weft_runtime::drain::Drain;

const SERVICE: &str = "orders.default";
const PATIENCE: Duration = Duration::from_secs(20);
/// Nothing comes: longer than what would come takes.
const QUIET: Duration = Duration::from_millis(300);

/// The gRPC side of a control plane.
struct Plane {
    registry: Registry,
    sidecars: Sidecars,
    address: SocketAddr,
    drain: Drain,
}

impl Plane {
    async fn start() -> Self {
        Self::started_at(Instant::now()).await
    }

    async fn started_at(started: Instant) -> Self {
        let store = MemoryStore::new();
        let store_id = Arc::from(store.id());
        let (registry, _task) = Registry::start(store, RegistryOptions::default()).await.unwrap();
        let drain = Drain::new();
        // Nobody says anything of anyone's calls, to sidecars that would not ask for it.
        let sayings = tokio::sync::watch::channel(Arc::default()).1;
        let (of, ending) = (registry.clone(), drain.watch());
        let discovery = Discovery { registry: of, sayings, store_id, started, drain: ending };
        let (routes, sidecars) = discovery.routes();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stopping = drain.watch();
        tokio::spawn(async move {
            let server = grpc_server().add_routes(routes);
            server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopping.draining()).await
        });
        Self { registry, sidecars, address, drain }
    }

    async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    async fn register(&self, id: &str) {
        self.registry.register(registration(id)).await.unwrap();
    }

    async fn attach(&self) -> Attach {
        let (say, outgoing) = mpsc::channel(16);
        let mut client = proto::mesh_client::MeshClient::new(self.channel().await);
        let heard = client.attach(ReceiverStream::new(outgoing)).await.unwrap().into_inner();
        Attach { say, heard }
    }

    /// Attached, without an instance.
    async fn attached(&self) -> Attach {
        let mut attach = self.attach().await;
        attach.say(Say::Hello(hello())).await;
        assert!(matches!(attach.hear().await, Ok(Some(Heard::Welcome(_)))));
        attach
    }

    async fn stream(&self) -> Ads {
        let (say, outgoing) = mpsc::channel(16);
        let mut client = AggregatedDiscoveryServiceClient::new(self.channel().await);
        let heard = client.delta_aggregated_resources(ReceiverStream::new(outgoing)).await.unwrap();
        Ads { say, heard: heard.into_inner(), held: BTreeMap::new(), nonces: BTreeMap::new() }
    }

    /// Somebody who does all right is served.
    async fn serves(&self, id: &str) {
        self.register(id).await;
        let mut stream = self.stream().await;
        stream.subscribe(&[]).await;
        stream.until(|held| held.contains_key(&format!("{SERVICE}/n/{id}"))).await;
        self.attached().await;
    }
}

struct Attach {
    say: mpsc::Sender<proto::AttachRequest>,
    heard: Streaming<proto::AttachResponse>,
}

impl Attach {
    async fn say(&self, message: Say) {
        // The control plane may have ended the stream already.
        let _ = self.say.send(proto::AttachRequest { message: Some(message) }).await;
    }

    async fn hear(&mut self) -> Result<Option<Heard>, Status> {
        let heard = tokio::time::timeout(PATIENCE, self.heard.message()).await.expect("no answer in time");
        Ok(heard?.and_then(|response| response.message))
    }
}

struct Ads {
    say: mpsc::Sender<ads::DeltaDiscoveryRequest>,
    heard: Streaming<ads::DeltaDiscoveryResponse>,
    held: BTreeMap<String, String>,
    nonces: BTreeMap<String, String>,
}

impl Ads {
    /// To all of the service, bringing `held`.
    async fn subscribe(&mut self, held: &[(&str, &str)]) {
        for (type_url, name) in
            [(ENDPOINT_TYPE_URL, format!("{SERVICE}/*")), (SERVICE_TYPE_URL, SERVICE.into())]
        {
            let of_type =
                held.iter().filter(|(name, _)| name.contains('/') == (type_url == ENDPOINT_TYPE_URL));
            let held = of_type.map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect();
            let request =
                ads::DeltaDiscoveryRequest { initial_resource_versions: held, ..wants(type_url, [name]) };
            self.say.send(request).await.unwrap();
        }
        self.held = held.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect();
    }

    /// Takes and acknowledges the next response.
    async fn take(&mut self) -> Result<(), Status> {
        let heard = tokio::time::timeout(PATIENCE, self.heard.message()).await.expect("no answer in time");
        let response = heard?.ok_or_else(|| Status::ok("ended"))?;
        for resource in response.resources {
            self.held.insert(resource.name, resource.version);
        }
        self.held.retain(|name, _| !response.removed_resources.contains(name));
        self.nonces.insert(response.type_url.clone(), response.nonce.clone());
        let answer = ads::DeltaDiscoveryRequest {
            type_url: response.type_url,
            response_nonce: response.nonce,
            ..ads::DeltaDiscoveryRequest::default()
        };
        let _ = self.say.send(answer).await;
        Ok(())
    }

    async fn until(&mut self, wanted: impl Fn(&BTreeMap<String, String>) -> bool) {
        while !wanted(&self.held) {
            self.take().await.unwrap();
        }
    }

    async fn quiet(&mut self) {
        let heard = tokio::time::timeout(QUIET, self.heard.message()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    /// A heartbeat with the digest of what is held, but for `forgotten`.
    fn heartbeat(&self, sequence: u64, forgotten: Option<&str>) -> proto::Heartbeat {
        let held = self.held.iter().filter(|(name, _)| Some(name.as_str()) != forgotten);
        let digest = Digest::of(held.map(|(name, version)| (name.as_str(), Version::parse(version))));
        let nonce = |type_url| self.nonces.get(type_url).cloned().unwrap_or_default();
        let service = SERVICE.to_owned();
        proto::Heartbeat {
            sequence,
            digests: vec![proto::ServiceDigest { service, xor: digest.to_bits(), ..Default::default() }],
            endpoint_nonce: nonce(ENDPOINT_TYPE_URL),
            service_nonce: nonce(SERVICE_TYPE_URL),
            ..Default::default()
        }
    }
}

fn wants(type_url: &str, names: impl IntoIterator<Item = String>) -> ads::DeltaDiscoveryRequest {
    ads::DeltaDiscoveryRequest {
        node: Some(ads::Node { id: "n/one".to_owned(), cluster: String::new() }),
        type_url: type_url.to_owned(),
        resource_names_subscribe: names.into_iter().collect(),
        ..ads::DeltaDiscoveryRequest::default()
    }
}

fn hello() -> proto::Hello {
    proto::Hello {
        node: "n".to_owned(),
        sidecar_id: "one".to_owned(),
        incarnation: 1,
        ..proto::Hello::default()
    }
}

fn instance() -> proto::Instance {
    proto::Instance {
        service: "orders".to_owned(),
        namespace: "default".to_owned(),
        id: "one".to_owned(),
        address: "127.0.0.1".to_owned(),
        ports: vec![proto::Port { name: String::new(), protocol: proto::Protocol::Http.into(), port: 80 }],
        health: proto::Health::Passing.into(),
        ..proto::Instance::default()
    }
}

fn registration(id: &str) -> Registration {
    Registration {
        key: format!("{SERVICE}/n/{id}").parse().unwrap(),
        address: "127.0.0.1".to_owned(),
        ports: vec![Port { name: String::new(), protocol: Protocol::Http, port: 8080 }],
        tags: Vec::new(),
        meta: BTreeMap::new(),
        weight: 1,
        weight_warning: 1,
        tagged_addresses: BTreeMap::new(),
        enable_tag_override: false,
        zone: String::new(),
        hop: HopTarget::Direct,
        origin: Origin::Catalog,
        checks: Vec::new(),
        replace_checks: false,
        deregister_after: None,
    }
}

#[tokio::test]
async fn a_sidecar_that_holds_something_else_is_asked_to_sync_and_is_healed() {
    let plane = Plane::start().await;
    plane.register("a").await;
    plane.register("b").await;
    let mut stream = plane.stream().await;
    stream.subscribe(&[]).await;
    stream.until(|held| held.len() == 3).await;
    stream.quiet().await;
    let mut attach = plane.attached().await;
    attach.say(Say::Heartbeat(stream.heartbeat(1, None))).await;
    assert!(matches!(attach.hear().await, Ok(Some(Heard::HeartbeatAck(_)))), "it holds what is believed");

    let lost = format!("{SERVICE}/n/b");
    attach.say(Say::Heartbeat(stream.heartbeat(2, Some(&lost)))).await;
    let Ok(Some(Heard::Resync(resync))) = attach.hear().await else { panic!("it is asked to sync") };
    assert_eq!(resync.services, [SERVICE]);
    let kept: Vec<(String, String)> =
        stream.held.clone().into_iter().filter(|(name, _)| *name != lost).collect();
    let kept: Vec<(&str, &str)> = kept.iter().map(|(name, version)| (&**name, &**version)).collect();
    stream.subscribe(&kept).await;
    stream.until(|held| held.contains_key(&lost)).await;
    assert_eq!(plane.sidecars.stats().resyncs.value(), 1);
}

#[tokio::test]
async fn a_new_store_adds_at_once_and_removes_only_after_the_window() {
    let before = Instant::now() - (REMOVALS_HELD - Duration::from_secs(2));
    let plane = Plane::started_at(before).await;
    plane.register("new").await;
    let old = format!("{SERVICE}/n/old");
    let mut stream = plane.stream().await;
    stream.subscribe(&[(&old, "0123456789abcdef"), (SERVICE, "0123456789abcdef")]).await;
    let new = format!("{SERVICE}/n/new");
    stream.until(|held| held.contains_key(&new)).await;
    assert!(stream.held.contains_key(&old) && before.elapsed() < REMOVALS_HELD);
    // What this control plane has seen itself is no riddle: it goes at once.
    plane.registry.deregister(Id::node("n").unwrap(), "new").await.unwrap();
    stream.until(|held| !held.contains_key(&new)).await;
    assert!(stream.held.contains_key(&old) && before.elapsed() < REMOVALS_HELD);
    stream.until(|held| !held.contains_key(&old)).await;
    assert!(before.elapsed() >= REMOVALS_HELD, "{:?}", before.elapsed());
}

#[tokio::test]
async fn what_an_attach_stream_says_wrongly_is_named_and_costs_only_that_stream() {
    let plane = Plane::start().await;
    let mut silent_about_itself = plane.attach().await;
    silent_about_itself.say(Say::Heartbeat(proto::Heartbeat::default())).await;
    assert_eq!(silent_about_itself.hear().await.unwrap_err().code(), Code::InvalidArgument);

    let with = |instance| proto::Hello { instance: Some(instance), ..hello() };
    let tls = proto::Sidecar { address: "127.0.0.1:1".to_owned(), tls: 99, ..proto::Sidecar::default() };
    let cases = [
        (proto::Hello { node: String::new(), ..hello() }, "node and sidecar_id"),
        (proto::Hello { sidecar_id: "x".repeat(1 << 20), ..hello() }, "node and sidecar_id"),
        (with(proto::Instance { health: 99, ..instance() }), "instance.health: 99"),
        (with(proto::Instance { service: "\u{0}/*".to_owned(), ..instance() }), "instance.service"),
        (with(proto::Instance { weight: u32::MAX, ..instance() }), "instance.weight"),
        (with(proto::Instance { tags: vec![String::new(); 70_000], ..instance() }), "instance.tags: 70000"),
        (with(proto::Instance { sidecar: Some(tls), ..instance() }), "instance.sidecar.tls: 99"),
    ];
    let count = cases.len();
    for (hello, named) in cases {
        let mut attach = plane.attach().await;
        attach.say(Say::Hello(hello)).await;
        let Ok(Some(Heard::Refused(refused))) = attach.hear().await else { panic!("{named}: it is taken") };
        assert!(refused.reason.contains(named), "{named}: {}", refused.reason);
    }
    assert_eq!(plane.sidecars.stats().attaches_refused.value(), count as u64);
    plane.serves("a").await;
}

#[tokio::test]
async fn a_flood_of_heartbeats_that_nobody_reads_the_answers_of_ends_its_stream() {
    let plane = Plane::start().await;
    let attach = plane.attached().await;
    let flood = async {
        let digest = proto::ServiceDigest { service: SERVICE.to_owned(), xor: 1, ..Default::default() };
        let heartbeat = proto::Heartbeat { digests: vec![digest; 1_000], ..proto::Heartbeat::default() };
        let message = proto::AttachRequest { message: Some(Say::Heartbeat(heartbeat)) };
        while attach.say.send(message.clone()).await.is_ok() {}
    };
    // Its answers pile up in the windows of HTTP/2 first.
    let _never = tokio::time::timeout(Duration::from_secs(3), flood).await;
    plane.serves("a").await;
}

#[tokio::test]
async fn what_a_discovery_stream_says_wrongly_costs_only_that_stream() {
    let plane = Plane::start().await;
    let names = |count: usize| (0..count).map(|number| format!("s{number}.default/*"));
    let held = ("orders.default/n/x".repeat(100), "1".to_owned());
    let cases = [
        (wants(ENDPOINT_TYPE_URL, ["x".repeat(5_000)]), Code::InvalidArgument),
        (wants(ENDPOINT_TYPE_URL, names(20_000)), Code::ResourceExhausted),
        (
            ads::DeltaDiscoveryRequest {
                initial_resource_versions: [held].into(),
                ..wants(ENDPOINT_TYPE_URL, [format!("{SERVICE}/*")])
            },
            Code::InvalidArgument,
        ),
    ];
    for (request, code) in cases {
        let mut stream = plane.stream().await;
        stream.say.send(request).await.unwrap();
        let ended = loop {
            if let Err(status) = stream.take().await {
                break status;
            }
        };
        assert_eq!(ended.code(), code, "{ended:?}");
    }
    assert_eq!(plane.sidecars.stats().streams_refused.value(), 3);

    // Unknown types, nonces that nobody gave, names of nothing: no reason to end a stream.
    let mut stream = plane.stream().await;
    stream.say.send(wants("type.googleapis.com/of.the.future", ["x".to_owned()])).await.unwrap();
    let strange = ads::DeltaDiscoveryRequest {
        response_nonce: "never given".to_owned(),
        resource_names_unsubscribe: vec!["/".to_owned(), String::new()],
        ..wants(ENDPOINT_TYPE_URL, ["/".to_owned(), String::new(), "/*".to_owned()])
    };
    stream.say.send(strange).await.unwrap();
    stream.subscribe(&[]).await;
    plane.register("a").await;
    stream.until(|held| held.contains_key(SERVICE)).await;
    plane.serves("b").await;
}

#[tokio::test]
async fn bytes_that_are_no_message_cost_only_their_stream() {
    let plane = Plane::start().await;
    let mut grpc = tonic::client::Grpc::new(plane.channel().await);
    grpc.ready().await.unwrap();
    // `type_url` of a discovery request, field 2, that is not UTF-8.
    let garbage = prost_types::Any { type_url: String::new(), value: vec![0xff, 0xfe, 0xff] };
    let path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
    let codec = tonic_prost::ProstCodec::<prost_types::Any, ads::DeltaDiscoveryResponse>::default();
    let said = tonic::Request::new(tokio_stream::iter([garbage]));
    let answer = grpc.streaming(said, PathAndQuery::from_static(path), codec).await;
    if let Ok(answer) = answer {
        let heard = tokio::time::timeout(PATIENCE, answer.into_inner().message()).await.expect("it ends");
        assert!(!matches!(heard, Ok(Some(_))), "{heard:?}");
    }
    plane.serves("a").await;
}

#[tokio::test]
async fn who_has_not_said_who_it_is_holds_up_no_stop() {
    let plane = Plane::start().await;
    let _silent = plane.attach().await;
    let _attached = plane.attached().await;
    let mut stream = plane.stream().await;
    plane.register("a").await;
    stream.subscribe(&[]).await;
    stream.until(|held| held.len() == 2).await;
    plane.drain.begin();
    let begun = Instant::now();
    let Plane { drain, registry, .. } = plane;
    drain.finish(PATIENCE).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    drop(registry);
}
