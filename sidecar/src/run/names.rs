//! Waits for what must be known before a sidecar is ready: the names of `upstreams` and `subscribe`.

use std::time::Duration;

use weft_model::name::ServiceName;

use crate::{
    admin::readiness::PATIENCE,
    table::{Demanded, Directory},
};

/// Before a name is asked for again: an answer may be late, or, where too many wait, come at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Ends when every name is known, or known not to exist, or [`PATIENCE`] is over.
pub(super) async fn known(directory: &Directory, names: impl IntoIterator<Item = ServiceName>) {
    let all = async {
        for name in names {
            while !directory.load().services.contains_key(&name)
                && directory.demand(name.clone()).await == Demanded::Timeout
            {
                tracing::debug!(service = %name, "still unknown");
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        tracing::warn!(after = ?PATIENCE, "services of upstreams and subscribe are not known, going on without");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table;

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_not_waited_for() {
        let (directory, publisher, mut demands) = table::directory(table::Home::default());
        publisher.update([("here".parse().unwrap(), Some(Vec::<weft_model::endpoint::Endpoint>::new()))]);
        let names = ["here", "nowhere"].map(|name| name.parse().unwrap());
        let answering = async {
            let demand = demands.recv().await.unwrap();
            assert_eq!(demand.service, "nowhere".parse().unwrap());
            demand.reply.send(Demanded::NoRoute).unwrap();
        };
        tokio::join!(known(&directory, names), answering);
    }
}
