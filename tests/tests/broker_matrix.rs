//! What the broker answers, method by method, is what RabbitMQ 3.10 answered when the matrix was recorded, but for the
//! differences that are explained.

use std::process::Command;

use anyhow::Context;
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
