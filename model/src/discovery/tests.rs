//! Both machines against each other over a stream that delivers late and breaks: whatever happens, the
//! client ends up holding the server's world.

mod rules;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use proptest::{collection::vec, prelude::*};

use super::*;

/// The world: services with endpoints and what is said about their calls, one small number each.
#[derive(Debug, Default, Clone)]
struct World {
    values: BTreeMap<String, Values>,
    groups: BTreeMap<(String, Kind), Arc<Group>>,
}

/// Of one service, by name.
#[derive(Debug, Default, Clone)]
struct Values {
    endpoints: BTreeMap<String, u8>,
    traffic: BTreeMap<String, u8>,
}

impl World {
    fn set(&mut self, service: &str, endpoint: u8, value: Option<u8>) {
        let values = self.values.entry(service.into()).or_default();
        put(&mut values.endpoints, format!("{service}/n/{endpoint}"), value);
        self.build(service);
    }

    fn say(&mut self, service: &str, route: u8, value: Option<u8>) {
        let values = self.values.entry(service.into()).or_default();
        put(&mut values.traffic, format!("{service}/httproute.default.{route}"), value);
        self.build(service);
    }

    fn build(&mut self, service: &str) {
        for kind in Kind::ORDER {
            self.groups.remove(&(service.into(), kind));
        }
        let Some(values) = self.values.get(service) else { return };
        if values.endpoints.is_empty() && values.traffic.is_empty() {
            self.values.remove(service);
            return;
        }
        for (kind, values) in [(Kind::Endpoint, &values.endpoints), (Kind::Traffic, &values.traffic)] {
            let encoded = values.iter().map(|(name, value)| resource(name, *value)).collect();
            self.groups.insert((service.into(), kind), Arc::new(Group::new(encoded)));
        }
        let service_resource = Group::new(vec![resource(service, 1)]);
        self.groups.insert((service.into(), Kind::Service), Arc::new(service_resource));
    }
}

impl Snapshot for World {
    fn group(&self, kind: Kind, group: &str) -> Option<&Arc<Group>> {
        self.groups.get(&(group.to_owned(), kind))
    }
}

fn put(values: &mut BTreeMap<String, u8>, name: String, value: Option<u8>) {
    match value {
        Some(value) => values.insert(name, value),
        None => values.remove(&name),
    };
}

fn resource(name: &str, value: u8) -> Resource {
    Resource::new(name, Bytes::copy_from_slice(&[value]))
}

/// Refuses values that seven divides.
#[derive(Debug)]
struct Picky;

impl Decode for Picky {
    type Endpoint = u8;
    type Traffic = u8;

    fn endpoint(&self, _: &str, bytes: &Bytes) -> Result<u8, String> {
        if bytes[0].is_multiple_of(7) { Err("sevenfold".into()) } else { Ok(bytes[0]) }
    }

    fn traffic(&self, name: &str, bytes: &Bytes) -> Result<u8, String> {
        self.endpoint(name, bytes)
    }

    fn service(&self, _: &str, _: &Bytes) -> Result<(), String> {
        Ok(())
    }
}

/// Two machines and what is between them.
struct Link {
    world: World,
    server: Server,
    client: Client<Picky>,
    up: VecDeque<Request>,
    down: VecDeque<Response>,
    streams: u64,
    connected: bool,
    /// One of the two is of the version before, and knows no traffic.
    old: Option<Old>,
}

/// Which end is of the version before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Old {
    Client,
    Server,
}

impl Link {
    fn new() -> Self {
        Self {
            old: None,
            world: World::default(),
            server: Server::new(Mode::Delta, 0),
            client: Client::new(Picky),
            up: VecDeque::new(),
            down: VecDeque::new(),
            streams: 0,
            connected: false,
        }
    }

    fn connect(&mut self) {
        self.disconnect();
        self.streams += 1;
        self.server = Server::new(Mode::Delta, self.streams);
        self.client.on_connected();
        self.connected = true;
    }

    /// All that is under way is lost.
    fn disconnect(&mut self) {
        self.client.on_disconnected();
        self.up.clear();
        self.down.clear();
        self.connected = false;
    }

    fn server_speaks(&mut self, hold: bool) -> bool {
        if !self.connected {
            return false;
        }
        let Some(response) = self.server.poll(&self.world, hold) else { return false };
        self.down.push_back(response);
        for kind in Kind::ORDER {
            let unread = self.down.iter().filter(|response| response.kind == kind).count();
            assert!(unread <= 1, "two unacknowledged responses of {kind:?}");
        }
        true
    }

    fn client_speaks(&mut self) -> bool {
        let Some(request) = self.client.poll() else { return false };
        if self.old != Some(Old::Client) || request.kind != Kind::Traffic {
            self.up.push_back(request);
        }
        true
    }

    fn server_hears(&mut self) -> bool {
        let Some(request) = self.up.pop_front() else { return false };
        if self.old == Some(Old::Server) && request.kind == Kind::Traffic {
            return true;
        }
        self.server.on_request(request).unwrap();
        true
    }

    fn client_hears(&mut self) -> bool {
        let Some(response) = self.down.pop_front() else { return false };
        self.client.on_response(response).unwrap();
        while self.client_speaks() {}
        true
    }

    /// Until nobody has anything to say; it must come to that soon.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            let moved =
                [self.client_speaks(), self.server_hears(), self.server_speaks(false), self.client_hears()];
            if !moved.contains(&true) {
                return;
            }
        }
        panic!("the two never come to rest");
    }

    fn assert_equal(&self) {
        let wanted: Vec<Arc<str>> = self.client.wanted().cloned().collect();
        for name in &wanted {
            let Some(world) = self.world.values.get(&**name) else {
                assert_eq!(self.client.presence(name), Some(Presence::Absent), "{name}");
                continue;
            };
            assert_eq!(self.client.presence(name), Some(Presence::Closed), "{name}");
            let kept = self.client.closed().find(|restored| restored.service.name == *name).unwrap();
            assert_held(&kept.endpoints, &world.endpoints);
            let (holding, old) = (self.client.holding(name).unwrap(), self.old.is_some());
            assert_eq!(Some(holding.digest), self.server.digest(name));
            assert_held(&kept.traffic, if old { const { &BTreeMap::new() } } else { &world.traffic });
            assert_eq!(Some(holding.traffic).filter(|_| !old), self.server.traffic_digest(name));
        }
        assert!(self.server.is_settled());
        for kind in Kind::ORDER {
            assert_eq!(self.client.nonce(kind), self.server.answered(kind));
        }
    }
}

/// All of the world but what was refused.
fn assert_held(held: &[Resource], world: &BTreeMap<String, u8>) {
    let held: BTreeMap<&str, u8> = held.iter().map(|one| (&*one.name, one.bytes[0])).collect();
    for (name, value) in world {
        if value.is_multiple_of(7) {
            assert_ne!(held.get(&**name), Some(value), "{name} was refused");
        } else {
            assert_eq!(held.get(&**name), Some(value), "{name}");
        }
    }
    assert!(held.keys().all(|name| world.contains_key(*name)), "{held:?} of {world:?}");
}

#[derive(Debug, Clone)]
enum Step {
    Set(u8, u8, Option<u8>),
    Say(u8, u8, Option<u8>),
    Subscribe(u8),
    Unsubscribe(u8),
    Resync(u8),
    ClientSpeaks,
    ServerHears,
    ServerSpeaks(bool),
    ClientHears,
    Connect,
    Disconnect,
    Restart,
}

fn steps() -> impl Strategy<Value = Step> {
    // Few names, so that events meet.
    let service = 0..2_u8;
    let value = || proptest::option::weighted(0.7, 1..15_u8);
    prop_oneof![
        6 => (service.clone(), 0..2_u8, value())
            .prop_map(|(service, endpoint, value)| Step::Set(service, endpoint, value)),
        4 => (service.clone(), 0..2_u8, value())
            .prop_map(|(service, route, value)| Step::Say(service, route, value)),
        3 => service.clone().prop_map(Step::Subscribe),
        2 => service.clone().prop_map(Step::Unsubscribe),
        3 => service.prop_map(Step::Resync),
        5 => Just(Step::ClientSpeaks),
        5 => Just(Step::ServerHears),
        5 => any::<bool>().prop_map(Step::ServerSpeaks),
        5 => Just(Step::ClientHears),
        1 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        1 => Just(Step::Restart),
    ]
}

fn service(index: u8) -> String {
    format!("s{index}.default")
}

fn take(link: &mut Link, step: &Step) {
    match step {
        Step::Set(one, endpoint, value) => link.world.set(&service(*one), *endpoint, *value),
        Step::Say(one, route, value) => link.world.say(&service(*one), *route, *value),
        Step::Subscribe(one) => link.client.subscribe(&service(*one)),
        Step::Unsubscribe(one) => link.client.unsubscribe(&service(*one)),
        Step::Resync(one) => link.client.resync(&service(*one)),
        Step::ClientSpeaks => drop(link.client_speaks()),
        Step::ServerHears => drop(link.server_hears()),
        Step::ServerSpeaks(hold) => drop(link.server_speaks(*hold)),
        Step::ClientHears => drop(link.client_hears()),
        Step::Connect => link.connect(),
        Step::Disconnect => link.disconnect(),
        Step::Restart => {
            link.disconnect();
            let kept: Vec<Restored> = link.client.closed().collect();
            link.client = Client::new(Picky);
            for restored in kept {
                assert_eq!(link.client.restore(restored), []);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_client_ends_up_with_the_servers_world(script in vec(steps(), 0..120)) {
        converges(Link::new(), &script);
    }

    #[test]
    fn ends_of_which_one_knows_no_traffic_agree_on_the_rest(
        script in vec(steps(), 0..80),
        old in prop_oneof![Just(Old::Client), Just(Old::Server)],
    ) {
        converges(Link { old: Some(old), ..Link::new() }, &script);
    }
}

fn converges(mut link: Link, script: &[Step]) {
    link.connect();
    link.client.subscribe(&service(0));
    for step in script {
        take(&mut link, step);
    }
    if !link.connected {
        link.connect();
    }
    link.settle();
    link.assert_equal();
}
