//! The gRPC example, run by `weft up`: each of the four kinds of call goes through two sidecars, and unary
//! calls over one connection are shared out between the replicas.

use std::process::Command;

use anyhow::ensure;
use weft_tests::{process::binary, up::Up};

#[tokio::test]
async fn four_kinds_of_call_reach_both_replicas() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut up = Up::start(dir.path(), "examples/grpc/weft.yaml").await?;
    let client = Command::new(binary("weft-example-grpc")?)
        .args(["client", "--outbound", &format!("http://{}", up.edge()?)])
        .args(["--unary", "30", "--count", "5", "--interval-ms", "1"])
        .output()?;
    let text = String::from_utf8_lossy(&client.stdout).into_owned();
    ensure!(client.status.success(), "{text}{}", String::from_utf8_lossy(&client.stderr));
    let of = |call: &str| text.lines().filter(|line| line.starts_with(call)).count();
    assert_eq!((of("current"), of("watch"), of("report"), of("chat")), (30, 5, 1, 3), "{text}");
    for replica in ["weather-1", "weather-2"] {
        let served = text.lines().filter(|line| line.starts_with("current") && line.ends_with(replica));
        assert!(served.count() > 0, "{replica} was never called:\n{text}");
    }
    assert!(up.process().stop()?.success());
    Ok(())
}
