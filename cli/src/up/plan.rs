//! What has to run: the mesh's file turned into processes, each with its arguments, environment and place.
//! Pure: it starts nothing and looks at nothing but what it is given.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use weft_model::mesh_file::{MeshFile, Restart, ServiceSpec};

use super::state_dir::StateDir;

/// The control plane's name in logs, and its directory's.
pub(crate) const CONTROL_PLANE: &str = "control-plane";
/// The name of the sidecar that is the person's own way into the mesh.
pub(crate) const EDGE: &str = "edge";
/// The system picks the port.
const ANY_PORT: &str = "127.0.0.1:0";

/// What a process is in the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one control plane.
    ControlPlane,
    /// A sidecar without an application, for whoever sits at the terminal.
    Edge,
    /// A sidecar with one replica of a service.
    Replica {
        /// Its service.
        service: String,
    },
}

/// One process to run.
#[derive(Debug, Clone)]
pub(crate) struct ProcessSpec {
    /// In logs and in the status: `control-plane`, `edge` or the instance's id.
    pub(crate) name: String,
    /// What it is.
    pub(crate) role: Role,
    /// Its executable.
    pub(crate) program: PathBuf,
    /// After the program.
    pub(crate) arguments: Vec<OsString>,
    /// Set beside our own environment.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Where it works.
    pub(crate) dir: PathBuf,
    /// Where it reports its ports.
    pub(crate) data_dir: PathBuf,
    /// What becomes of it when it ends.
    pub(crate) restart: Restart,
}

/// Where everything stands.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    /// The directory of `weft-control-plane` and `weft-sidecar`.
    pub(crate) programs: PathBuf,
    /// That of the mesh's file.
    pub(crate) file_dir: PathBuf,
    /// For data.
    pub(crate) state: &'a StateDir,
    /// The search path of applications.
    pub(crate) search_path: OsString,
}

impl Places<'_> {
    /// The control plane; port 0 = the system's choice.
    pub(crate) fn control_plane(&self, http_port: u16) -> ProcessSpec {
        let data_dir = self.state.of(CONTROL_PLANE);
        let mut arguments: Vec<OsString> = vec!["--data-dir".into(), data_dir.into()];
        flag(&mut arguments, "--http", format!("127.0.0.1:{http_port}"));
        flag(&mut arguments, "--grpc", ANY_PORT);
        self.process(CONTROL_PLANE.into(), Role::ControlPlane, "weft-control-plane", arguments)
    }

    /// The person's own way in.
    pub(crate) fn edge(&self, grpc: SocketAddr, port: u16) -> ProcessSpec {
        let mut arguments = self.sidecar(EDGE, grpc, &format!("127.0.0.1:{port}"));
        flag(&mut arguments, "--instance", EDGE);
        self.process(EDGE.into(), Role::Edge, "weft-sidecar", arguments)
    }

    /// Every replica of every service, in order.
    pub(crate) fn replicas(&self, mesh: &MeshFile, grpc: SocketAddr) -> Vec<ProcessSpec> {
        mesh.services()
            .iter()
            .flat_map(|service| {
                (1..=service.replicas()).map(move |number| self.replica(service, number, grpc))
            })
            .collect()
    }

    fn replica(&self, service: &ServiceSpec, number: u16, grpc: SocketAddr) -> ProcessSpec {
        let name = instance(service.name().as_str(), number);
        let mut arguments = self.sidecar(&name, grpc, ANY_PORT);
        flag(&mut arguments, "--service", service.name().as_str());
        flag(&mut arguments, "--instance", &name);
        flag(&mut arguments, "--protocol", service.protocol().as_str());
        if let Some(check) = service.check() {
            flag(&mut arguments, "--check", check);
        }
        for upstream in service.upstreams() {
            flag(&mut arguments, "--upstream", format!("{}={}", upstream.service(), upstream.port()));
        }
        arguments.push("--".into());
        arguments.extend(self.command(service.command()));
        let role = Role::Replica { service: service.name().to_string() };
        let mut process = self.process(name.clone(), role, "weft-sidecar", arguments);
        process.env.push(("WEFT_INSTANCE".into(), name.into()));
        process.env.extend(service.env().iter().map(|(name, value)| (name.into(), value.into())));
        process.restart = service.restart();
        process
    }

    /// What every sidecar is given.
    fn sidecar(&self, name: &str, grpc: SocketAddr, outbound: &str) -> Vec<OsString> {
        let data_dir = self.state.of(name);
        let mut arguments: Vec<OsString> = vec!["run".into(), "--data-dir".into(), data_dir.clone().into()];
        flag(&mut arguments, "--control-plane", format!("http://{grpc}"));
        flag(&mut arguments, "--outbound", outbound);
        flag(&mut arguments, "--inbound", ANY_PORT);
        flag(&mut arguments, "--admin", ANY_PORT);
        flag(&mut arguments, "--access-log", data_dir.join("access.log"));
        arguments
    }

    /// Paths are relative to the file, as the file's author sees them.
    fn command(&self, words: &[String]) -> Vec<OsString> {
        let mut words: Vec<OsString> = words.iter().map(Into::into).collect();
        if let Some(program) = words.first_mut()
            && program.to_string_lossy().contains('/')
        {
            *program = self.file_dir.join(&*program).into();
        }
        words
    }

    fn process(&self, name: String, role: Role, program: &str, arguments: Vec<OsString>) -> ProcessSpec {
        ProcessSpec {
            role,
            program: self.programs.join(program),
            arguments,
            env: vec![("PATH".into(), self.search_path.clone())],
            dir: self.file_dir.clone(),
            data_dir: self.state.of(&name),
            restart: Restart::Always,
            name,
        }
    }
}

impl ProcessSpec {
    /// Its next start takes this address for `flag` instead of the system's choice: others hold it.
    pub(crate) fn pin(&mut self, flag: &str, address: SocketAddr) {
        let mut arguments = self.arguments.iter_mut();
        if arguments.any(|argument| argument == flag)
            && let Some(value) = arguments.next()
        {
            *value = address.to_string().into();
        }
    }
}

/// The id of a service's `number`th replica, from 1.
pub(crate) fn instance(service: &str, number: u16) -> String {
    format!("{service}-{number}")
}

fn flag(arguments: &mut Vec<OsString>, name: &str, value: impl Into<OsString>) {
    arguments.push(name.into());
    arguments.push(value.into());
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn words(process: &ProcessSpec) -> String {
        let words: Vec<_> = process.arguments.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn a_file_becomes_processes() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(None, dir.path(), dir.path(), "shop").unwrap();
        let places = Places {
            programs: "/opt/weft".into(),
            file_dir: "/srv/shop".into(),
            state: &state,
            search_path: "/opt/weft".into(),
        };
        let raw: Result<weft_model::mesh_file::RawMeshFile, _> = serde_yaml::from_str(
            "name: shop\nservices: {orders: {command: [./orders, $PORT], replicas: 2, check: tcp, \
             env: {A: b}, upstreams: {stock: 9001}}}",
        );
        // Two replicas cannot share a fixed port, so the file is mended first.
        assert!(MeshFile::try_from(raw.unwrap()).is_err());
        let raw: Result<weft_model::mesh_file::RawMeshFile, _> = serde_yaml::from_str(
            "name: shop\nservices: {orders: {command: [./orders, $PORT], replicas: 2, check: tcp, \
             env: {A: b}, upstreams: {stock: 0}}}",
        );
        let mesh = MeshFile::try_from(raw.unwrap()).unwrap();
        let replicas = places.replicas(&mesh, "127.0.0.1:8502".parse().unwrap());
        assert_eq!(
            replicas.iter().map(|replica| replica.name.as_str()).collect::<Vec<_>>(),
            ["orders-1", "orders-2"]
        );
        let first = &replicas[0];
        assert_eq!(first.program, Path::new("/opt/weft/weft-sidecar"));
        let text = words(first);
        assert!(text.contains("--control-plane http://127.0.0.1:8502 --outbound 127.0.0.1:0"), "{text}");
        assert!(text.contains("--service orders --instance orders-1 --protocol auto --check tcp"), "{text}");
        assert!(text.ends_with("--upstream stock.default=0 -- /srv/shop/./orders $PORT"), "{text}");
        assert!(first.env.contains(&("A".into(), "b".into())));
    }

    #[test]
    fn a_restart_takes_the_address_that_others_know() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(None, dir.path(), dir.path(), "shop").unwrap();
        let places = Places {
            programs: "/opt/weft".into(),
            file_dir: "/srv".into(),
            state: &state,
            search_path: OsString::new(),
        };
        let mut process = places.control_plane(0);
        process.pin("--grpc", "127.0.0.1:4711".parse().unwrap());
        assert!(words(&process).ends_with("--http 127.0.0.1:0 --grpc 127.0.0.1:4711"));
    }
}
