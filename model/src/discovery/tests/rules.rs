//! One rule of the protocol a test.

use super::*;

const ORDERS: &str = "orders.default";

fn linked() -> Link {
    let mut link = Link::new();
    link.connect();
    link.client.subscribe(ORDERS);
    link
}

fn names(response: &Response) -> Vec<&str> {
    response.resources.iter().map(|resource| &*resource.name).collect()
}

fn hear_all(link: &mut Link) {
    while link.client_speaks() {}
    while link.server_hears() {}
}

fn request(kind: Kind, subscribe: &[&str]) -> Request {
    Request {
        kind,
        subscribe: subscribe.iter().map(|name| Arc::from(*name)).collect(),
        unsubscribe: Vec::new(),
        initial_versions: Vec::new(),
        response_nonce: "".into(),
        error: None,
    }
}

#[test]
fn endpoints_come_first_and_the_service_closes_the_set() {
    let mut link = linked();
    link.world.set(ORDERS, 1, Some(1));
    link.world.set(ORDERS, 2, Some(2));
    hear_all(&mut link);
    let endpoints = link.server.poll(&link.world, false).unwrap();
    assert_eq!(names(&endpoints), ["orders.default/n/1", "orders.default/n/2"]);
    let service = link.server.poll(&link.world, false).unwrap();
    assert_eq!(names(&service), [ORDERS]);
    link.client.on_response(endpoints).unwrap();
    assert_eq!(link.client.presence(ORDERS), Some(Presence::Unknown));
    link.client.on_response(service).unwrap();
    assert_eq!(link.client.endpoints(ORDERS).unwrap().collect::<Vec<_>>(), [&1, &2]);
}

#[test]
fn what_is_said_of_a_service_comes_before_the_service() {
    let mut link = linked();
    link.world.set(ORDERS, 1, Some(1));
    link.world.say(ORDERS, 1, Some(2));
    hear_all(&mut link);
    let kinds: Vec<Kind> =
        std::iter::from_fn(|| link.server.poll(&link.world, false)).map(|response| response.kind).collect();
    assert_eq!(kinds, Kind::ORDER);
}

#[test]
fn a_service_of_which_only_something_is_said_is_closed_and_empty() {
    let mut link = linked();
    link.world.say(ORDERS, 1, Some(1));
    link.settle();
    assert_eq!(link.client.presence(ORDERS), Some(Presence::Closed));
    assert_eq!(link.client.endpoints(ORDERS).unwrap().count(), 0);
    assert_eq!(link.client.traffic(ORDERS).unwrap().collect::<Vec<_>>(), [&1]);
    link.world.say(ORDERS, 1, None);
    link.settle();
    assert_eq!(link.client.presence(ORDERS), Some(Presence::Absent));
}

#[test]
fn how_a_client_stands_to_a_resource_is_known_by_its_acknowledgements() {
    let mut link = linked();
    let name = "orders.default/httproute.default.1";
    let standing = |link: &Link, value: u8| link.server.standing(Kind::Traffic, name, Version::of(&[value]));
    assert_eq!(standing(&link, 1), None, "not subscribed yet");
    hear_all(&mut link);
    link.world.say(ORDERS, 1, Some(1));
    assert_eq!(standing(&link, 1), Some(Standing::Pending), "not sent yet");
    assert!(link.server_speaks(false));
    assert_eq!(standing(&link, 1), Some(Standing::Pending), "not acknowledged yet");
    link.settle();
    assert_eq!(standing(&link, 1), Some(Standing::Applied));
    link.world.say(ORDERS, 1, Some(7));
    link.settle();
    assert_eq!(standing(&link, 7), Some(Standing::Refused("sevenfold".into())));
    assert_eq!(standing(&link, 1), Some(Standing::Applied), "the version before serves on");
    assert_eq!(link.client.traffic(ORDERS).unwrap().collect::<Vec<_>>(), [&1]);
}

#[test]
fn a_set_that_takes_several_responses_is_closed_after_the_last() {
    let mut link = linked();
    let many = 2_500_u16;
    let endpoints: BTreeMap<String, u8> = (0..many).map(|one| (format!("{ORDERS}/n/{one:05}"), 1)).collect();
    link.world.values.insert(ORDERS.into(), Values { endpoints, ..Values::default() });
    link.world.build(ORDERS);
    let mut responses = 0;
    for _ in 0..20 {
        hear_all(&mut link);
        while link.server_speaks(false) {
            responses += 1;
        }
        while link.client_hears() {}
        let held = link.client.endpoints(ORDERS).map_or(0, Iterator::count);
        assert!(link.client.presence(ORDERS) != Some(Presence::Closed) || held == usize::from(many));
    }
    assert_eq!(responses, 4, "three of endpoints, one of the service");
    link.assert_equal();
}

#[test]
fn one_change_costs_one_small_message() {
    let mut link = linked();
    for endpoint in 1..5 {
        link.world.set(ORDERS, endpoint, Some(1));
    }
    link.settle();
    link.world.set(ORDERS, 3, Some(2));
    let response = link.server.poll(&link.world, false).unwrap();
    assert_eq!((names(&response), response.removed.len()), (vec!["orders.default/n/3"], 0));
    assert_eq!(link.server.poll(&link.world, false), None);
}

#[test]
fn what_changes_while_a_response_is_unacknowledged_comes_once_and_newest() {
    let mut link = linked();
    link.world.set(ORDERS, 1, Some(1));
    link.settle();
    link.world.set(ORDERS, 1, Some(2));
    assert!(link.server_speaks(false));
    for value in 3..6 {
        link.world.set(ORDERS, 1, Some(value));
        assert!(!link.server_speaks(false), "one unacknowledged response at a time");
    }
    assert!(link.client_hears() && link.server_hears());
    assert!(link.server_speaks(false));
    assert_eq!(link.down[0].resources[0].bytes[0], 5);
}

#[test]
fn a_service_that_does_not_exist_is_a_removed_service() {
    let mut link = linked();
    link.settle();
    assert_eq!(link.client.presence(ORDERS), Some(Presence::Absent));
    link.world.set(ORDERS, 1, Some(1));
    link.settle();
    assert_eq!(link.client.presence(ORDERS), Some(Presence::Closed));
}

#[test]
fn a_refused_resource_is_refused_alone_and_not_sent_again_until_it_changes() {
    let mut link = linked();
    link.world.set(ORDERS, 1, Some(7));
    link.world.set(ORDERS, 2, Some(2));
    link.settle();
    assert_eq!(link.client.endpoints(ORDERS).unwrap().collect::<Vec<_>>(), [&2]);
    let view = &link.server.view()[0];
    assert_eq!((view.endpoints, view.refused.len()), (1, 1));
    assert_eq!((&*view.refused[0].0, &*view.refused[0].1.reason), ("orders.default/n/1", "sevenfold"));
    link.world.set(ORDERS, 2, Some(3));
    let response = link.server.poll(&link.world, false).unwrap();
    assert_eq!(names(&response), ["orders.default/n/2"]);
    link.down.push_back(response);
    link.settle();
    link.world.set(ORDERS, 1, Some(8));
    link.settle();
    assert_eq!(link.client.endpoints(ORDERS).unwrap().collect::<Vec<_>>(), [&8, &3]);
    assert!(link.server.view()[0].refused.is_empty() && link.client.refused().next().is_none());
}

#[test]
fn an_update_that_is_refused_leaves_the_old_version_in_service() {
    let mut link = linked();
    link.world.set(ORDERS, 1, Some(1));
    link.settle();
    link.world.set(ORDERS, 1, Some(14));
    link.settle();
    assert_eq!(link.client.endpoints(ORDERS).unwrap().collect::<Vec<_>>(), [&1]);
    link.assert_equal();
    link.world.set(ORDERS, 1, Some(1));
    assert_eq!(link.server.poll(&link.world, false), None, "the client has it already");
}

#[test]
fn a_reconnect_costs_only_what_changed() {
    let mut link = linked();
    link.world.set(ORDERS, 1, Some(1));
    link.world.set(ORDERS, 2, Some(2));
    link.settle();
    link.disconnect();
    assert_eq!(link.client.endpoints(ORDERS).unwrap().count(), 2, "what is known serves on");
    link.world.set(ORDERS, 2, None);
    link.connect();
    hear_all(&mut link);
    let response = link.server.poll(&link.world, false).unwrap();
    assert_eq!((response.resources.len(), &*response.removed[0]), (0, "orders.default/n/2"));
    assert_eq!(link.server.poll(&link.world, false), None);
}

#[test]
fn removals_of_what_the_client_brought_wait_while_they_are_held() {
    let mut link = linked();
    link.world.set(ORDERS, 1, Some(1));
    link.settle();
    link.connect();
    link.world.set(ORDERS, 1, None);
    hear_all(&mut link);
    assert!(!link.server_speaks(true), "neither the endpoint nor the service is taken away");
    link.world.set(ORDERS, 2, Some(2));
    assert!(link.server_speaks(true), "additions are sent at once");
    assert_eq!(names(&link.down[0]), ["orders.default/n/2"]);
    link.client_hears();
    hear_all(&mut link);
    assert!(!link.server_speaks(true));
    link.settle();
    link.assert_equal();
}

#[test]
fn what_the_server_has_known_on_this_stream_goes_at_once_though_removals_are_held() {
    let mut link = linked();
    link.world.set(ORDERS, 1, Some(1));
    link.world.set(ORDERS, 2, Some(2));
    link.settle();
    link.disconnect();
    link.connect();
    link.settle();
    link.world.set(ORDERS, 1, None);
    let response = link.server.poll(&link.world, true).unwrap();
    assert_eq!(response.removed.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["orders.default/n/1"]);
}

#[test]
fn one_endpoint_can_be_subscribed_by_its_name() {
    let mut world = World::default();
    world.set(ORDERS, 1, Some(1));
    world.set(ORDERS, 2, Some(2));
    let mut server = Server::new(Mode::Delta, 1);
    let wanted = ["orders.default/n/2", "orders.default/n/9"];
    server.on_request(request(Kind::Endpoint, &wanted)).unwrap();
    let response = server.poll(&world, false).unwrap();
    assert_eq!((names(&response), &*response.removed[0]), (vec![wanted[0]], wanted[1]));
}

#[test]
fn subscribing_to_a_known_name_again_sends_it_again() {
    let mut world = World::default();
    world.set(ORDERS, 1, Some(1));
    let mut server = Server::new(Mode::Delta, 1);
    server.on_request(request(Kind::Endpoint, &["orders.default/*"])).unwrap();
    let response = server.poll(&world, false).unwrap();
    let ack = Request { response_nonce: response.nonce, ..request(Kind::Endpoint, &[]) };
    server.on_request(ack).unwrap();
    assert_eq!(server.poll(&world, false), None);
    server.on_request(request(Kind::Endpoint, &["orders.default/*"])).unwrap();
    assert_eq!(names(&server.poll(&world, false).unwrap()), ["orders.default/n/1"]);
}

#[test]
fn more_names_than_the_limit_end_the_stream() {
    let mut server = Server::new(Mode::Delta, 1);
    let names: Vec<String> = (0..=NAMES_MAX).map(|one| format!("s{one}.default")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let refused = server.on_request(request(Kind::Service, &names));
    assert_eq!(refused, Err(ServerError::Names { limit: NAMES_MAX }));
}

fn world_request(names: &[&str], nonce: &str, error: Option<&str>) -> WorldRequest {
    WorldRequest {
        kind: Kind::Endpoint,
        names: names.iter().map(|name| Arc::from(*name)).collect(),
        response_nonce: nonce.into(),
        error: error.map(Arc::from),
    }
}

#[test]
fn the_state_of_the_world_is_sent_whole_and_only_when_it_differs() {
    let mut world = World::default();
    world.set(ORDERS, 1, Some(1));
    world.set(ORDERS, 2, Some(2));
    let mut server = Server::new(Mode::StateOfTheWorld, 1);
    server.on_world_request(&world_request(&["orders.default/*"], "", None)).unwrap();
    let first = server.poll(&world, false).unwrap();
    assert_eq!(first.resources.len(), 2);
    server.on_world_request(&world_request(&["orders.default/*"], &first.nonce, None)).unwrap();
    assert_eq!(server.poll(&world, false), None, "no answer to an ACK");
    world.set(ORDERS, 2, None);
    let second = server.poll(&world, false).unwrap();
    assert_eq!((names(&second), second.removed.len()), (vec!["orders.default/n/1"], 0));
    // A request about the first response is stale by now.
    server.on_world_request(&world_request(&[], &first.nonce, None)).unwrap();
    server.on_world_request(&world_request(&["orders.default/*"], &second.nonce, None)).unwrap();
    assert_eq!(server.poll(&world, false), None);
    let more = ["orders.default/*", "cart.default/*", "cart.default/n/1"];
    server.on_world_request(&world_request(&more, &second.nonce, None)).unwrap();
    assert_eq!(server.poll(&world, false).unwrap().resources.len(), 1, "an answer when the names change");
}

#[test]
fn a_refused_world_is_not_sent_again_until_it_changes() {
    let mut world = World::default();
    world.set(ORDERS, 1, Some(1));
    let mut server = Server::new(Mode::StateOfTheWorld, 1);
    let all = ["orders.default/*"];
    server.on_world_request(&world_request(&all, "", None)).unwrap();
    let first = server.poll(&world, false).unwrap();
    server.on_world_request(&world_request(&all, &first.nonce, Some("no"))).unwrap();
    assert_eq!(server.poll(&world, false), None);
    world.set(ORDERS, 1, Some(2));
    assert_eq!(server.poll(&world, false).unwrap().resources[0].bytes[0], 2);
}

#[test]
fn a_request_that_repeats_itself_costs_no_more_than_one_that_does_not() {
    let mut link = linked();
    link.world.set(ORDERS, 1, Some(1));
    hear_all(&mut link);
    assert!(link.server.poll(&link.world, false).is_some(), "there is something in flight");
    let pattern: Arc<str> = format!("{ORDERS}/*").into();
    let held = |one: u32| (Arc::from(format!("{ORDERS}/n/{one}")), Version::parse("1"));
    let hostile = Request {
        subscribe: vec![pattern; 100_000],
        initial_versions: (0..100_000).map(held).collect(),
        ..request(Kind::Endpoint, &[])
    };
    // Each with each would take far longer than the runner lets a test go on.
    link.server.on_request(hostile).unwrap();
    assert!(link.server.digest(ORDERS).is_some() && link.server.names() == 3);
}

#[test]
fn a_client_that_claims_to_hold_more_than_there_can_be_is_ended() {
    let mut link = linked();
    let mut ended = None;
    for service in 0..100 {
        let held = |one: u32| (Arc::from(format!("s{service}.default/n/{one}")), Version::parse("1"));
        let brings = Request {
            initial_versions: (0..10_000).map(held).collect(),
            ..request(Kind::Endpoint, &[&format!("s{service}.default/*")])
        };
        ended = link.server.on_request(brings).err();
        if ended.is_some() {
            break;
        }
    }
    assert_eq!(ended, Some(ServerError::Held { limit: HELD_MAX }));
}
