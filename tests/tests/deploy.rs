//! What stands in `deploy/` agrees with itself, with Kubernetes' schemas and with the programs: manifests are
//! rendered by kubectl and judged by kubernetes-validate, flags are looked up in the programs' own `--help`.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Value;
use weft_tests::{interop, process::binary};

/// The manifests as a cluster would get them; `None` where there is no kubectl.
fn rendered(test: &str) -> anyhow::Result<Option<String>> {
    let Some(kubectl) = interop::program(test, "kubectl") else { return Ok(None) };
    let folder = interop::repository().join("deploy/kubernetes");
    interop::run(Command::new(kubectl).arg("kustomize").arg(folder)).map(Some)
}

fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let documents: Result<Vec<_>, _> =
        serde_yaml::Deserializer::from_str(text).map(Value::deserialize).collect();
    Ok(documents?)
}

/// Every container of every workload.
fn containers(documents: &[Value]) -> Vec<&Value> {
    let lists = documents.iter().filter_map(|d| d.pointer("/spec/template/spec/containers")?.as_array());
    lists.flatten().collect()
}

fn texts<'a>(value: &'a Value, field: &str) -> Vec<&'a str> {
    value[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Names and numbers of a container's ports.
fn ports(container: &Value) -> BTreeSet<String> {
    let ports = container["ports"].as_array().into_iter().flatten();
    ports.flat_map(|port| [bare(&port["name"]), bare(&port["containerPort"])]).collect()
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether the program knows the flags of one command line, by its own help.
fn check_flags(command_line: &[&str]) -> anyhow::Result<()> {
    let (program, arguments) = command_line.split_first().context("an empty command")?;
    let name = program.rsplit('/').next().unwrap_or_default();
    let subcommand = arguments.iter().take_while(|argument| !argument.starts_with('-'));
    let help = interop::run(Command::new(binary(name)?).args(subcommand).arg("--help"))?;
    let known: BTreeSet<&str> = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
    for argument in arguments.iter().take_while(|argument| **argument != "--") {
        let flag = argument.split('=').next().unwrap_or_default();
        ensure!(!flag.starts_with("--") || known.contains(flag), "{name} has no {flag}: see {name} --help");
    }
    Ok(())
}

#[test]
fn every_manifest_keeps_to_the_schema_of_kubernetes() -> anyhow::Result<()> {
    let test = "every_manifest_keeps_to_the_schema_of_kubernetes";
    let (Some(python), Some(text)) = (interop::python(test), rendered(test)?) else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("rendered.yaml");
    fs::write(&file, &text)?;
    let mut validate = Command::new(python.with_file_name("kubernetes-validate"));
    let report = interop::run(validate.arg("--strict").arg(file))?;
    ensure!(documents(&text)?.len() >= 10, "few documents: {report}");
    Ok(())
}

#[test]
fn every_flag_of_a_manifest_is_one_of_the_program() -> anyhow::Result<()> {
    let Some(text) = rendered("every_flag_of_a_manifest_is_one_of_the_program")? else { return Ok(()) };
    let documents = documents(&text)?;
    let containers = containers(&documents);
    ensure!(containers.len() >= 5, "{} containers", containers.len());
    for container in containers {
        check_flags(&[texts(container, "command"), texts(container, "args")].concat())?;
    }
    Ok(())
}

#[test]
fn every_port_that_is_named_is_one_of_a_container() -> anyhow::Result<()> {
    let Some(text) = rendered("every_port_that_is_named_is_one_of_a_container")? else { return Ok(()) };
    let documents = documents(&text)?;
    let mut all = BTreeSet::new();
    for container in containers(&documents) {
        let ports = ports(container);
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let Some(port) = container.pointer(&format!("/{probe}/httpGet/port")) else { continue };
            ensure!(ports.contains(&bare(port)), "{probe} of {container}: no port {port}");
        }
        for argument in texts(container, "args") {
            let listens = ["--http=0.", "--grpc=0.", "--inbound=0.", "--admin=0.", "--advertise="];
            let Some((_, port)) =
                argument.rsplit_once(':').filter(|_| listens.iter().any(|l| argument.starts_with(l)))
            else {
                continue;
            };
            ensure!(ports.contains(port), "{argument}: the container has no port {port}");
        }
        all.extend(ports);
    }
    for document in &documents {
        let of_services = document.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
        let of_policies = document.pointer("/spec/ingress").and_then(Value::as_array).into_iter().flatten();
        let named = of_services.map(|port| &port["targetPort"]).chain(
            of_policies
                .flat_map(|rule| rule["ports"].as_array().into_iter().flatten())
                .map(|port| &port["port"]),
        );
        for port in named {
            ensure!(all.contains(&bare(port)), "{}: no container has port {port}", document["metadata"]);
        }
    }
    Ok(())
}

#[test]
fn the_image_holds_what_the_manifests_run() -> anyhow::Result<()> {
    let Some(text) = rendered("the_image_holds_what_the_manifests_run")? else { return Ok(()) };
    let containerfile = fs::read_to_string(interop::repository().join("deploy/Containerfile"))?;
    let documents = documents(&text)?;
    for container in containers(&documents) {
        let image = format!("weft:{}", env!("CARGO_PKG_VERSION"));
        ensure!(container["image"] == image.as_str(), "{} is not {image}", container["image"]);
        let command = texts(container, "command");
        let program =
            command.first().and_then(|c| c.strip_prefix('/')).context("give the path in the image")?;
        ensure!(
            containerfile.contains(&format!(" -p {program} "))
                || containerfile.contains(&format!(" -p {program}\n"))
        );
    }
    ensure!(
        containerfile.contains(&format!("weft:{}", env!("CARGO_PKG_VERSION"))),
        "the Containerfile names another"
    );
    ensure!(containerfile.contains("\nFROM scratch\n") && containerfile.contains("\nUSER 65532:65532\n"));
    Ok(())
}

#[test]
fn every_workload_is_restricted() -> anyhow::Result<()> {
    let Some(text) = rendered("every_workload_is_restricted")? else { return Ok(()) };
    for document in documents(&text)? {
        let Some(pod) = document.pointer("/spec/template/spec") else { continue };
        let name = &document["metadata"]["name"];
        ensure!(pod["automountServiceAccountToken"] == false, "{name} mounts a token");
        ensure!(pod["enableServiceLinks"] == false, "{name} gets WEFT_… variables that are not ours");
        ensure!(pod.pointer("/securityContext/runAsNonRoot") == Some(&true.into()), "{name} may be root");
        for container in pod["containers"].as_array().into_iter().flatten() {
            let context = &container["securityContext"];
            ensure!(context["allowPrivilegeEscalation"] == false, "{name}: {context}");
            ensure!(context["readOnlyRootFilesystem"] == true, "{name}: {context}");
            ensure!(context["capabilities"]["drop"] == serde_json::json!(["ALL"]), "{name}: {context}");
            ensure!(container.pointer("/resources/limits/memory").is_some(), "{name} has no memory limit");
        }
    }
    Ok(())
}

#[test]
fn every_flag_of_a_systemd_unit_is_one_of_the_program() -> anyhow::Result<()> {
    for entry in fs::read_dir(interop::repository().join("deploy/systemd"))? {
        let text = fs::read_to_string(entry?.path())?;
        let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).context("no ExecStart")?;
        check_flags(&line.split(' ').collect::<Vec<_>>())?;
    }
    Ok(())
}
