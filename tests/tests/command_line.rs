//! What a person types, against real processes: `weft up` with services that fail, `weft store`, `weft kv watch`,
//! and that the guide and the programs' own help say the same.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, ensure};
use weft_tests::{
    ControlPlane, Sidecar,
    http::{get, put},
    process::{Process, binary},
    up::Up,
    wait::eventually,
};

/// For a whole `weft up` that ends by itself.
const END_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a mesh of one service until it ends by itself: the exit code, and how often the application ran.
async fn run_up(command: &str, restart: &str, runs_before_good: u32) -> anyhow::Result<(Option<i32>, usize)> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("weft.yaml");
    let script = format!("{command}; echo x >> runs; test $(wc -l < runs) -gt {runs_before_good}");
    let text = serde_json::json!({
        "name": "m",
        "services": {"job": {"command": ["sh", "-c", script], "restart": restart}},
    });
    fs::write(&file, text.to_string())?;
    let mut up = Up::launch(dir.path(), &file, &[]).await?;
    let code = up.process().wait(END_TIMEOUT)?.code();
    Ok((code, fs::read_to_string(dir.path().join("runs"))?.lines().count()))
}

#[tokio::test]
async fn a_service_that_is_never_restarted_runs_once_and_its_failure_is_the_exit_code() -> anyhow::Result<()>
{
    ensure!(run_up("true", "never", 1).await? == (Some(1), 1));
    ensure!(run_up("true", "never", 0).await? == (Some(0), 1));
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_restarted_on_failure_runs_until_it_ends_well() -> anyhow::Result<()> {
    ensure!(run_up("true", "on-failure", 2).await? == (Some(0), 3));
    Ok(())
}

#[tokio::test]
async fn a_store_moves_by_export_and_import_and_a_control_plane_starts_on_it() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (from, to) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir_all(&from)?;
    fs::create_dir_all(&to)?;
    let mut control = ControlPlane::start(&from).await?;
    put(control.http, "/v1/kv/shop/motd", "hello").await?;
    let service = r#"{"Name": "orders", "Port": 80, "Check": {"TTL": "600s", "Status": "passing"}}"#;
    ensure!(put(control.http, "/v1/agent/service/register", service).await?.status == 200);
    let lines = dir.path().join("weft.jsonl");
    let export = |data: &Path| store("export", data, "--to", &lines);
    let held = export(&from.join("control-plane"))?;
    ensure!(held.contains("in use"), "{held}");
    control.kill()?;
    let nothing = export(&to)?;
    ensure!(nothing.contains("there is no store in"), "{nothing}");
    ensure!(fs::read_dir(&to)?.count() == 0, "an export makes nothing where nothing is");
    ensure!(export(&from.join("control-plane"))?.contains("keys written"));
    let import = || store("import", &to.join("control-plane"), "--from", &lines);
    ensure!(import()?.contains("keys read"));
    let again = import()?;
    ensure!(again.contains("empty"), "only an empty store takes an import: {again}");
    let control = ControlPlane::start(&to).await?;
    ensure!(get(control.http, "localhost", "/v1/kv/shop/motd?raw").await?.text() == "hello");
    control.wait_passing("orders", 1).await
}

fn store(what: &str, data_dir: &Path, flag: &str, file: &Path) -> anyhow::Result<String> {
    let mut command = Command::new(binary("weft")?);
    command.args(["store", what, "--data-dir"]).arg(data_dir).arg(flag).arg(file);
    Ok(String::from_utf8_lossy(&command.output()?.stderr).into_owned())
}

#[tokio::test]
async fn a_watch_of_a_key_outlives_a_restart_of_the_control_plane() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut control = ControlPlane::start(dir.path()).await?;
    put(control.http, "/v1/kv/motd", "first").await?;
    let mut command = Command::new(binary("weft")?);
    command.args(["kv", "watch", "motd", "--count", "2", "--address", &control.http.to_string()]);
    let mut watch = Process::spawn("watch", &mut command, dir.path())?;
    says(&watch, "first").await?;
    control.kill()?;
    says(&watch, "waiting for it").await?;
    control.restart().await?;
    put(control.http, "/v1/kv/motd", "second").await?;
    says(&watch, "second").await?;
    ensure!(watch.wait(END_TIMEOUT)?.success());
    ensure!(watch.output().matches("first").count() == 1, "nothing is shown twice: {}", watch.output());
    Ok(())
}

async fn says(process: &Process, what: &str) -> anyhow::Result<()> {
    eventually(&format!("`{what}` is printed"), END_TIMEOUT, async || {
        let output = process.output();
        ensure!(output.contains(what), "{output}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn alone_a_sidecar_calls_the_services_of_its_file_and_registered_egress_nothing_else()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let control = ControlPlane::start(dir.path()).await?;
    let file = dir.path().join("sidecar.yaml");
    let port = control.http.port();
    fs::write(&file, format!("services: {{registry: [{{address: 127.0.0.1, port: {port}}}]}}\n"))?;
    let config = file.to_str().context("a path")?;
    let outside = format!("http://127.0.0.1:{port}/v1/status/leader");
    for (egress, status) in [("allow", 200), ("registered", 404)] {
        let sidecar = Sidecar::start(dir.path(), egress, &["--config", config, "--egress", egress]).await?;
        let inside = get(sidecar.outbound, "registry", "/v1/status/leader").await?;
        ensure!(inside.status == 200, "{inside:?}");
        let answer = get(sidecar.outbound, &format!("127.0.0.1:{port}"), &outside).await?;
        ensure!(answer.status == status, "{egress}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_docs_name_every_metric_and_field_of_a_record_that_a_sidecar_gives() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let control = ControlPlane::start(dir.path()).await?;
    let (file, log) = (dir.path().join("sidecar.yaml"), dir.path().join("access.log"));
    let port = control.http.port();
    let services = format!("{{registry: [{{address: 127.0.0.1, port: {port}}}]}}");
    fs::write(&file, format!("services: {services}\naccess_log: {}\n", log.display()))?;
    let config = file.to_str().context("a path")?;
    let sidecar = Sidecar::start(dir.path(), "sidecar", &["--config", config]).await?;
    get(sidecar.outbound, "registry", "/v1/status/leader").await?;
    get(sidecar.outbound, "nobody", "/").await?;
    let metrics = get(sidecar.admin, "localhost", "/metrics").await?.text();
    let kinds = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE weft_")?.split_once(' '));
    let records = eventually("two records are written", END_TIMEOUT, async || {
        let text = fs::read_to_string(&log)?;
        ensure!(text.lines().count() == 2, "{text}");
        Ok(text)
    })
    .await?;
    let counted: BTreeSet<String> =
        kinds.map(|(name, _)| format!("`weft_{}`", name.trim_end_matches("_total"))).collect();
    ensure!(counted.len() > 30, "{metrics}");
    let listed = docs("metrics.md")?;
    let missing: Vec<_> = counted.iter().filter(|name| !listed.contains(name.as_str())).collect();
    ensure!(missing.is_empty(), "docs/metrics.md does not name {missing:?}");
    let mut wanted = BTreeSet::new();
    for record in records.lines() {
        let record: serde_json::Map<_, _> = serde_json::from_str(record)?;
        wanted.extend(record.keys().map(|field| format!("`{field}`")));
    }
    let guide = docs("guide.md")?;
    let missing: Vec<_> = wanted.iter().filter(|name| !guide.contains(name.as_str())).collect();
    ensure!(missing.is_empty(), "docs/guide.md does not name {missing:?}");
    Ok(())
}

#[test]
fn the_guide_names_every_flag_and_variable_of_the_daemons_and_no_other() -> anyhow::Result<()> {
    let guide = docs("guide.md")?;
    let section = |from: &str, to: &str| -> anyhow::Result<String> {
        let (_, rest) = guide.split_once(from).with_context(|| format!("no {from}"))?;
        Ok(rest.split_once(to).with_context(|| format!("no {to}"))?.0.to_owned())
    };
    let daemons = [
        ("weft-sidecar", &["run", "--help"][..], section("### Settings of the sidecar", "\n## ")?),
        ("weft-control-plane", &["--help"][..], section("### Settings of the control plane", "\n## ")?),
    ];
    for (program, arguments, text) in daemons {
        let help = Command::new(binary(program)?).args(arguments).output()?.stdout;
        let help = String::from_utf8(help)?;
        let (said, wanted) = (settings(&table(&text)), settings(&help));
        ensure!(said == wanted, "{program}: only in the guide or only in --help: {:?}", &said ^ &wanted);
    }
    Ok(())
}

fn docs(name: &str) -> anyhow::Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    fs::read_to_string(&file).with_context(|| format!("{} is not there", file.display()))
}

/// The rows of the tables.
fn table(text: &str) -> String {
    text.lines().filter(|line| line.starts_with('|')).collect::<Vec<_>>().join("\n")
}

/// `--data-dir`, `WEFT_DATA_DIR`, …
fn settings(text: &str) -> BTreeSet<String> {
    let part_of_one = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let words = text.split(|c| !part_of_one(c)).map(|word| word.trim_end_matches('_'));
    let is_setting = |word: &&str| word.starts_with("--") && word.len() > 3 || word.starts_with("WEFT_");
    let ours = words.filter(is_setting).filter(|word| !["--help", "--version"].contains(word));
    ours.filter(|word| word.chars().any(|c| c.is_ascii_alphabetic())).map(str::to_owned).collect()
}
