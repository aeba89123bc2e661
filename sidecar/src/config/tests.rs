//! Settings, from flags and files to the one validated value.

use clap::{Parser, error::ErrorKind};

use super::{settings::Settings, surroundings::Surroundings, *};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: RunArgs,
}

fn around() -> Surroundings {
    Surroundings {
        host_name: "box".into(),
        state_home: Some("/state".into()),
        port: None,
        variables: HashSet::new(),
    }
}

fn flags(line: &str) -> Settings {
    let line = Line::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).unwrap();
    line.run.settings
}

fn from(line: &str, file: &str, around: &Surroundings) -> Result<SidecarConfig, Faults> {
    let file = weft_runtime::config::from_str(file, "sidecar.yaml").unwrap();
    validate::validate(flags(line).over(file), around)
}

fn config(line: &str, file: &str) -> SidecarConfig {
    from(line, file, &around()).unwrap()
}

fn faults(line: &str, file: &str) -> String {
    from(line, file, &around()).unwrap_err().to_string()
}

#[test]
fn without_a_word_it_carries_outbound_calls_alone() {
    let config = config("", "");
    assert!(config.is_alone() && config.instance.is_none() && config.proxy_env);
    let ports = [config.outbound, config.inbound, config.admin].map(|address| address.to_string());
    assert_eq!(ports, ["127.0.0.1:4140", "127.0.0.1:4143", "127.0.0.1:4191"]);
    assert_eq!(config.data_dir, PathBuf::from("/state/weft/sidecar/outbound-4140"));
    assert_eq!(config.drain_timeout, Duration::from_secs(20));
}

#[test]
fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
    let file = "service: orders\napp: 127.0.0.1:80\ncheck: http:/health\nzone: a\noutbound: localhost:1\n\
                upstreams: {users: 7000, carts: 127.0.0.2:7001}";
    let config = config("--zone b --upstream users=7002 --check-interval 5s", file);
    let instance = config.instance.unwrap();
    assert_eq!(instance.zone, "b");
    assert_eq!(instance.id.as_str(), "orders-box-80");
    assert_eq!(instance.check.interval, Duration::from_secs(5));
    assert_eq!(config.outbound.to_string(), "127.0.0.1:1");
    assert_eq!(config.data_dir, PathBuf::from("/state/weft/sidecar/orders.default.orders-box-80"));
    let upstreams: Vec<_> =
        config.upstreams.iter().map(|u| (u.service.to_string(), u.listen.to_string())).collect();
    let expected = [("carts.default", "127.0.0.2:7001"), ("users.default", "127.0.0.1:7002")];
    assert_eq!(upstreams, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn every_fault_is_named_at_once() {
    let text = faults(
        "--control-plane https://cp --namespace no_good --egress maybe --threads 0 --admin nine --upstream x \
         --drain-timeout soon --log-format xml",
        "",
    );
    for field in ["control_plane", "namespace", "egress", "threads", "admin", "drain_timeout", "log_format"] {
        assert!(
            text.lines().any(|line| line.starts_with(&format!("{field}: "))),
            "{field} is not in\n{text}"
        );
    }
    let text = faults("--service a --app 127.0.0.1:1 --protocol amqp", "");
    assert!(text.starts_with("protocol: `amqp` comes with messaging"), "{text}");
    let text = faults("--service Orders! --app here --protocol smtp --weight 0 --upstream x", "");
    for field in ["service", "app", "upstream"] {
        assert!(
            text.lines().any(|line| line.starts_with(&format!("{field}: "))),
            "{field} is not in\n{text}"
        );
    }
}

#[test]
fn beyond_loopback_wants_a_word() {
    let text = faults("--inbound 0.0.0.0:4143", "");
    assert!(text.starts_with("inbound: 0.0.0.0:4143") && text.contains("--insecure-listen"), "{text}");
    assert!(config("--inbound 0.0.0.0:4143 --insecure-listen", "").insecure_listen);
    assert!(config("--inbound 0.0.0.0:4143", "insecure_listen: true").insecure_listen);
}

#[test]
fn a_command_without_a_port_gets_a_free_one_or_the_one_of_its_environment() {
    let instance = config("--service orders -- serve $PORT", "").instance.unwrap();
    assert!(instance.app.ip().is_loopback() && instance.app.port() != 0);
    assert_eq!(instance.id.as_str(), "orders-box");
    let around = Surroundings { port: Some("8080".into()), ..around() };
    let instance = from("--service orders -- serve", "", &around).unwrap().instance.unwrap();
    assert_eq!(instance.app.to_string(), "127.0.0.1:8080");
}

#[test]
fn a_queue_host_has_limits_of_its_own() {
    let config = config(
        "--queue-host --memory-watermark 30% --disk-free-min 2GiB --message-size-max 1MB --queue-memory 8MiB \
         --consumer-timeout never",
        "",
    );
    let limits = config.queue_host.unwrap().limits;
    assert_eq!((limits.memory, limits.disk_free_min), (MemoryMark::Percent(30), 2 << 30));
    assert_eq!((limits.message_bytes_max, limits.waiting_bytes_max), (1_000_000, 8 << 20));
    assert_eq!(limits.consumer_timeout, None);
    let text = faults(
        "--queue-host --memory-watermark 130% --disk-free-min much --message-size-max 1GiB --queue-memory 1 \
         --consumer-timeout 1ms",
        "",
    );
    for field in ["memory_watermark", "disk_free_min", "message_size_max", "queue_memory", "consumer_timeout"]
    {
        assert!(text.contains(&format!("{field}: ")), "{field} is not in\n{text}");
    }
    assert!(faults("--disk-free-min 1GB", "").starts_with("disk_free_min: is about a queue host"));
}

#[test]
fn an_instance_without_an_application_is_refused() {
    assert!(faults("--service orders", "").starts_with("app: is missing"));
    assert!(faults("--app 127.0.0.1:80", "").starts_with("app: is about an instance"));
    let text = faults("--protocol http --check-interval 1s --tag blue", "check_failures: 3\nweight: 2");
    for field in ["protocol", "check_interval", "check_failures", "tags", "weight"] {
        assert!(text.contains(&format!("{field}: is about an instance")), "{field} is not in\n{text}");
    }
    let named = config("--instance edge", "");
    assert_eq!(named.name.unwrap().as_str(), "edge");
    assert_eq!(named.data_dir, PathBuf::from("/state/weft/sidecar/outbound-edge"));
}

#[test]
fn a_zone_is_known_without_an_instance_and_ages_are_times_or_never() {
    let config = config("--zone a --connection-age-max 10m --outbound-connection-age-max never", "");
    assert_eq!(config.zone, "a");
    assert_eq!(config.connection_age_max, Some(Duration::from_secs(600)));
    assert_eq!(config.outbound_connection_age_max, None);
    let text = faults("--connection-age-max 10ms --outbound-connection-age-max soon", "");
    assert!(text.contains("connection_age_max: is below 1s"), "{text}");
    assert!(text.contains("outbound_connection_age_max: `soon` is no time"), "{text}");
}

#[test]
fn alone_it_has_the_services_of_its_file() {
    let file = "services:\n  billing:\n    - {address: 127.0.0.1, port: 80}\n    - {address: db, port: 81, \
                protocol: tcp, sidecar: 127.0.0.1:4143}\n";
    let config = config("", file);
    let [(name, endpoints)] = config.services.as_slice() else { panic!("{:?}", config.services) };
    assert_eq!(name.to_string(), "billing.default");
    assert_eq!(endpoints[0].key.to_string(), "billing.default/box/127.0.0.1:80");
    assert_eq!(endpoints[1].ports[0].protocol, Protocol::Tcp);
    let text = faults("--control-plane http://cp:8502", file);
    assert!(text.starts_with("services: are for a sidecar that runs alone"), "{text}");
    let twice = "services: {a: [{address: x, port: 1}, {address: x, port: 1}]}";
    assert!(faults("", twice).contains("services.a[1]: stands twice"));
}

#[test]
fn two_upstreams_on_one_port_are_refused() {
    assert!(faults("", "upstreams: {a: 7000, b: 7000}").contains("upstreams.b: has port 7000, as `a` has"));
}

#[test]
fn an_unknown_field_is_named_with_its_place() {
    let error = weft_runtime::config::from_str::<Settings>("\nport: 1\n", "sidecar.yaml").unwrap_err();
    assert!(error.to_string().starts_with("sidecar.yaml:2:1: port: unknown field"), "{error}");
}

#[test]
fn the_help_shows_every_setting() {
    let help = Line::try_parse_from(["x", "--help"]).map(|_| ()).unwrap_err();
    assert_eq!(help.kind(), ErrorKind::DisplayHelp);
    for flag in ["--control-plane", "--service", "--upstream", "WEFT_ADMIN", "--no-proxy-env"] {
        assert!(help.to_string().contains(flag), "{flag}");
    }
}
