//! What a request costs in instructions of the sidecar, held against a checked-in ceiling: a guard against
//! regressions of the path that depends on no clock and no idle machine. Times are the affair of `make bench`.
//!
//! ```text
//!   instructions a request = (of a run with MANY requests - of a run with FEW) / (MANY - FEW)
//! ```
//!
//! Counted by callgrind, in user space, over all threads, one request at a time: so the number of wake-ups is
//! the same each time. The programs are those of the profile that the tests run (unoptimised in `make test`,
//! optimised in `make soak`): each profile has its own ceilings. A rise says that the path does more. A fall is
//! written down with `make ratchet-instructions`; only an edit by hand raises a ceiling, and a reviewer sees it.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test: what is not there fails it, and the counts are for the person who runs it"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use weft_tests::{
    interop,
    process::{Process, binary},
    wait::eventually,
};

/// Requests of the two runs whose difference counts.
const FEW: u64 = 100;
const MANY: u64 = 500;
/// How far a count may stand above its ceiling, in per cent: hash seeds and timers differ from run to run.
const SLACK_PERCENT: u64 = 3;
/// How far below before the ceiling is to be lowered.
const FALL_PERCENT: u64 = 10;
/// Under valgrind everything takes fifty times as long.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Work by the name that `weft-bench load` has for it, with the protocol of its endpoint and its port.
const WORKS: [(&str, &str, &str); 3] =
    [("http1", "http", "http1_small"), ("http2", "http2", "http2"), ("grpc-unary", "grpc", "grpc")];

#[tokio::test]
async fn heavy_a_request_takes_no_more_instructions_than_it_did() -> anyhow::Result<()> {
    const TEST: &str = "instructions a request";
    let Some(valgrind) = interop::program(TEST, "valgrind") else { return Ok(()) };
    let valgrind = Valgrind::at(valgrind);
    if !valgrind.works() {
        interop::skip(TEST, "valgrind does not run here");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let backend = Backend::start()?;
    let mut counted = BTreeMap::new();
    for (work, protocol, port) in WORKS {
        let site = Site { dir: dir.path(), work, protocol, port: backend.port(port)? };
        let (few, many) = (site.count(&valgrind, FEW).await?, site.count(&valgrind, MANY).await?);
        ensure!(many > few, "{work}: {MANY} requests took {many} instructions, {FEW} took {few}");
        counted.insert(work.to_owned(), (many - few) / (MANY - FEW));
    }
    hold(&counted)
}

/// Compares with the ceilings of this profile.
fn hold(counted: &BTreeMap<String, u64>) -> anyhow::Result<()> {
    let file = interop::repository().join("tests/instructions.json");
    let mut ceilings: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_slice(&fs::read(&file)?)?;
    let profile = profile()?;
    let known = ceilings.entry(profile.clone()).or_default();
    let mut rose = Vec::new();
    for (work, count) in counted {
        let ceiling = known.get(work).copied().unwrap_or(u64::MAX);
        println!("{profile} {work}: {count} instructions a request, ceiling {ceiling}");
        if count.saturating_mul(100) > ceiling.saturating_mul(100 + SLACK_PERCENT) {
            rose.push(format!("{work}: {count}, ceiling {ceiling}"));
        }
        if count.saturating_mul(100) < ceiling.saturating_mul(100 - FALL_PERCENT) {
            println!("{work}: far below its ceiling: `make ratchet-instructions` writes that down");
        }
        known.insert(work.clone(), ceiling.min(*count));
    }
    if update_asked_for() {
        fs::write(&file, serde_json::to_string_pretty(&ceilings)? + "\n")?;
    }
    if rose.is_empty() {
        Ok(())
    } else {
        bail!("a request takes more instructions ({profile}):\n{}", rose.join("\n"))
    }
}

/// The folder of the programs is named after their profile.
fn profile() -> anyhow::Result<String> {
    let sidecar = binary("weft-sidecar")?;
    let name = sidecar.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    Ok(name.context("the programs are in no folder")?.to_owned())
}

#[expect(clippy::disallowed_methods, reason = "a switch for the person at the keyboard, not configuration")]
fn update_asked_for() -> bool {
    std::env::var_os("UPDATE_RATCHET").is_some_and(|value| !value.is_empty())
}

struct Valgrind {
    program: PathBuf,
}

impl Valgrind {
    fn at(program: PathBuf) -> Self {
        Self { program }
    }

    fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(&self.program);
        // One that was unpacked and not installed has its tools beside it.
        let tools = self.program.with_file_name("../libexec/valgrind");
        if !self.program.starts_with("/usr/bin") && tools.exists() {
            command.env("VALGRIND_LIB", tools);
        }
        command.arg(format!("--tool={tool}"));
        command
    }

    fn works(&self) -> bool {
        let mut command = self.command("callgrind");
        command.args(["--callgrind-out-file=/dev/null", "/bin/true"]);
        command.output().is_ok_and(|output| output.status.success())
    }
}

/// `weft-bench backend`; ends with its standard input.
struct Backend {
    child: Child,
    ports: Value,
}

impl Backend {
    fn start() -> anyhow::Result<Self> {
        let mut command = Command::new(binary("weft-bench")?);
        let mut child = command.arg("backend").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let out = child.stdout.as_mut().context("its output is a pipe")?;
        BufReader::new(out).read_line(&mut line)?;
        Ok(Self { child, ports: serde_json::from_str(&line)? })
    }

    fn port(&self, name: &str) -> anyhow::Result<u64> {
        self.ports[name].as_u64().with_context(|| format!("no {name} in {}", self.ports))
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _gone_already = self.child.wait();
    }
}

/// A sidecar under callgrind, with one service.
struct Site<'a> {
    dir: &'a Path,
    work: &'a str,
    protocol: &'a str,
    port: u64,
}

impl Site<'_> {
    /// The instructions of a whole run with so many requests.
    async fn count(&self, valgrind: &Valgrind, requests: u64) -> anyhow::Result<u64> {
        let name = format!("{}-{requests}", self.work);
        let (data, out) = (self.dir.join(&name), self.dir.join(format!("{name}.callgrind")));
        let config = self.dir.join(format!("{name}.yaml"));
        let endpoint = json!({ "address": "127.0.0.1", "port": self.port, "protocol": self.protocol });
        let settings = json!({
            "services": { "echo": [endpoint] },
            "outbound": "127.0.0.1:0",
            "inbound": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "data_dir": data,
            "access_log": self.dir.join(format!("{name}.log")),
        });
        fs::write(&config, settings.to_string())?;
        let mut command = valgrind.command("callgrind");
        command.arg(format!("--callgrind-out-file={}", out.display()));
        command.arg(binary("weft-sidecar")?).args(["run", "--config"]).arg(&config);
        let mut sidecar = Process::spawn(&name, &mut command, self.dir)?;
        let outbound = eventually("the sidecar listens under valgrind", START_TIMEOUT, async || {
            let ports: Value = serde_json::from_slice(&fs::read(data.join("ports.json"))?)?;
            Ok(ports["outbound"].as_str().context("no outbound port")?.to_owned())
        })
        .await?;
        self.load(&outbound, requests)?;
        sidecar.stop()?;
        total(&fs::read_to_string(&out)?)
    }

    fn load(&self, target: &str, requests: u64) -> anyhow::Result<()> {
        let mut command = Command::new(binary("weft-bench")?);
        command.args(["load", "--work", self.work, "--target", target, "--connections", "1"]);
        command.args(["--streams", "1", "--requests", &requests.to_string()]);
        let sample: Value = serde_json::from_str(&interop::run(&mut command)?)?;
        ensure!(sample["completed"] == requests && sample["failed"] == 0, "{}: {sample}", self.work);
        Ok(())
    }
}

/// What the profile of a run says at its end.
fn total(profile: &str) -> anyhow::Result<u64> {
    let line = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(line.context("callgrind has written no totals")?.trim().parse()?)
}
