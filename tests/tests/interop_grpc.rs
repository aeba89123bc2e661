//! grpcio, a gRPC client that is none of ours, calls a grpcio server through two sidecars: what it must see is in
//! `tests/interop/grpc_stream.py`, a case a test.

use std::process::Command;

use weft_tests::{ControlPlane, Sidecar, interop};

const SCRIPT: &str = "grpc_stream.py";

/// Starts a control plane, the server behind its sidecar and a sidecar for the caller, and runs one case.
async fn case(name: &str) -> anyhow::Result<()> {
    let Some(python) = interop::python(name) else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let control = ControlPlane::start(dir.path()).await?;
    let control_plane = format!("http://{}", control.grpc);
    let (program, script) = (python.display().to_string(), interop::script(SCRIPT).display().to_string());
    let server = [
        ["--control-plane", &control_plane, "--service", "streams", "--instance", "streams-1"].as_slice(),
        ["--check", "grpc", "--", &program, &script, "serve"].as_slice(),
    ]
    .concat();
    let _server = Sidecar::start(dir.path(), "streams-1", &server).await?;
    control.wait_passing("streams", 1).await?;
    let caller = Sidecar::start(dir.path(), "caller", &["--control-plane", &control_plane]).await?;
    let mut command = Command::new(python);
    command.arg(script).args(["call", name, &caller.outbound.to_string(), "streams"]);
    tokio::task::spawn_blocking(move || interop::run(&mut command)).await??;
    Ok(())
}

macro_rules! cases {
    ($($name:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $name() -> anyhow::Result<()> {
            case(stringify!($name)).await
        }
    )+};
}

cases! {
    messages_go_both_ways,
    each_message_is_answered_before_the_next,
    a_status_and_trailers_arrive,
    a_status_without_a_message_arrives,
    an_unknown_method_is_refused_by_the_application,
    a_cancellation_reaches_the_application,
    a_deadline_ends_the_call,
    a_slow_reader_holds_the_sender_back,
    a_large_upload_arrives_whole,
    health_is_told_once_and_watched,
    reflection_shows_what_is_served,
}
