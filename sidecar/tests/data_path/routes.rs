//! What routes, limits and faults do to real calls: filters, splits, copies, timeouts, retries, answers made in
//! the application's place; and that a change of them drops no request.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use weft_model::{
    endpoint::Endpoint,
    name::ServiceName,
    policy::{FaultAbort, FaultDelay, FaultPolicy, patch::PolicyPatch},
    traffic::{
        Backend, BackendRef, Filter, HeaderEdit, Item, Match, Mirror, Origin, PathEdit, PathMatch, RateKey,
        RateLimit, Redirect, Rewrite, Route, Rule, RuleRetry, Spec, Traffic,
    },
};
use weft_sidecar::table::ServiceState;

use crate::mesh::{App, Body, Got, Replica, Sidecar, config, get, request, send, text, until};

/// A caller's sidecar and its services; each has one replica, which answers with what it was sent.
struct Mesh {
    sidecar: Sidecar,
    replicas: Vec<(&'static str, Replica)>,
}

impl Mesh {
    async fn of(names: &[&'static str]) -> Self {
        let mut replicas = Vec::new();
        for name in names {
            replicas.push((*name, Replica::http(name, "1", echo(name).await)));
        }
        let mesh = Self { sidecar: Sidecar::start(config()), replicas };
        names.iter().for_each(|name| mesh.say(name, Vec::new()));
        mesh
    }

    /// Says this about a service, in place of what was said before.
    fn say(&self, service: &str, specs: Vec<Spec>) {
        let replicas = self.replicas.iter().filter(|(name, _)| *name == service);
        let endpoints = replicas.map(|(_, replica)| replica.endpoint.clone()).collect();
        publish(&self.sidecar, service, endpoints, specs);
    }

    fn route(&self, service: &str, rules: Vec<Rule>) {
        self.say(service, vec![Spec::Route(Route { ports: Vec::new(), rules })]);
    }

    fn count(&self, service: &str) -> usize {
        self.replicas
            .iter()
            .filter(|(name, _)| *name == service)
            .map(|(_, replica)| replica.app.count())
            .sum()
    }

    async fn get(&self, host: &str, target: &str) -> Got {
        self.send(request("GET", host).uri(target)).await
    }

    async fn send(&self, request: http::request::Builder) -> Got {
        send(self.sidecar.outbound, request.body(Full::default()).unwrap()).await
    }
}

fn publish(sidecar: &Sidecar, service: &str, endpoints: Vec<Endpoint>, specs: Vec<Spec>) {
    let item = |(place, spec): (u64, Spec)| {
        let kind = match &spec {
            Spec::Route(_) => "HTTPRoute",
            Spec::Policy(_) => "ServicePolicy",
            Spec::RateLimits(_) => "RateLimitPolicy",
        };
        let (namespace, name, kind) = ("default".into(), "said".into(), kind.into());
        Item { origin: Origin { created_ms: place, namespace, name, kind, generation: 1 }, spec }
    };
    let traffic = Arc::new(Traffic::new((0..).zip(specs).map(item).collect()));
    let name: ServiceName = service.parse().unwrap();
    sidecar.publisher.update([(name, Some(ServiceState { endpoints, traffic }))]);
}

/// Answers with its name, the request's line and headers.
async fn echo(name: &'static str) -> App {
    App::start(move |request| Box::pin(echoed(name, request))).await
}

async fn echoed(name: &'static str, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut said = format!("{name} {} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        said.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    said.push_str(&String::from_utf8_lossy(&body));
    let mut response = text(StatusCode::OK, said);
    response.headers_mut().insert("x-from", name.parse().unwrap());
    response
}

fn said(got: &Got) -> &str {
    std::str::from_utf8(&got.body).unwrap()
}

fn prefix(path: &str) -> Match {
    Match { path: Some(PathMatch::Prefix(path.into())), ..Match::default() }
}

fn backend(service: &str, weight: u32) -> Backend {
    Backend { target: target(service), weight, filters: Vec::new() }
}

fn target(service: &str) -> BackendRef {
    BackendRef { service: service.parse().unwrap(), port: None }
}

fn rule(matches: Vec<Match>, backends: Vec<Backend>) -> Rule {
    Rule { matches, backends, ..Rule::default() }
}

fn filtered(filters: Vec<Filter>) -> Rule {
    Rule { matches: vec![prefix("/old")], filters, ..Rule::default() }
}

fn set(name: &str, value: &str) -> HeaderEdit {
    HeaderEdit { set: vec![(name.into(), value.into())], ..HeaderEdit::default() }
}

fn limit(requests: u32, burst: u32, by: Vec<RateKey>) -> Spec {
    let per = Duration::from_secs(3_600);
    Spec::RateLimits(vec![RateLimit { matches: Vec::new(), route: None, by, requests, per, burst }])
}

#[tokio::test]
async fn the_rule_that_matches_says_where_a_call_goes_and_no_rule_means_404() {
    let mesh = Mesh::of(&["shop", "new", "old"]).await;
    let header = weft_model::traffic::ValueMatch {
        name: "version".into(),
        value: weft_model::traffic::ValuePattern::Exact("2".into()),
    };
    let canary = Match { headers: vec![header], ..prefix("/a") };
    let rules = vec![
        rule(vec![prefix("/a")], vec![backend("old", 1)]),
        rule(vec![canary], vec![backend("new", 1)]),
        rule(vec![prefix("/own")], Vec::new()),
    ];
    mesh.route("shop", rules);
    assert_eq!(mesh.get("shop", "/a/1").await.header("x-from"), "old");
    assert_eq!(
        mesh.send(request("GET", "shop").uri("/a/1").header("version", "2")).await.header("x-from"),
        "new"
    );
    assert_eq!(mesh.get("shop", "/own").await.header("x-from"), "shop");
    let got = mesh.get("shop", "/b").await;
    assert_eq!((got.status, got.header("weft-error")), (404, "no-route"));
    assert!(said(&got).contains("no route of the service matches"));
    let scraped = mesh.sidecar.scrape();
    let counted = r#"weft_route_requests_total{service="shop.default",route="said/"#;
    assert_eq!(scraped.lines().filter(|line| line.starts_with(counted)).count(), 3, "{scraped}");
    mesh.say("shop", Vec::new());
    until("without rules all goes to the service", || mesh.sidecar.publisher.current().version > 0).await;
    assert_eq!(mesh.get("shop", "/b").await.header("x-from"), "shop");
    let scraped = mesh.sidecar.scrape();
    assert!(!scraped.contains(counted), "rules that are gone have no series: {scraped}");
}

#[tokio::test]
async fn a_split_gives_each_backend_its_share() {
    let mesh = Mesh::of(&["shop", "a", "b", "never"]).await;
    mesh.route("shop", vec![rule(Vec::new(), vec![backend("a", 3), backend("never", 0), backend("b", 1)])]);
    for _ in 0..200 {
        assert_eq!(mesh.get("shop", "/").await.status, 200);
    }
    // 150 of 200 are expected; six standard deviations are 37.
    assert!((113..=187).contains(&mesh.count("a")), "{}", mesh.count("a"));
    assert_eq!((mesh.count("a") + mesh.count("b"), mesh.count("never"), mesh.count("shop")), (200, 0, 0));
}

#[tokio::test]
async fn a_backend_that_does_not_exist_answers_its_share_with_500() {
    let mesh = Mesh::of(&["shop", "a"]).await;
    mesh.route("shop", vec![rule(Vec::new(), vec![backend("a", 1), backend("gone", 1)])]);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..60 {
        let got = mesh.get("shop", "/").await;
        match got.status {
            200 => good += 1,
            500 => {
                assert_eq!(got.header("weft-error"), "no-backend");
                bad += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(good >= 10 && bad >= 10, "{good} {bad}");
    mesh.route("shop", vec![rule(Vec::new(), vec![backend("a", 0)])]);
    assert_eq!(mesh.get("shop", "/").await.status, 500, "no weight, nobody");
    let grpc = request("POST", "shop").header("content-type", "application/grpc");
    assert_eq!(mesh.send(grpc).await.header("grpc-status"), "14");
}

#[tokio::test]
async fn headers_are_edited_there_and_back_by_rule_and_by_backend() {
    let mesh = Mesh::of(&["shop", "a"]).await;
    let there = HeaderEdit { remove: vec!["x-gone".into()], ..set("x-rule", "1") };
    let mut to = backend("a", 1);
    to.filters = vec![
        Filter::RequestHeaders(set("x-backend", "2")),
        Filter::ResponseHeaders(HeaderEdit {
            add: vec![("x-answer".into(), "b".into())],
            ..set("x-from", "edited")
        }),
    ];
    let filters = vec![
        Filter::RequestHeaders(there),
        Filter::ResponseHeaders(HeaderEdit {
            add: vec![("x-answer".into(), "r".into())],
            ..HeaderEdit::default()
        }),
    ];
    mesh.route("shop", vec![Rule { filters, backends: vec![to], ..Rule::default() }]);
    let got = mesh.send(request("GET", "shop").header("x-gone", "1").header("x-rule", "0")).await;
    assert!(said(&got).contains("x-rule: 1\n") && said(&got).contains("x-backend: 2\n"), "{}", said(&got));
    assert!(!said(&got).contains("x-gone"), "{}", said(&got));
    assert_eq!(got.header("x-from"), "edited");
    let answers: Vec<_> = got.headers.get_all("x-answer").iter().collect();
    assert_eq!(answers, ["b", "r"]);
}

#[tokio::test]
async fn host_and_path_are_rewritten_and_the_query_stays() {
    let mesh = Mesh::of(&["shop"]).await;
    let path = Some(PathEdit::Prefix("/new".into()));
    mesh.route(
        "shop",
        vec![filtered(vec![Filter::Rewrite(Rewrite { host: Some("other.example".into()), path })])],
    );
    let got = mesh.get("shop", "/old/a?q=1").await;
    assert!(said(&got).starts_with("shop GET /new/a?q=1\n"), "{}", said(&got));
    assert!(said(&got).contains("host: other.example\n"), "{}", said(&got));
    let got = mesh.get("shop", "/old").await;
    assert!(said(&got).starts_with("shop GET /new\n"), "{}", said(&got));
}

#[tokio::test]
async fn a_redirect_is_answered_at_once_and_no_failure() {
    let mesh = Mesh::of(&["shop"]).await;
    let redirect = Redirect {
        scheme: Some("https".into()),
        host: None,
        path: Some(PathEdit::Prefix("/new".into())),
        port: Some(8443),
        status: 301,
    };
    mesh.route("shop", vec![filtered(vec![Filter::Redirect(redirect)])]);
    let got = mesh.get("shop", "/old/a?q=1").await;
    assert_eq!((got.status, got.header("location")), (301, "https://shop:8443/new/a?q=1"));
    assert_eq!((got.header("weft-error"), got.body.len(), mesh.count("shop")), ("", 0, 0));
    let counted = r#"service="shop.default",code_class="3xx",error=""} 1"#;
    until("counted", || mesh.sidecar.scrape().contains(counted)).await;
}

#[tokio::test]
async fn a_mirror_gets_a_copy_with_its_body_and_nobody_waits_for_its_answer() {
    let (heard, silent) = (Arc::new(Mutex::new(Vec::new())), Arc::new(tokio::sync::Notify::new()));
    let (hears, waits) = (Arc::clone(&heard), Arc::clone(&silent));
    let shadow = App::start(move |request| {
        let (hears, waits) = (Arc::clone(&hears), Arc::clone(&waits));
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            hears.lock().unwrap().push((head.method.to_string(), head.uri.to_string(), body));
            waits.notified().await;
            text(StatusCode::INTERNAL_SERVER_ERROR, "nobody hears this")
        })
    })
    .await;
    let mut mesh = Mesh::of(&["shop"]).await;
    mesh.replicas.push(("shadow", Replica::http("shadow", "1", shadow)));
    mesh.say("shadow", Vec::new());
    let mirror = Filter::Mirror(Mirror { backend: target("shadow"), fraction: (1, 1) });
    mesh.route("shop", vec![Rule { filters: vec![mirror], ..Rule::default() }]);
    let post = request("POST", "shop").uri("/work?a").body(Full::from("the body")).unwrap();
    assert_eq!(send(mesh.sidecar.outbound, post).await.header("x-from"), "shop");
    assert_eq!(mesh.get("shop", "/read").await.header("x-from"), "shop");
    until("both are copied", || heard.lock().unwrap().len() == 2).await;
    let mut copies = heard.lock().unwrap().clone();
    copies.sort();
    assert_eq!(copies[0], ("GET".into(), "/read".into(), Bytes::new()));
    assert_eq!(copies[1], ("POST".into(), "/work?a".into(), Bytes::from("the body")));
    until("counted", || {
        mesh.sidecar
            .scrape()
            .contains("weft_mirrored_requests_total{direction=\"outbound\",service=\"shop.default\"} 2")
    })
    .await;
    silent.notify_waiters();
}

#[tokio::test]
async fn a_body_that_is_too_long_to_keep_is_carried_and_not_mirrored() {
    let mesh = Mesh::of(&["shop", "shadow"]).await;
    let mirror = Filter::Mirror(Mirror { backend: target("shadow"), fraction: (1, 1) });
    mesh.route("shop", vec![Rule { filters: vec![mirror], ..Rule::default() }]);
    let long = request("POST", "shop").body(Full::from(vec![b'a'; 100_000])).unwrap();
    assert_eq!(send(mesh.sidecar.outbound, long).await.status, 200);
    until("counted as dropped", || {
        mesh.sidecar
            .scrape()
            .contains("weft_mirrors_dropped_total{direction=\"outbound\",service=\"shop.default\"} 1")
    })
    .await;
    assert_eq!(mesh.count("shadow"), 0);
}

#[tokio::test]
async fn the_timeouts_of_a_rule_are_over_those_of_the_policy() {
    let hangs = App::start(|_| Box::pin(std::future::pending())).await;
    let mut mesh = Mesh::of(&[]).await;
    mesh.replicas.push(("slow", Replica::http("slow", "1", hangs)));
    let time = |millis| Some(Some(Duration::from_millis(millis)));
    let total = Rule { matches: vec![prefix("/total")], request_timeout: time(100), ..Rule::default() };
    let each = Rule { matches: vec![prefix("/each")], backend_timeout: time(50), ..Rule::default() };
    mesh.route("slow", vec![total, each]);
    let got = mesh.get("slow", "/total").await;
    assert_eq!((got.status, got.header("weft-error")), (504, "upstream-timeout"));
    let before = mesh.count("slow");
    assert_eq!(mesh.get("slow", "/each").await.status, 504);
    assert!(mesh.count("slow") > before + 1, "an attempt that took too long is made again");
}

#[tokio::test]
async fn the_retries_of_a_rule_are_over_those_of_the_policy() {
    let failures = Arc::new(AtomicUsize::new(3));
    let left = Arc::clone(&failures);
    let flaky = App::start(move |_| {
        let fails = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        let status = if fails { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        Box::pin(async move { text(status, "") })
    })
    .await;
    let mut mesh = Mesh::of(&[]).await;
    mesh.replicas.push(("flaky", Replica::http("flaky", "1", flaky)));
    let retry = RuleRetry { statuses: vec![503], attempts: Some(3), backoff: Some(Duration::from_millis(1)) };
    let ruled = Rule { matches: vec![prefix("/ruled")], retry: Some(retry), ..Rule::default() };
    mesh.route("flaky", vec![rule(vec![prefix("/")], Vec::new()), ruled]);
    assert_eq!(mesh.get("flaky", "/other").await.status, 503, "an application's answer is not tried again");
    failures.store(3, SeqCst);
    let before = mesh.count("flaky");
    assert_eq!(mesh.get("flaky", "/ruled").await.status, 200);
    assert_eq!(mesh.count("flaky") - before, 4);
}

#[tokio::test]
async fn a_limit_refuses_what_is_over_it_and_says_when_to_come_back() {
    let mesh = Mesh::of(&["shop"]).await;
    mesh.say("shop", vec![limit(60, 2, Vec::new())]);
    assert_eq!(mesh.get("shop", "/").await.status, 200);
    assert_eq!(mesh.get("shop", "/").await.status, 200);
    let got = mesh.get("shop", "/").await;
    assert_eq!((got.status, got.header("weft-error")), (429, "rate-limited"));
    let wait: u64 = got.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let grpc = mesh.send(request("POST", "shop").header("content-type", "application/grpc")).await;
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, "8"));
    assert_eq!(mesh.count("shop"), 2);
    mesh.say("shop", vec![limit(61, 2, Vec::new())]);
    assert_eq!(mesh.get("shop", "/").await.status, 429, "a change of the limit fills no bucket");
    mesh.say("shop", Vec::new());
    assert_eq!(mesh.get("shop", "/").await.status, 200);
}

#[tokio::test]
async fn a_limit_by_header_has_a_bucket_a_value_and_one_by_source_one_an_address() {
    let mesh = Mesh::of(&["shop"]).await;
    mesh.say("shop", vec![limit(1, 1, vec![RateKey::Header("user".into())])]);
    let by = |user: &str| request("GET", "shop").header("user", user);
    for (user, status) in [("a", 200), ("b", 200), ("a", 429), ("b", 429), ("c", 200)] {
        assert_eq!(mesh.send(by(user)).await.status, status, "{user}");
    }
    mesh.say("shop", vec![limit(1, 1, vec![RateKey::SourceAddress])]);
    assert_eq!(mesh.send(by("a")).await.status, 200);
    assert_eq!(mesh.send(by("b")).await.status, 429);
}

#[tokio::test]
async fn faults_are_answered_without_a_call_and_delays_come_first() {
    let mesh = Mesh::of(&["shop"]).await;
    let fault = |delay, abort| {
        let fault = Some(FaultPolicy { delay, abort });
        vec![Spec::Policy(Box::new(PolicyPatch { fault, ..PolicyPatch::default() }))]
    };
    mesh.say("shop", fault(None, Some(FaultAbort { percent: 100, status: 418 })));
    let got = mesh.get("shop", "/").await;
    assert_eq!((got.status, got.header("weft-error"), mesh.count("shop")), (418, "fault-injected", 0));
    let grpc = mesh.send(request("POST", "shop").header("content-type", "application/grpc")).await;
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, "2"));
    let time = Duration::from_millis(200);
    mesh.say("shop", fault(Some(FaultDelay { percent: 100, time }), None));
    let begun = std::time::Instant::now();
    assert_eq!(mesh.get("shop", "/").await.status, 200);
    assert!(begun.elapsed() >= time);
    let hurried = mesh.send(request("GET", "shop").header("weft-deadline", "50")).await;
    assert_eq!((hurried.status, hurried.header("weft-error")), (504, "deadline-exceeded"));
    assert!(
        mesh.sidecar
            .scrape()
            .contains("weft_faults_injected_total{direction=\"outbound\",service=\"shop.default\"} 4")
    );
}

#[tokio::test]
async fn rules_that_change_under_load_drop_no_request() {
    let mesh = Mesh::of(&["shop", "a", "b"]).await;
    mesh.route("shop", vec![rule(Vec::new(), vec![backend("a", 1)])]);
    let outbound = mesh.sidecar.outbound;
    let calls: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..50 {
                    assert_eq!(get(outbound, "shop").await.status, 200);
                }
            })
        })
        .collect();
    let mut turn = 0;
    while !calls.iter().all(|call| call.is_finished()) {
        turn += 1;
        match turn % 3 {
            0 => mesh.say("shop", Vec::new()),
            1 => mesh.route("shop", vec![rule(Vec::new(), vec![backend("b", 1)])]),
            _ => mesh.route("shop", vec![rule(Vec::new(), vec![backend("a", 1)])]),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(mesh.count("shop") + mesh.count("a") + mesh.count("b"), 200);
    mesh.route("shop", vec![rule(Vec::new(), vec![backend("b", 1)])]);
    assert_eq!(mesh.get("shop", "/").await.header("x-from"), "b", "the change holds for the next call");
}

#[tokio::test]
async fn services_that_send_to_each_other_do_not_go_in_circles() {
    let mesh = Mesh::of(&["a", "b"]).await;
    mesh.route("a", vec![rule(Vec::new(), vec![backend("b", 1)])]);
    mesh.route("b", vec![rule(Vec::new(), vec![backend("a", 1)])]);
    assert_eq!(mesh.get("a", "/").await.header("x-from"), "b");
    assert_eq!(mesh.get("b", "/").await.header("x-from"), "a");
}
