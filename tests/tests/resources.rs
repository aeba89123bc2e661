//! Resources from the author's keyboard to the sidecars and back: the command line, `curl` and `kubectl` as foreign
//! clients, a restart, a service that is missing, and by how many sidecars each was applied.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, ensure};
use serde_json::Value;
use weft_tests::{ControlPlane, Sidecar, http::get, process::binary, wait::eventually};

const PATIENCE: Duration = Duration::from_secs(30);
const ROUTE: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/orders";
const ROUTE_YAML: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: orders
spec:
  parentRefs:
  - {group: '', kind: Service, name: orders}
  rules:
  - matches:
    - path: {type: PathPrefix, value: /v2}
    backendRefs:
    - {name: orders-next, port: 80}
";
const POLICY_YAML: &str = "
apiVersion: weft.dev/v1alpha1
kind: ServicePolicy
metadata:
  name: calm
spec:
  targetRefs:
  - {group: '', kind: Service, name: orders}
  timeouts:
    request: 2s
";

/// A control plane, and a directory for files.
struct Bench {
    dir: tempfile::TempDir,
    control: ControlPlane,
}

/// What a program printed and how it ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Bench {
    async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let control = ControlPlane::start(dir.path()).await?;
        Ok(Self { dir, control })
    }

    /// A sidecar that calls `orders`.
    async fn caller(&self, name: &str) -> anyhow::Result<Sidecar> {
        let url = format!("http://{}", self.control.grpc);
        let arguments = &["--control-plane", &url, "--subscribe", "orders", "--instance", name];
        Sidecar::launch(self.dir.path(), name, arguments).await
    }

    fn file(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.dir.path().join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    fn weft(&self, arguments: &[&str]) -> anyhow::Result<Ran> {
        let mut command = Command::new(binary("weft")?);
        let url = format!("http://{}", self.control.http);
        ran(command.args(arguments).env("WEFT_HTTP_ADDR", url).current_dir(self.dir.path()))
    }

    async fn status(&self, path: &str) -> anyhow::Result<Value> {
        let object = get(self.control.http, "localhost", path).await?.json()?;
        Ok(object.get("status").cloned().unwrap_or_default())
    }
}

fn ran(command: &mut Command) -> anyhow::Result<Ran> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
}

async fn says(sidecar: &Sidecar, name: &str) -> bool {
    let dump = get(sidecar.admin, "localhost", "/config_dump").await;
    dump.is_ok_and(|dump| dump.text().contains(&format!("httproute.default.{name}")))
}

#[tokio::test]
async fn a_resource_goes_from_a_file_to_every_sidecar_and_outlives_the_control_plane() -> anyhow::Result<()> {
    let mut bench = Bench::start().await?;
    let (one, two) = (bench.caller("one").await?, bench.caller("two").await?);
    let file = bench.file("orders.yaml", &format!("{ROUTE_YAML}---{POLICY_YAML}"))?;
    let dry = bench.weft(&["apply", "-f", &file, "--dry-run"])?;
    ensure!(dry.code == Some(0) && dry.out.contains("httproute/orders created (dry run)"), "{dry:?}");
    let differs = bench.weft(&["diff", "-f", &file])?;
    ensure!(differs.code == Some(1) && differs.out.contains("+kind: HTTPRoute"), "{differs:?}");

    eventually("both sidecars subscribe", PATIENCE, async || {
        let sidecars = get(bench.control.http, "localhost", "/v1/weft/sidecars").await?.json()?;
        let all = sidecars.as_array().context("a list")?;
        let subscribed = all.iter().filter(|one| one["subscriptions"][0]["service"] == "orders.default");
        ensure!(subscribed.count() == 2, "{sidecars}");
        Ok(())
    })
    .await?;
    let applied = bench.weft(&["apply", "-f", &file, "--wait"])?;
    ensure!(applied.code == Some(0), "{applied:?}");
    ensure!(applied.out.contains("httproute/orders created\n"), "{applied:?}");
    ensure!(applied.out.contains("servicepolicy/calm applied by 2/2 sidecars"), "{applied:?}");
    ensure!(says(&one, "orders").await && says(&two, "orders").await);
    let again = bench.weft(&["apply", "-f", &file])?;
    ensure!(again.out == "httproute/orders unchanged\nservicepolicy/calm unchanged\n", "{again:?}");
    ensure!(bench.weft(&["diff", "-f", &file])?.code == Some(0));

    let table = bench.weft(&["get", "hr"])?;
    ensure!(table.out.contains("2/2 sidecars") && table.out.starts_with("NAME"), "{table:?}");
    let changed = bench.file("orders.yaml", &ROUTE_YAML.replace("/v2", "/v3"))?;
    let differs = bench.weft(&["diff", "-f", &changed])?;
    ensure!(
        differs.out.contains("-        value: /v2") && differs.out.contains("+        value: /v3"),
        "{differs:?}"
    );
    ensure!(bench.weft(&["apply", "-f", &changed, "--wait"])?.out.contains("httproute/orders configured"));

    bench.control.kill()?;
    bench.control.restart().await?;
    let kept = bench.weft(&["get", "httproute", "orders", "-o", "yaml"])?;
    ensure!(kept.code == Some(0) && kept.out.contains("value: /v3"), "{kept:?}");
    eventually("both are back", PATIENCE, async || {
        let status = bench.status(ROUTE).await?;
        ensure!(status["sidecars"]["applied"] == 2, "{status}");
        Ok(())
    })
    .await?;
    let gone = bench.weft(&["delete", "hr/orders"])?;
    ensure!(gone.out == "httproute/orders deleted\n", "{gone:?}");
    ensure!(bench.weft(&["delete", "hr", "orders"])?.code == Some(1));
    eventually("no sidecar says it", PATIENCE, async || {
        ensure!(!says(&one, "orders").await && !says(&two, "orders").await);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_bad_resource_is_refused_with_all_that_is_wrong_and_nothing_else_changes() -> anyhow::Result<()> {
    let bench = Bench::start().await?;
    let good = bench.file("good.yaml", ROUTE_YAML)?;
    ensure!(bench.weft(&["apply", "-f", &good])?.code == Some(0));
    let before = get(bench.control.http, "localhost", ROUTE).await?.json()?;
    let bad = ROUTE_YAML.replace("PathPrefix", "Glob").replace("port: 80", "port: 80, wait: 3");
    let bad = bench.file("bad.yaml", &format!("{POLICY_YAML}---{bad}"))?;
    let refused = bench.weft(&["apply", "-f", &bad])?;
    ensure!(refused.code == Some(1) && refused.out.is_empty(), "{refused:?}");
    for told in [
        "bad.yaml:21: spec.rules[0].matches[0].path.type: ",
        "bad.yaml:23: spec.rules[0].backendRefs[0].wait: ",
    ] {
        ensure!(refused.err.contains(told), "{told}: {}", refused.err);
    }
    ensure!(refused.err.ends_with("nothing was applied\n"), "{refused:?}");
    ensure!(get(bench.control.http, "localhost", ROUTE).await?.json()? == before);
    ensure!(bench.weft(&["get", "sp", "calm"])?.code == Some(1));
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_missing_is_no_error_and_the_status_mends() -> anyhow::Result<()> {
    let bench = Bench::start().await?;
    let file = bench.file("policy.yaml", POLICY_YAML)?;
    ensure!(
        bench.weft(&["apply", "-f", &file, "--wait"])?.code == Some(0),
        "nobody calls it: nothing to wait for"
    );
    let told = bench.weft(&["status"])?;
    ensure!(told.out.contains("servicepolicy/calm in default: "), "{told:?}");
    let service = r#"{"Name": "orders", "Port": 80}"#;
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        ran(command.args(["-sS", "--max-time", "10"]).args(arguments))
    };
    let url = format!("http://{}", bench.control.http);
    let registered = curl(&["-X", "PUT", "-d", service, &format!("{url}/v1/agent/service/register")])?;
    ensure!(registered.code == Some(0), "{registered:?}");
    let read = curl(&[&format!("{url}/apis/weft.dev/v1alpha1/namespaces/default/servicepolicies/calm")])?;
    let status = serde_json::from_str::<Value>(&read.out)?["status"].clone();
    ensure!(status["ancestors"][0]["conditions"][1]["status"] == "True", "{status}");
    ensure!(!bench.weft(&["status"])?.out.contains("servicepolicy/calm"));
    Ok(())
}

#[tokio::test]
async fn kubectl_reads_resources() -> anyhow::Result<()> {
    const KUBECTL: &str = "/usr/bin/kubectl";
    if !Path::new(KUBECTL).exists() {
        println!("skipped: there is no {KUBECTL}");
        return Ok(());
    }
    let bench = Bench::start().await?;
    let file = bench.file("orders.yaml", ROUTE_YAML)?;
    ensure!(bench.weft(&["apply", "-f", &file])?.code == Some(0));
    let server = format!("http://{}", bench.control.http);
    let kubectl = |arguments: &[&str]| {
        let mut command = Command::new(KUBECTL);
        ran(command.args(["--server", &server]).args(arguments).env("HOME", bench.dir.path()))
    };
    let raw = kubectl(&["get", "--raw", ROUTE])?;
    ensure!(raw.code == Some(0) && raw.out.contains("\"HTTPRoute\""), "{raw:?}");
    let listed = kubectl(&["get", "httproutes"])?;
    ensure!(listed.code == Some(0) && listed.out.contains("orders"), "{listed:?}");
    let named = kubectl(&["get", "hr", "orders", "-o", "name"])?;
    ensure!(named.out.trim() == "httproute.gateway.networking.k8s.io/orders", "{named:?}");
    Ok(())
}

#[tokio::test]
async fn a_mesh_file_brings_its_resources() -> anyhow::Result<()> {
    let bench = Bench::start().await?;
    bench.file("policy.yaml", &POLICY_YAML.replace("2s", "soon"))?;
    let file = bench.file(
        "weft.yaml",
        "name: m\nservices:\n  orders:\n    command: [sleep, '60']\nresources: [policy.yaml]\n",
    )?;
    let bad = bench.weft(&["check", &file])?;
    ensure!(bad.code == Some(1) && bad.err.contains("policy.yaml:10: spec.timeouts.request: "), "{bad:?}");
    bench.file("policy.yaml", POLICY_YAML)?;
    let good = bench.weft(&["check", &file])?;
    ensure!(good.code == Some(0) && good.out.contains("1 resources"), "{good:?}");
    Ok(())
}
