//! Discovery of a sidecar that runs alone: the services of its file, and a plain no to every other name.

use tokio::sync::mpsc;
use weft_model::{endpoint::Endpoint, name::ServiceName};
use weft_runtime::drain::Watch;

use crate::table::{Demand, Demanded, Publisher};

/// Publishes the services and answers first dials until the drain begins.
pub(super) async fn serve(
    services: Vec<(ServiceName, Vec<Endpoint>)>,
    publisher: Publisher,
    mut demands: mpsc::Receiver<Demand>,
    drain: Watch,
) {
    publisher.update(services.into_iter().map(|(name, endpoints)| (name, Some(endpoints))));
    while let Some(Some(demand)) = drain.unless_draining(demands.recv()).await {
        let known = publisher.current().services.contains_key(&demand.service);
        // Who asked may have given up.
        let _gone = demand.reply.send(if known { Demanded::Known } else { Demanded::NoRoute });
    }
}

#[cfg(test)]
mod tests {
    use weft_runtime::drain::Drain;

    use super::*;
    use crate::table;

    #[tokio::test]
    async fn only_what_is_in_the_file_is_known() {
        let (directory, publisher, demands) = table::directory(table::Home::default());
        let drain = Drain::new();
        let known: ServiceName = "billing".parse().unwrap();
        let serving = serve(vec![(known.clone(), Vec::new())], publisher, demands, drain.watch());
        let asking = async {
            assert_eq!(directory.demand("orders".parse().unwrap()).await, Demanded::NoRoute);
            assert_eq!(directory.demand(known.clone()).await, Demanded::Known);
            assert!(directory.load().services.contains_key(&known));
            drain.begin();
        };
        tokio::join!(serving, asking);
    }
}
