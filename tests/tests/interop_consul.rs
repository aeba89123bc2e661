//! Clients of Consul that others wrote find what they expect on a real control plane.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use weft_tests::{ControlPlane, Process, http, interop, wait::eventually};

/// Scrapers look at what they discovered every few seconds, half a minute at most.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn py_consul_registers_watches_and_uses_kv() -> anyhow::Result<()> {
    let Some(python) = interop::python("interop_consul: py-consul") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let control = ControlPlane::start(dir.path()).await?;
    let (host, port) = (control.http.ip().to_string(), control.http.port().to_string());
    // Bounded from outside: a blocking query that never wakes must not keep the test.
    let mut command = Command::new("timeout");
    command.arg("120").arg(python).arg(interop::script("consul_client.py")).args([host, port]);
    let printed = tokio::task::spawn_blocking(move || interop::run(&mut command)).await??;
    ensure!(printed.trim() == "ok", "{printed}");
    Ok(())
}

/// VictoriaMetrics reads Prometheus's configuration and has a client of Consul's API of its own.
#[tokio::test]
async fn victoria_metrics_finds_its_targets() -> anyhow::Result<()> {
    let test = "interop_consul: VictoriaMetrics";
    let Some(program) = interop::program(test, "victoria-metrics") else { return Ok(()) };
    finds_its_targets(&program, "-promscrape.config", "-storageDataPath", "-httpListenAddr").await
}

/// Debian 12 builds its Prometheus without `consul_sd_configs`; a later one is taken as it is.
#[tokio::test]
async fn prometheus_finds_its_targets() -> anyhow::Result<()> {
    let test = "interop_consul: Prometheus";
    let Some(program) = interop::program(test, "prometheus") else { return Ok(()) };
    if !String::from_utf8_lossy(&std::fs::read(&program)?).contains("__meta_consul") {
        interop::skip(test, "this Prometheus is built without consul_sd_configs, as Debian 12's is");
        return Ok(());
    }
    finds_its_targets(&program, "--config.file", "--storage.tsdb.path", "--web.listen-address").await
}

/// A scraper discovers the control plane, registered as a service, and scrapes it.
async fn finds_its_targets(
    program: &Path,
    config_flag: &str,
    data_flag: &str,
    listen_flag: &str,
) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let control = ControlPlane::start(dir.path()).await?;
    let service =
        json!({"Name": "weft", "Tags": ["scraped"], "Address": "127.0.0.1", "Port": control.http.port()});
    let answer = http::put(control.http, "/v1/agent/service/register", service.to_string()).await?;
    ensure!(answer.status == 200, "{answer:?}");
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, scrape_config(&control.http.to_string()))?;
    let listen = free_port()?;
    let mut command = Command::new(program);
    command.arg(format!("{config_flag}={}", config.display()));
    command.arg(format!("{data_flag}={}", dir.path().join("metrics").display()));
    command.arg(format!("{listen_flag}={listen}"));
    let process = Process::spawn("scraper", &mut command, dir.path())?;
    eventually("what was discovered is scraped", DISCOVERY_TIMEOUT, async || {
        let targets = http::get(listen, "localhost", "/api/v1/targets").await?.json()?;
        let active = targets.pointer("/data/activeTargets").and_then(Value::as_array).context("no list")?;
        let [target] = active.as_slice() else { bail!("{targets}") };
        ensure!(target.pointer("/health") == Some(&json!("up")), "{targets}");
        let labels = target.pointer("/discoveredLabels").context("no labels")?;
        for (label, value) in
            [("service", "weft"), ("tags", ",scraped,"), ("dc", "dc1"), ("node", "127.0.0.1")]
        {
            ensure!(labels.get(format!("__meta_consul_{label}")) == Some(&json!(value)), "{labels}");
        }
        Ok(())
    })
    .await
    .with_context(|| process.output())
}

fn scrape_config(control: &str) -> String {
    let lines = [
        "global: {scrape_interval: 1s, scrape_timeout: 1s}",
        "scrape_configs:",
        "  - job_name: weft",
        "    consul_sd_configs:",
        &format!("      - {{server: '{control}', services: [weft]}}"),
    ];
    lines.join("\n") + "\n"
}

/// A scraper cannot say which port it chose, so one is found for it; held by nobody for a moment.
fn free_port() -> anyhow::Result<std::net::SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
