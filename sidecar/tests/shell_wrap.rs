//! The sidecar as a process: around an application, beside the file system, under signals.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::process::{Child, Command};

/// For anything that is waited for.
const DEADLINE: Duration = Duration::from_secs(20);

struct Sidecar {
    child: Child,
    dir: PathBuf,
}

/// A sidecar on ports of the system's choice, with its data in `dir`.
fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft-sidecar"));
    command.arg("run").arg("--data-dir").arg(dir);
    for listener in ["--outbound", "--inbound", "--admin"] {
        command.args([listener, "127.0.0.1:0"]);
    }
    command.args(arguments).kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in ["PORT", "http_proxy", "HTTP_PROXY", "no_proxy"] {
        command.env_remove(variable);
    }
    command
}

impl Sidecar {
    fn start(dir: &Path, arguments: &[&str]) -> Self {
        Self {
            child: command(dir, arguments).spawn().expect("it was built with this test"),
            dir: dir.to_owned(),
        }
    }

    async fn ports(&self) -> Value {
        eventually("ports.json", || {
            let text = std::fs::read_to_string(self.dir.join("ports.json")).ok()?;
            serde_json::from_str(&text).ok()
        })
        .await
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("it runs")).expect("a process id is positive");
        kill(Pid::from_raw(pid), signal).expect("it is our child");
    }

    async fn ended(self) -> Output {
        tokio::time::timeout(DEADLINE, self.child.wait_with_output())
            .await
            .expect("it ends")
            .expect("its output is ours")
    }
}

async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.expect(what)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read_pid(file: &Path) -> Option<Pid> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok().map(Pid::from_raw)
}

/// Gone, or dead and not yet waited for by whoever inherited it.
fn is_gone(pid: Pid) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('Z'))
}

#[tokio::test]
async fn a_wrapped_command_gets_its_environment_and_gives_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let script = "echo $PORT $0 $http_proxy $WEFT_OUTBOUND $WEFT_UPSTREAM_ORDERS $no_proxy; exit 7";
    let arguments = ["--service", "a", "--upstream", "orders=0", "--", "sh", "-c", script, "$PORT"];
    let output = Sidecar::start(dir.path(), &arguments).ended().await;
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    let words: Vec<_> = stdout.split_whitespace().collect();
    let [port, argument, proxy, outbound, upstream, no_proxy] = words.as_slice() else { panic!("{stdout}") };
    assert_eq!(port, argument);
    assert!(proxy.starts_with("http://127.0.0.1:") && proxy == outbound);
    assert!(upstream.starts_with("127.0.0.1:") && !upstream.ends_with(":0"));
    assert_eq!(*no_proxy, "localhost,127.0.0.1,::1");
    assert!(!dir.path().join("ports.json").exists(), "it is removed at the end");
}

#[tokio::test]
async fn every_chosen_port_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(dir.path(), &["--upstream", "orders=0,users=0"]);
    let ports = sidecar.ports().await;
    assert_eq!(ports["pid"], sidecar.child.id().unwrap());
    for name in ["outbound", "inbound", "admin"] {
        assert!(!ports[name].as_str().unwrap().ends_with(":0"), "{ports}");
    }
    assert_eq!(ports["upstreams"].as_object().unwrap().len(), 2);
    sidecar.signal(Signal::SIGTERM);
    assert_eq!(sidecar.ended().await.status.code(), Some(0));
}

#[tokio::test]
async fn signals_are_forwarded_and_a_stop_ends_with_the_applications_code() {
    let dir = tempfile::tempdir().unwrap();
    // A trap runs when the command at hand ends, so that must not be long.
    let script = format!(
        "cd {}; trap 'touch hup' HUP; trap 'touch usr1' USR1; trap 'touch term; exit 3' TERM; touch started; \
         while :; do sleep 0.05; done",
        dir.path().display()
    );
    let sidecar = Sidecar::start(&dir.path().join("data"), &["--", "sh", "-c", &script]);
    let touched = |name: &'static str| {
        let file = dir.path().join(name);
        eventually(name, move || file.exists().then_some(()))
    };
    touched("started").await;
    sidecar.signal(Signal::SIGHUP);
    touched("hup").await;
    sidecar.signal(Signal::SIGUSR1);
    touched("usr1").await;
    sidecar.signal(Signal::SIGINT);
    let output = sidecar.ended().await;
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    touched("term").await;
}

#[tokio::test]
async fn what_a_signal_ended_has_its_number_in_the_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let output = Sidecar::start(dir.path(), &["--", "sh", "-c", "kill -9 $$"]).ended().await;
    assert_eq!(output.status.code(), Some(128 + 9));
    let output = Sidecar::start(dir.path(), &["--", "/nowhere/program"]).ended().await;
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("cannot start `/nowhere/program`"));
}

#[tokio::test]
async fn a_sidecar_that_is_killed_takes_its_application_along() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", file.display());
    let sidecar = Sidecar::start(&dir.path().join("data"), &["--", "sh", "-c", &script]);
    let pid = eventually("the application starts", || read_pid(&file)).await;
    sidecar.signal(Signal::SIGKILL);
    sidecar.ended().await;
    eventually("the application ends", || is_gone(pid).then_some(())).await;
}

#[tokio::test]
async fn a_second_sidecar_on_one_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = Sidecar::start(dir.path(), &[]);
    first.ports().await;
    let output = Sidecar::start(dir.path(), &[]).ended().await;
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("in use by another sidecar") && said.contains("--data-dir"), "{said}");
    first.signal(Signal::SIGTERM);
    first.ended().await;
}

#[tokio::test]
async fn every_fault_of_the_configuration_is_said_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let output = Sidecar::start(dir.path(), &["--egress", "no", "--threads", "0"]).ended().await;
    let said = text(&output.stderr);
    assert!(said.contains("egress: `no`") && said.contains("threads: is 0"), "{said}");
}

#[tokio::test]
async fn ready_waits_for_the_application() {
    let dir = tempfile::tempdir().unwrap();
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let app = place.local_addr().unwrap();
    drop(place);
    let sidecar = Sidecar::start(dir.path(), &["--service", "a", "--app", &app.to_string()]);
    let ports = sidecar.ports().await;
    let admin = ports["admin"].as_str().unwrap();
    let answer = get(admin, "/ready").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("the application has not passed its check yet"), "{answer}");
    let _app = std::net::TcpListener::bind(app).unwrap();
    let ready = async {
        while !get(admin, "/ready").await.starts_with("HTTP/1.1 200") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, ready).await.unwrap();
    assert!(get(admin, "/config_dump").await.contains("\"service\": \"a.default\""));
    assert!(get(admin, "/metrics").await.contains("weft_build_info{program=\"weft-sidecar\""));
    sidecar.signal(Signal::SIGTERM);
    sidecar.ended().await;
}

async fn get(address: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}
