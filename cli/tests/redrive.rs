//! `weft redrive` against a broker in this process: what goes back, what stays, and that nothing is lost between.

use std::{
    future::{Pending, pending},
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use weft::broker::{
    amqp::{Address, Amqp, Credentials, Event, Message},
    redrive::{
        self,
        job::{Job, Plan},
    },
};
use weft_broker::{
    amqp::{
        method::{Basic, Exchange, Method, Queue, basic, exchange, queue},
        table::{RawTable, encode_table},
        value::{FieldTable, FieldValue},
    },
    server::{Broker, BrokerConfig, Watermarks},
    vhost::VhostLimits,
};

/// For what has to happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// `delivery_mode` 2 and nothing else.
const PERSISTENT: &[u8] = &[0x10, 0, 2];

/// A broker with the queue `orders` behind the exchange `shop`, and its dead letters in `dead`.
/// The client goes first, or the broker would wait for its goodbye.
struct Fixture {
    client: Amqp,
    _broker: Broker,
    _data: tempfile::TempDir,
    address: SocketAddr,
}

impl Fixture {
    async fn start() -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let broker = Broker::start(BrokerConfig {
            data_dir: data.path().to_owned(),
            amqp: listener,
            management: None,
            node: "weft@test".to_owned(),
            version: "test".to_owned(),
            limits: VhostLimits::default(),
            watermarks: Watermarks::default(),
        })?;
        let client = connect(address).await?;
        let mut fixture = Self { client, _broker: broker, _data: data, address };
        fixture.declare().await?;
        Ok(fixture)
    }

    async fn declare(&mut self) -> anyhow::Result<()> {
        self.client.open_channel(1).await?;
        let exchange = exchange::Declare { exchange: "shop", kind: "topic", ..exchange::Declare::default() };
        self.client.call(1, &Method::Exchange(Exchange::Declare(exchange))).await?;
        self.queue("dead", &[]).await?;
        let to_dead = [("x-dead-letter-exchange", ""), ("x-dead-letter-routing-key", "dead")];
        self.queue("orders", &to_dead).await?;
        let bind =
            queue::Bind { queue: "orders", exchange: "shop", routing_key: "#", ..queue::Bind::default() };
        self.client.call(1, &Method::Queue(Queue::Bind(bind))).await?;
        Ok(())
    }

    async fn queue(&mut self, name: &str, arguments: &[(&str, &str)]) -> anyhow::Result<u64> {
        let arguments: FieldTable =
            arguments.iter().map(|(name, value)| ((*name).to_owned(), FieldValue::text(value))).collect();
        let arguments = encode_table(&arguments);
        let declare = queue::Declare {
            queue: name,
            durable: true,
            arguments: RawTable::new(&arguments),
            ..queue::Declare::default()
        };
        match self.client.call(1, &Method::Queue(Queue::Declare(declare))).await? {
            Event::Queue { messages } => Ok(messages),
            event => anyhow::bail!("queue {name}: {event:?}"),
        }
    }

    /// Publishes with these keys, and lets each die in `orders`.
    async fn let_die(&mut self, keys: &[&str]) -> anyhow::Result<()> {
        for key in keys {
            let publish = basic::Publish { exchange: "shop", routing_key: key, ..basic::Publish::default() };
            self.client.publish(1, &publish, PERSISTENT, key.as_bytes());
        }
        for _ in keys {
            let (tag, _) = self.get("orders").await?;
            let reject = basic::Reject { delivery_tag: tag, requeue: false };
            self.client.send(1, &Method::Basic(Basic::Reject(reject)));
        }
        self.wait_for("dead", keys.len() as u64).await
    }

    async fn get(&mut self, queue: &str) -> anyhow::Result<(u64, Message)> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            self.client.send(1, &Method::Basic(Basic::Get(basic::Get { queue, no_ack: false })));
            match self.client.next().await? {
                Event::Got { tag, message } => return Ok((tag, message)),
                Event::Empty => tokio::time::sleep(Duration::from_millis(10)).await,
                event => anyhow::bail!("a message of {queue}: {event:?}"),
            }
        }
        anyhow::bail!("no message came to {queue}")
    }

    /// Bodies of all that waits, in its order.
    async fn bodies(&mut self, queue: &str, count: u64) -> anyhow::Result<Vec<String>> {
        let mut bodies = Vec::new();
        for _ in 0..count {
            bodies.push(String::from_utf8(self.get(queue).await?.1.body)?);
        }
        Ok(bodies)
    }

    /// Asks with the very arguments of before, which is how one asks without a passive declaration.
    async fn wait_for(&mut self, queue: &'static str, count: u64) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        let to_dead = [("x-dead-letter-exchange", ""), ("x-dead-letter-routing-key", "dead")];
        let arguments: &[_] = if queue == "orders" { &to_dead } else { &[] };
        let mut found = self.queue(queue, arguments).await?;
        while found != count && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
            found = self.queue(queue, arguments).await?;
        }
        anyhow::ensure!(found == count, "{found} messages in {queue}, not {count}");
        Ok(())
    }

    async fn redrive(&self, plan: Plan) -> anyhow::Result<Option<Job>> {
        let plan = Plan { queue: "dead".to_owned(), user: "guest".to_owned(), ..plan };
        let never: Pending<()> = pending();
        Ok(redrive::run(connect(self.address).await?, plan, never, |_| {}).await?)
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<Amqp> {
    let credentials = Credentials { user: "guest", password: "guest", vhost: "/" };
    Ok(Amqp::connect(Address::find(Some(&address.to_string())), credentials).await?)
}

fn done(job: Option<Job>) -> anyhow::Result<Job> {
    job.ok_or_else(|| anyhow::anyhow!("there is no such queue"))
}

#[tokio::test]
async fn dead_letters_go_back_through_their_exchange_without_their_death() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.let_die(&["eu.new", "us.new", "eu.old"]).await?;
    let job = done(fixture.redrive(Plan::default()).await?)?;
    assert_eq!((job.tally().total().redriven, job.held()), (3, 0));
    fixture.wait_for("dead", 0).await?;
    fixture.wait_for("orders", 3).await?;
    let (_, message) = fixture.get("orders").await?;
    assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("shop", "eu.new"));
    assert_eq!(message.properties, PERSISTENT);
    Ok(())
}

#[tokio::test]
async fn what_a_filter_leaves_keeps_its_place() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.let_die(&["us.1", "eu.1", "us.2", "eu.2", "us.3"]).await?;
    let filters = vec!["routing-key=eu.*".parse().map_err(anyhow::Error::msg)?];
    let job = done(fixture.redrive(Plan { filters, to_queue: true, ..Plan::default() }).await?)?;
    let total = job.tally().total();
    assert_eq!((total.redriven, total.filtered), (2, 3));
    fixture.wait_for("dead", 3).await?;
    assert_eq!(fixture.bodies("dead", 3).await?, ["us.1", "us.2", "us.3"]);
    assert_eq!(fixture.bodies("orders", 2).await?, ["eu.1", "eu.2"]);
    Ok(())
}

#[tokio::test]
async fn what_no_queue_takes_stays() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.let_die(&["a", "b", "c"]).await?;
    let unbind =
        queue::Unbind { queue: "orders", exchange: "shop", routing_key: "#", ..queue::Unbind::default() };
    fixture.client.send(1, &Method::Queue(Queue::Unbind(unbind)));
    fixture.wait_for("orders", 0).await?;
    let returned = done(fixture.redrive(Plan::default()).await?)?;
    assert_eq!((returned.tally().total().unroutable, returned.held()), (3, 3));
    let delete = exchange::Delete { exchange: "shop", ..exchange::Delete::default() };
    fixture.client.call(1, &Method::Exchange(Exchange::Delete(delete))).await?;
    let without_exchange = done(fixture.redrive(Plan::default()).await?)?;
    assert_eq!(without_exchange.tally().total().unroutable, 3);
    fixture.wait_for("dead", 3).await?;
    assert_eq!(fixture.bodies("dead", 3).await?, ["a", "b", "c"]);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_moves_nothing_and_a_limit_ends_it() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.let_die(&["a", "b", "c"]).await?;
    let looked = done(fixture.redrive(Plan { dry_run: true, ..Plan::default() }).await?)?;
    assert_eq!(looked.tally().total().redriven, 3);
    fixture.wait_for("dead", 3).await?;
    let limited = done(fixture.redrive(Plan { limit: Some(2), ..Plan::default() }).await?)?;
    assert_eq!(limited.tally().total().redriven, 2);
    fixture.wait_for("dead", 1).await?;
    assert_eq!(fixture.bodies("orders", 2).await?, ["a", "b"]);
    Ok(())
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_no_error() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let plan = Plan { queue: "nothing".to_owned(), ..Plan::default() };
    let job = redrive::run(connect(fixture.address).await?, plan, pending(), |_| {}).await?;
    assert!(job.is_none());
    Ok(())
}
