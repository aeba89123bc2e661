//! kosoku runs the Autobahn cases for WebSocket through two sidecars: see `tests/interop/websocket_cases.py`.

use std::process::Command;

use weft_tests::{ControlPlane, Sidecar, interop};

#[tokio::test]
async fn the_autobahn_cases_pass_as_without_anything_between() -> anyhow::Result<()> {
    let Some(python) = interop::python("the_autobahn_cases_pass_as_without_anything_between") else {
        return Ok(());
    };
    let dir = tempfile::tempdir()?;
    let control = ControlPlane::start(dir.path()).await?;
    let control_plane = format!("http://{}", control.grpc);
    let (program, script) =
        (python.display().to_string(), interop::script("websocket_cases.py").display().to_string());
    let server = [
        ["--control-plane", &control_plane, "--service", "echo", "--instance", "echo-1"].as_slice(),
        ["--", &program, &script, "serve"].as_slice(),
    ]
    .concat();
    let _server = Sidecar::start(dir.path(), "echo-1", &server).await?;
    control.wait_passing("echo", 1).await?;
    let caller =
        Sidecar::start(dir.path(), "caller", &["--control-plane", &control_plane, "--upstream", "echo=0"])
            .await?;
    let mut command = Command::new(python);
    command.arg(script).args(["call", &caller.upstream("echo")?.to_string()]);
    tokio::task::spawn_blocking(move || interop::run(&mut command)).await??;
    Ok(())
}
