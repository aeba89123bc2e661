//! Waiting for a condition, with a deadline and a name.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::bail;

/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Looks until `look` gives a value; after `deadline`, an error that names `what` and the last reason.
///
/// # Errors
/// When the deadline is over.
pub async fn eventually<T, F, Fut>(what: &str, deadline: Duration, mut look: F) -> anyhow::Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
{
    let start = Instant::now();
    loop {
        let reason = match look().await {
            Ok(value) => return Ok(value),
            Err(reason) => reason,
        };
        if start.elapsed() > deadline {
            bail!("{what}: not within {deadline:?}: {reason:#}");
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
