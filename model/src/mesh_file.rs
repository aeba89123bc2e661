//! The file of `weft up`: `weft.yaml`, validated into domain types. It owns what the file may say and what
//! that means; it must not know how a file is read or a process started. [`RawMeshFile`] is the text's
//! shape (a loader fills it, and refuses unknown fields with their place); [`MeshFile`] is what is left once
//! every rule holds, so nothing downstream checks again.
//!
//! ```text
//!  weft.yaml ──loader──▶ RawMeshFile ──try_from──▶ MeshFile ──▶ weft up
//!                                        └─▶ MeshFileError: all that is wrong, by field
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{
    check::CheckSpec,
    endpoint::Protocol,
    name::{Label, ServiceName},
};

mod scalar;
#[cfg(test)]
mod tests;

use scalar::ScalarText;

/// Replicas of one service, at most: each is two processes on this machine.
pub const REPLICAS_MAX: u16 = 100;
/// What `$PORT` in a command stands for: the port that the application has to listen on.
pub const PORT_PLACEHOLDER: &str = "$PORT";

/// The text's shape: nothing is checked but types and field names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMeshFile {
    name: String,
    services: BTreeMap<String, RawService>,
    #[serde(default)]
    resources: Vec<String>,
}

/// One service as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawService {
    command: Vec<ScalarText>,
    #[serde(default = "one")]
    replicas: u64,
    protocol: Option<String>,
    check: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, ScalarText>,
    #[serde(default)]
    upstreams: BTreeMap<String, u16>,
    restart: Option<String>,
}

/// A mesh of local processes, every rule checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshFile {
    name: Label,
    services: Vec<ServiceSpec>,
    resources: Vec<String>,
}

/// One service of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    name: Label,
    command: Vec<String>,
    replicas: u16,
    protocol: Protocol,
    check: Option<String>,
    env: BTreeMap<String, String>,
    upstreams: Vec<UpstreamSpec>,
    restart: Restart,
}

/// A fixed local port at which a service's replicas reach another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSpec {
    service: ServiceName,
    port: u16,
}

/// What becomes of a replica that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Started again, whatever its exit code.
    #[default]
    Always,
    /// Started again unless its exit code was 0.
    OnFailure,
    /// Left ended.
    Never,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    /// Where, as in `services.orders.replicas`.
    pub field: String,
    /// What, and what to write instead.
    pub reason: String,
}

/// All that is wrong with a file, in the order of its fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct MeshFileError {
    /// At least one.
    pub errors: Vec<FieldError>,
}

impl MeshFile {
    /// The mesh's name: its state directory is called so.
    pub const fn name(&self) -> &Label {
        &self.name
    }

    /// By name, so in order; at least one.
    pub fn services(&self) -> &[ServiceSpec] {
        &self.services
    }

    /// Files (or directories of files) of resources, relative to this file.
    pub fn resources(&self) -> &[String] {
        &self.resources
    }

    /// What is allowed but is more often a slip: for a person to look at.
    pub fn warnings(&self) -> Vec<FieldError> {
        let known: BTreeSet<&str> = self.services.iter().map(|service| service.name.as_str()).collect();
        let mut warnings = Vec::new();
        for service in &self.services {
            let at = format!("services.{}", service.name);
            let strangers = service.upstreams.iter().filter(|upstream| {
                upstream.service.namespace.as_str() == crate::name::DEFAULT_NAMESPACE
                    && !known.contains(upstream.service.name.as_str())
            });
            for stranger in strangers {
                warnings.push(FieldError {
                    field: format!("{at}.upstreams.{}", stranger.service.name),
                    reason: "is no service of this file: it must be registered by somebody else".into(),
                });
            }
        }
        warnings
    }
}

impl ServiceSpec {
    /// The service's name, in the namespace `default`.
    pub const fn name(&self) -> &Label {
        &self.name
    }

    /// Program and arguments, [`PORT_PLACEHOLDER`] not replaced yet; never empty.
    pub fn command(&self) -> &[String] {
        &self.command
    }

    /// How many, 1 to [`REPLICAS_MAX`].
    pub const fn replicas(&self) -> u16 {
        self.replicas
    }

    /// What the application speaks.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// As the sidecar's `--check` takes it; `None` = the sidecar's default.
    pub fn check(&self) -> Option<&str> {
        self.check.as_deref()
    }

    /// Added to the environment of each replica.
    pub const fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Local ports to other services.
    pub fn upstreams(&self) -> &[UpstreamSpec] {
        &self.upstreams
    }

    /// What becomes of a replica that has ended.
    pub const fn restart(&self) -> Restart {
        self.restart
    }
}

impl UpstreamSpec {
    /// Where it goes.
    pub const fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The local port; 0 = the system's choice, told to the application as `WEFT_UPSTREAM_<NAME>`.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Restart {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OnFailure => "on-failure",
            Self::Never => "never",
        }
    }

    /// Whether a replica that ended so is started again.
    pub const fn applies(self, succeeded: bool) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => !succeeded,
            Self::Never => false,
        }
    }
}

impl FromStr for Restart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Always, Self::OnFailure, Self::Never];
        known.into_iter().find(|restart| restart.as_str() == text).ok_or_else(|| {
            format!("`{}` is not a restart policy: give always, on-failure or never", clip(text))
        })
    }
}

impl TryFrom<RawMeshFile> for MeshFile {
    type Error = MeshFileError;

    fn try_from(raw: RawMeshFile) -> Result<Self, MeshFileError> {
        let mut faults = Faults::default();
        let name = faults.keep("name", raw.name.parse::<Label>().map_err(|error| error.to_string()));
        if raw.services.is_empty() {
            faults.add("services", "is empty: name at least one service");
        }
        let mut fixed_ports = BTreeMap::new();
        let services: Vec<_> = raw
            .services
            .into_iter()
            .filter_map(|(name, service)| service.validate(&name, &mut fixed_ports, &mut faults))
            .collect();
        if raw.resources.iter().any(|path| path.trim().is_empty()) {
            faults.add("resources", "has an empty path: give those of files of resources");
        }
        match name {
            Some(name) if faults.errors.is_empty() => Ok(Self { name, services, resources: raw.resources }),
            _ => Err(MeshFileError { errors: faults.errors }),
        }
    }
}

impl RawService {
    /// `None` when something is wrong, which then stands in `faults`. `fixed_ports` are those of the
    /// services before, each with the field that has it.
    fn validate(
        self,
        name: &str,
        fixed_ports: &mut BTreeMap<u16, String>,
        faults: &mut Faults,
    ) -> Option<ServiceSpec> {
        let at = format!("services.{}", clip(name));
        let label = faults.keep(&at, name.parse::<Label>().map_err(|error| error.to_string()));
        let command = faults.keep(&format!("{at}.command"), command(self.command));
        let replicas = faults.keep(&format!("{at}.replicas"), replicas(self.replicas));
        let protocol = parse_or_default(self.protocol.as_deref()).and_then(Protocol::of_application);
        let protocol = faults.keep(&format!("{at}.protocol"), protocol);
        let check = faults.keep(&format!("{at}.check"), check(self.check));
        let env = faults.keep(&format!("{at}.env"), env(self.env));
        let many = replicas.is_some_and(|count| count > 1);
        let upstreams = self
            .upstreams
            .into_iter()
            .filter_map(|(service, port)| {
                let field = format!("{at}.upstreams.{}", clip(&service));
                faults.keep(&field, upstream(&service, port, many, fixed_ports, &field))
            })
            .collect();
        let restart = faults.keep(&format!("{at}.restart"), parse_or_default(self.restart.as_deref()));
        Some(ServiceSpec {
            name: label?,
            command: command?,
            replicas: replicas?,
            protocol: protocol?,
            check: check?,
            env: env?,
            upstreams,
            restart: restart?,
        })
    }
}

/// The errors so far.
#[derive(Default)]
struct Faults {
    errors: Vec<FieldError>,
}

impl Faults {
    fn add(&mut self, field: &str, reason: impl Into<String>) {
        self.errors.push(FieldError { field: field.into(), reason: reason.into() });
    }

    /// The value, or `None` with its error noted.
    fn keep<T>(&mut self, field: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|reason| self.add(field, reason)).ok()
    }
}

fn command(words: Vec<ScalarText>) -> Result<Vec<String>, String> {
    let words: Vec<String> = words.into_iter().map(|word| word.0).collect();
    match words.first() {
        None => Err("is empty: give the program and its arguments as a list".into()),
        Some(program) if program.trim().is_empty() => Err("begins with an empty program name".into()),
        Some(_) if words.iter().any(|word| word.contains('\0')) => Err("holds a NUL byte".into()),
        Some(_) => Ok(words),
    }
}

fn replicas(count: u64) -> Result<u16, String> {
    u16::try_from(count)
        .ok()
        .filter(|count| (1..=REPLICAS_MAX).contains(count))
        .ok_or_else(|| format!("is {count}: give 1 to {REPLICAS_MAX}"))
}

fn check(text: Option<String>) -> Result<Option<String>, String> {
    /// A check is parsed against an address; which one makes no difference here.
    const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
    match text {
        None => Ok(None),
        Some(text) => {
            CheckSpec::from_flag(&text, ANY).map_err(|error| error.to_string())?;
            Ok(Some(text))
        }
    }
}

fn env(raw: BTreeMap<String, ScalarText>) -> Result<BTreeMap<String, String>, String> {
    let is_bad = |name: &str| name.is_empty() || name.contains(['=', '\0']);
    if let Some(name) = raw.keys().find(|name| is_bad(name)) {
        return Err(format!("`{}` cannot be the name of a variable", clip(name)));
    }
    if let Some((name, _)) = raw.iter().find(|(_, value)| value.0.contains('\0')) {
        return Err(format!("`{}` holds a NUL byte", clip(name)));
    }
    Ok(raw.into_iter().map(|(name, value)| (name, value.0)).collect())
}

fn upstream(
    service: &str,
    port: u16,
    many: bool,
    fixed_ports: &mut BTreeMap<u16, String>,
    field: &str,
) -> Result<UpstreamSpec, String> {
    let service = service.parse::<ServiceName>().map_err(|error| error.to_string())?;
    if port != 0 {
        if many {
            return Err(format!(
                "replicas on one machine cannot share port {port}: give 0 and read WEFT_UPSTREAM_<NAME>"
            ));
        }
        if let Some(other) = fixed_ports.insert(port, field.into()) {
            return Err(format!("port {port} is taken by {other}: give another, or 0"));
        }
    }
    Ok(UpstreamSpec { service, port })
}

fn parse_or_default<T: FromStr + Default>(text: Option<&str>) -> Result<T, String>
where
    T::Err: ToString,
{
    text.map_or_else(|| Ok(T::default()), |text| text.parse().map_err(|error: T::Err| error.to_string()))
}

/// At most 64 characters of outside text, for an error message.
fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

const fn one() -> u64 {
    1
}
