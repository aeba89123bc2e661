//! What the broker answers, method by method, is what RabbitMQ 3.10 answered when the matrix was recorded, but for the
//! differences that are explained.

use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;
use weft_tests::{Broker, interop};

/// Seconds for all cases: a minute on an idle machine.
const MATRIX_S_MAX: &str = "280";

/// Some cases wait a little for what must not come: the machine is for them alone.
#[tokio::test]
async fn heavy_the_property_matrix_is_answered_as_by_rabbitmq() -> anyhow::Result<()> {
    let Some(python) = interop::program("broker_matrix", "python3") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let broker = Broker::start(dir.path()).await?;
    let mut command = Command::new("timeout");
    command.arg(MATRIX_S_MAX).arg(python).arg(interop::script("amqp/matrix.py"));
    command.arg("--compare").arg(interop::script("amqp/rabbitmq-3.10.jsonl"));
    command.arg("--explained").arg(interop::script("amqp/explained.json"));
    broker.tell(&mut command);
    let run = tokio::task::spawn_blocking(move || interop::run(&mut command)).await?;
    run.with_context(|| broker.output())?;
    Ok(())
}

#[test]
fn every_explained_difference_is_in_the_compatibility_document() -> anyhow::Result<()> {
    let document = std::fs::read_to_string(interop::repository().join("docs/compatibility.md"))?;
    let document = document.split_whitespace().collect::<Vec<_>>().join(" ");
    let explained = std::fs::read(interop::script("amqp/explained.json"))?;
    for explanation in serde_json::from_slice::<Vec<Value>>(&explained)? {
        let reason = explanation["reason"].as_str().context("an explanation without a reason")?;
        ensure!(document.contains(reason), "docs/compatibility.md does not say: {reason}");
    }
    Ok(())
}
