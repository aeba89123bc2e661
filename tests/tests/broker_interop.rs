//! Clients that others wrote do on the broker what their users do with them, each on a fresh one. The scripts are
//! in `tests/interop/amqp`; `reference.sh` there runs the same ones on RabbitMQ.

use std::{path::Path, process::Command};

use anyhow::{Context, ensure};
use weft_tests::{Broker, interop};

/// Seconds that a script may take, by `timeout`: one that hangs must not keep the test.
const SCRIPT_S_MAX: &str = "170";

#[tokio::test]
async fn the_six_tutorials_with_pika() -> anyhow::Result<()> {
    python("tutorials", "amqp/tutorials/run.py").await
}

#[tokio::test]
async fn pika_publishes_and_consumes_on_one_loop() -> anyhow::Result<()> {
    python("pika", "amqp/clients/pika_async.py").await
}

#[tokio::test]
async fn aio_pika_comes_back_by_itself() -> anyhow::Result<()> {
    python("aio-pika", "amqp/clients/aio_pika_robust.py").await
}

#[tokio::test]
async fn py_amqp_meets_each_kind_of_error() -> anyhow::Result<()> {
    python("py-amqp", "amqp/clients/py_amqp.py").await
}

#[tokio::test]
async fn kombu_pools_its_producers() -> anyhow::Result<()> {
    python("kombu", "amqp/clients/kombu_producers.py").await
}

#[tokio::test]
async fn celery_runs_tasks_and_loses_none_with_a_worker() -> anyhow::Result<()> {
    python("Celery", "amqp/clients/celery_worker.py").await
}

#[tokio::test]
async fn rabbitmqadmin_operates_it() -> anyhow::Result<()> {
    let test = "broker_interop: rabbitmqadmin";
    let program = interop::repository().join("target/interop/cargo/bin/rabbitmqadmin");
    if !program.exists() {
        interop::skip(test, "no rabbitmqadmin: run tests/interop/setup.sh");
        return Ok(());
    }
    let script = interop::script("amqp/clients/rabbitmqadmin.sh");
    passes(&script, [program.as_path()]).await
}

/// The one of RabbitMQ up to 3.x, which is a Python script.
#[tokio::test]
async fn the_old_rabbitmqadmin_operates_it() -> anyhow::Result<()> {
    let test = "broker_interop: old rabbitmqadmin";
    let Some(program) = interop::program(test, "rabbitmqadmin") else { return Ok(()) };
    let script = interop::script("amqp/clients/rabbitmqadmin_3.sh");
    passes(&script, [program.as_path()]).await
}

#[tokio::test]
async fn amqplib_from_npm_confirms_and_calls() -> anyhow::Result<()> {
    let test = "broker_interop: amqplib";
    let Some(node) = interop::program(test, "node") else { return Ok(()) };
    if !interop::repository().join("target/interop/node/node_modules/amqplib").exists() {
        interop::skip(test, "no amqplib: run tests/interop/setup.sh");
        return Ok(());
    }
    passes(&node, [interop::script("amqp/clients/amqplib.js").as_path()]).await
}

#[tokio::test]
async fn amqp_tools_serve_shell_scripts() -> anyhow::Result<()> {
    let Some(_tools) = interop::program("broker_interop: amqp-tools", "amqp-publish") else { return Ok(()) };
    passes(&interop::script("amqp/clients/amqp_tools.sh"), []).await
}

/// A script of the Python environment.
async fn python(client: &str, script: &str) -> anyhow::Result<()> {
    let Some(python) = interop::python(&format!("broker_interop: {client}")) else { return Ok(()) };
    passes(&python, [interop::script(script).as_path()]).await
}

/// Runs a program against a broker of its own; its last line is `ok`.
async fn passes<const N: usize>(program: &Path, arguments: [&Path; N]) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let broker = Broker::start(dir.path()).await?;
    let mut command = Command::new("timeout");
    command.arg(SCRIPT_S_MAX).arg(program).args(arguments);
    broker.tell(&mut command);
    let run = tokio::task::spawn_blocking(move || interop::run(&mut command)).await?;
    let printed = run.with_context(|| broker.output())?;
    ensure!(printed.trim_end().ends_with("ok"), "{printed}");
    Ok(())
}
