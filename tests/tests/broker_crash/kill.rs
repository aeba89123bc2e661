//! `kill -9` at random moments, again and again on one directory.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tempfile::TempDir;
use weft_tests::{Broker, Scale};

use crate::work::Work;

#[tokio::test]
async fn heavy_a_killed_broker_loses_nothing_it_confirmed() -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let mut broker = Broker::start(dir.path()).await?;
    let work = Work::prepare(broker.amqp).await?;
    let kills = Scale::current().pick(5, 100);
    for kill in 1..=kills {
        let life = work.begin(broker.amqp);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..1_500))).await;
        let life = life.check_alive().with_context(|| format!("before kill {kill}"))?;
        let at = Instant::now();
        broker.kill9()?;
        life.end().await?;
        work.ledger().ended(at);
        broker.restart().await.with_context(|| format!("after kill {kill}"))?;
        work.ledger().verdict().with_context(|| format!("at kill {kill}"))?;
    }
    work.finish(broker.amqp).await?;
    let ledger = work.ledger();
    let (confirms, deliveries, returns) = (ledger.confirms, ledger.deliveries, ledger.returns);
    println!("{kills} kills, {confirms} confirmed, {deliveries} delivered, {returns} of them again");
    Ok(())
}
