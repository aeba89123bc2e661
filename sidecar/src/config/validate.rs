//! Settings become a [`SidecarConfig`], or the list of all that is wrong with them. Pure but for the facts in
//! [`Surroundings`].

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU16,
    path::PathBuf,
    time::Duration,
};

use weft_model::{
    check::CheckSpec,
    endpoint::Protocol,
    name::{DEFAULT_NAMESPACE, Id, Label, ServiceName},
};
use weft_runtime::{listen, telemetry::LogFormat};

use super::{
    AccessLog, Egress, Faults, InstanceConfig, PortReservation, RecordPolicy, SidecarConfig, faults::clip,
    policy::NEVER, services, settings::Settings, surroundings::Surroundings,
};

mod queue_host;

/// Where the application's calls come in, when nobody says.
const OUTBOUND_PORT: u16 = 4140;
/// Where other sidecars' calls come in, when nobody says.
const INBOUND_PORT: u16 = 4143;
/// The admin server, when nobody says.
const ADMIN_PORT: u16 = 4191;
/// How long a stop waits for requests, when nobody says.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Data threads at most: one a core of the largest machines.
const THREADS_MAX: usize = 256;
/// The shortest check interval: below it a check is a load.
const CHECK_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The shortest age of a connection that may be asked for: below it, making connections is the work.
const CONNECTION_AGE_MIN: Duration = Duration::from_secs(1);

/// Everything, or all that is wrong.
pub(super) fn validate(settings: Settings, around: &Surroundings) -> Result<SidecarConfig, Faults> {
    let mut faults = Faults::default();
    let found = Validator { settings, around, faults: &mut faults, app_port: None }.config();
    match found {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(faults),
    }
}

struct Validator<'a> {
    settings: Settings,
    around: &'a Surroundings,
    faults: &'a mut Faults,
    /// Kept where the port of the application is our choice.
    app_port: Option<PortReservation>,
}

impl Validator<'_> {
    /// Every setting is looked at before the first missing one ends it.
    fn config(mut self) -> Option<SidecarConfig> {
        let insecure_listen = self.settings.insecure_listen.unwrap_or(false);
        let outbound = self.listener("outbound", OUTBOUND_PORT, |settings| &settings.outbound);
        let inbound = self.listener("inbound", INBOUND_PORT, |settings| &settings.inbound);
        let admin = self.listener("admin", ADMIN_PORT, |settings| &settings.admin);
        let queue_host = self.queue_host();
        let advertise = self.advertise();
        let control_plane = self.control_plane();
        let namespace = self.namespace();
        let node = self.node();
        let instance = namespace.as_ref().and_then(|namespace| self.instance(namespace));
        let name = self.name(instance.as_ref().is_some_and(Option::is_some));
        let data_dir = self.data_dir(instance.as_ref().and_then(Option::as_ref), outbound);
        let lists = namespace
            .as_ref()
            .zip(node.as_ref())
            .map(|(namespace, node)| services::lists(&mut self.settings, namespace, node, self.faults));
        let policy = self.settings.policy.validate(self.faults);
        let limits = self.settings.limits.validate(self.faults);
        let headers = self.settings.headers.validate(self.faults);
        let concurrency = self.settings.concurrency.as_ref();
        let concurrency = concurrency.map(|raw| raw.validate("concurrency", self.faults)).unwrap_or_default();
        let (egress, access_log, data_threads) = (self.egress(), self.access_log(), self.threads());
        let records = RecordPolicy::validate(&self.settings, self.faults);
        let log_format = self.log_format();
        let drain_timeout = self.duration("drain_timeout", DRAIN_TIMEOUT, |settings| &settings.drain_timeout);
        let connection_age_max = self.age("connection_age_max", |settings| &settings.connection_age_max);
        let outbound_connection_age_max =
            self.age("outbound_connection_age_max", |settings| &settings.outbound_connection_age_max);
        let lists = lists?;
        Some(SidecarConfig {
            control_plane: control_plane?,
            node: node?,
            namespace: namespace?,
            instance: instance?,
            name: name?,
            outbound: outbound?,
            inbound: inbound?,
            advertise: advertise?,
            admin: admin?,
            queue_host: queue_host?,
            data_dir: data_dir?,
            insecure_listen,
            zone: self.settings.zone.clone().unwrap_or_default(),
            upstreams: lists.upstreams,
            subscribe: lists.subscribe,
            services: lists.services,
            egress: egress?,
            data_threads: data_threads?,
            access_log,
            records,
            policy,
            limits,
            headers,
            concurrency,
            command: self.settings.command,
            proxy_env: !self.settings.no_proxy_env.unwrap_or(false),
            connection_age_max: connection_age_max?,
            outbound_connection_age_max: outbound_connection_age_max?,
            drain_timeout: drain_timeout?,
            log_format: log_format?,
            log_filter: self.settings.log.unwrap_or_default(),
            variables: self.around.variables.clone(),
            app_port: self.app_port,
        })
    }

    /// `None` = wrong; `Some(None)` = found out at the start.
    fn advertise(&mut self) -> Option<Option<SocketAddr>> {
        let address = self.address("advertise", |settings| &settings.advertise)?;
        if address.is_some_and(|address| address.ip().is_unspecified()) {
            self.faults
                .add("advertise", "is no address that can be dialled: give one of this machine, or none");
        }
        Some(address)
    }

    /// `None` = wrong; `Some(None)` = alone.
    fn control_plane(&mut self) -> Option<Option<String>> {
        let Some(url) = self.settings.control_plane.clone() else { return Some(None) };
        let parsed = url.trim().trim_end_matches('/').parse::<http::Uri>().ok();
        let fits = |uri: &http::Uri| {
            uri.scheme_str() == Some("http")
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.path() == "/"
                && uri.query().is_none()
        };
        match parsed.filter(fits) {
            Some(uri) => Some(Some(uri.to_string().trim_end_matches('/').to_owned())),
            None => {
                let reason =
                    format!("`{}` is not the URL of a control plane: give http://HOST:8502", clip(&url));
                self.faults.add("control_plane", reason);
                None
            }
        }
    }

    fn namespace(&mut self) -> Option<Label> {
        let text = self.settings.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        self.faults.keep("namespace", text.parse())
    }

    fn node(&mut self) -> Option<Id> {
        let text = self.settings.node.as_deref().unwrap_or(&self.around.host_name);
        self.faults.keep("node", Id::node(text))
    }

    /// `None` = wrong; `Some(None)` = outbound calls only.
    fn instance(&mut self, namespace: &Label) -> Option<Option<InstanceConfig>> {
        let Some(name) = self.settings.service.clone() else {
            self.refuse_without_service();
            return Some(None);
        };
        let service = self.faults.keep("service", ServiceName::from_host(&name, namespace));
        let said = self.address("app", |settings| &settings.app)?.filter(|app| app.port() != 0);
        let wraps = !self.settings.command.is_empty();
        let app = match said {
            Some(app) => Some(app),
            None if wraps => self.around.app_port(self.faults).map(|port| {
                let address = port.address();
                self.app_port = port.reservation;
                address
            }),
            None => {
                self.faults.add("app", "is missing: say where the application listens, or give its command");
                None
            }
        };
        let protocol = self.protocol();
        let check = app.and_then(|app| self.check(app));
        let weight = self.settings.weight.map_or(Some(1), |weight| {
            let weight = NonZeroU16::new(weight).ok_or("is 0: give 1 to 65535");
            self.faults.keep("weight", weight).map(NonZeroU16::get)
        });
        let (service, app) = (service?, app?);
        let id = self.instance_id(&service, said)?;
        Some(Some(InstanceConfig {
            service,
            id,
            app,
            protocol: protocol?,
            check: check?,
            tags: self.settings.tags.clone(),
            weight: weight?,
            zone: self.settings.zone.clone().unwrap_or_default(),
        }))
    }

    /// `None` = wrong; `Some(None)` = not said, or the id of an instance.
    fn name(&mut self, of_instance: bool) -> Option<Option<Id>> {
        match self.settings.instance.as_deref().filter(|_| !of_instance) {
            Some(name) => self.faults.keep("instance", name.parse()).map(Some),
            None => Some(None),
        }
    }

    /// What is about an instance would be ignored without one.
    fn refuse_without_service(&mut self) {
        let settings = &self.settings;
        let about_one = [
            ("app", settings.app.is_some()),
            ("protocol", settings.protocol.is_some()),
            ("check", settings.check.is_some()),
            ("check_interval", settings.check_interval.is_some()),
            ("check_timeout", settings.check_timeout.is_some()),
            ("check_failures", settings.check_failures.is_some()),
            ("tags", !settings.tags.is_empty()),
            ("weight", settings.weight.is_some()),
        ];
        for (field, _) in about_one.iter().filter(|(_, said)| *said) {
            self.faults.add(field, "is about an instance: name its service as well");
        }
    }

    fn instance_id(&mut self, service: &ServiceName, said: Option<SocketAddr>) -> Option<Id> {
        let id = match (&self.settings.instance, said) {
            (Some(id), _) => id.clone(),
            (None, Some(app)) => format!("{}-{}-{}", service.name, self.around.host_name, app.port()),
            // A port of the system's choice differs at each start, and the snapshot stands by instance.
            (None, None) => format!("{}-{}", service.name, self.around.host_name),
        };
        self.faults.keep("instance", id.parse())
    }

    fn protocol(&mut self) -> Option<Protocol> {
        let text = self.settings.protocol.as_deref().unwrap_or(Protocol::Auto.as_str());
        let protocol = text.parse::<Protocol>().map_err(|error| error.to_string());
        self.faults.keep("protocol", protocol.and_then(Protocol::of_application))
    }

    fn check(&mut self, app: SocketAddr) -> Option<CheckSpec> {
        let flag = self.settings.check.as_deref().unwrap_or("tcp");
        let mut spec = self.faults.keep("check", CheckSpec::from_flag(flag, app))?;
        spec.interval =
            self.duration("check_interval", spec.interval, |settings| &settings.check_interval)?;
        spec.timeout = self.duration("check_timeout", spec.timeout, |settings| &settings.check_timeout)?;
        if spec.interval < CHECK_INTERVAL_MIN {
            self.faults.add("check_interval", format!("is below {CHECK_INTERVAL_MIN:?}"));
        }
        if spec.timeout.is_zero() {
            self.faults.add("check_timeout", "is 0: every check would fail");
        }
        spec.failures_before_critical = self.settings.check_failures.unwrap_or(spec.failures_before_critical);
        if spec.failures_before_critical == 0 {
            self.faults.add("check_failures", "is 0: give 1 or more");
        }
        Some(spec)
    }

    fn data_dir(
        &mut self,
        instance: Option<&InstanceConfig>,
        outbound: Option<SocketAddr>,
    ) -> Option<PathBuf> {
        if let Some(dir) = &self.settings.data_dir {
            return Some(dir.clone());
        }
        let name = match (instance, &self.settings.instance) {
            (Some(instance), _) => format!("{}.{}", instance.service, instance.id),
            (None, Some(name)) => format!("outbound-{name}"),
            (None, None) => format!("outbound-{}", outbound?.port()),
        };
        let missing = "has no default, for neither XDG_STATE_HOME nor HOME is set: name a directory";
        let home = self.faults.keep("data_dir", self.around.state_home.as_ref().ok_or(missing))?;
        Some(home.join("weft/sidecar").join(file_name(&name)))
    }

    fn egress(&mut self) -> Option<Egress> {
        match self.settings.egress.as_deref() {
            None | Some("allow") => Some(Egress::Allow),
            Some("registered") => Some(Egress::Registered),
            Some(other) => {
                self.faults.add("egress", format!("`{}` is neither allow nor registered", clip(other)));
                None
            }
        }
    }

    fn access_log(&self) -> AccessLog {
        match self.settings.access_log.as_deref() {
            None | Some("stdout") => AccessLog::Stdout,
            Some("off") => AccessLog::Off,
            Some(path) => AccessLog::File(path.into()),
        }
    }

    fn threads(&mut self) -> Option<usize> {
        let threads = self.settings.threads.unwrap_or(1);
        let fits = (1..=THREADS_MAX).contains(&threads).then_some(threads);
        self.faults.keep("threads", fits.ok_or(format!("is {threads}: give 1 to {THREADS_MAX}")))
    }

    fn log_format(&mut self) -> Option<LogFormat> {
        let text = self.settings.log_format.as_deref().unwrap_or(LogFormat::Text.as_str());
        self.faults.keep("log_format", text.parse())
    }

    fn listener(
        &mut self,
        field: &str,
        port: u16,
        setting: impl Fn(&Settings) -> &Option<String>,
    ) -> Option<SocketAddr> {
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let address = self.address(field, setting)?.unwrap_or(default);
        if !self.settings.insecure_listen.unwrap_or(false) && !listen::is_loopback(address.ip()) {
            let reason = "can be reached from other machines, and there are no identities yet: listen on \
                          loopback, or say --insecure-listen where the network itself is closed";
            self.faults.add(field, format!("{address} {reason}"));
        }
        Some(address)
    }

    /// `None` = wrong; `Some(None)` = not said.
    fn address(
        &mut self,
        field: &str,
        setting: impl Fn(&Settings) -> &Option<String>,
    ) -> Option<Option<SocketAddr>> {
        let Some(text) = setting(&self.settings).clone() else { return Some(None) };
        socket_address(field, &text, self.faults).map(Some)
    }

    /// `None` = wrong; `Some(None)` = any.
    fn age(
        &mut self,
        field: &str,
        setting: impl Fn(&Settings) -> &Option<String>,
    ) -> Option<Option<Duration>> {
        if setting(&self.settings).as_deref().is_none_or(|text| text.trim() == NEVER) {
            return Some(None);
        }
        let age = self.duration(field, Duration::ZERO, setting)?;
        let fits = (age >= CONNECTION_AGE_MIN).then_some(Some(age));
        self.faults.keep(field, fits.ok_or_else(|| format!("is below {CONNECTION_AGE_MIN:?}")))
    }

    fn duration(
        &mut self,
        field: &str,
        default: Duration,
        setting: impl Fn(&Settings) -> &Option<String>,
    ) -> Option<Duration> {
        let Some(text) = setting(&self.settings).clone() else { return Some(default) };
        let parsed = humantime::parse_duration(text.trim());
        self.faults.keep(field, parsed.map_err(|_| format!("`{}` is no time: give 2s or 500ms", clip(&text))))
    }
}

/// `IP:PORT`; `localhost` is 127.0.0.1, for it is what people write.
pub(super) fn socket_address(field: &str, text: &str, faults: &mut Faults) -> Option<SocketAddr> {
    let local = text.trim().strip_prefix("localhost:").and_then(|port| port.parse().ok());
    match local {
        Some(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        None => faults.parse(field, text, "is not IP:PORT"),
    }
}

/// A folder's name from any id.
fn file_name(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
}
