//! `/metrics/detailed`: families of metrics of each thing, as they are asked for with `family`, of the virtual hosts
//! that are named with `vhost`, or of all. RabbitMQ: "Prometheus: detailed endpoint".

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Node, about, columns,
    page::{Column, GAUGE, Page, label},
    queue_labels, states,
};
use crate::{
    management::{
        answer::Failure,
        context::{Context, blocking, gather},
        overview,
        text::Query,
    },
    server::VhostHandle,
    vhost::{
        Vhost,
        views::{ChannelView, ConnectionView, ExchangeView, QueueView, Totals},
    },
};

/// How names begin.
const PREFIX: &str = "rabbitmq_detailed_";

/// A family, and what it has.
type Family<V> = (&'static str, &'static [Column<V>]);

const OF_QUEUES: &[Family<QueueView>] = &[
    ("queue_coarse_metrics", columns::COARSE),
    ("queue_consumer_count", columns::CONSUMERS),
    ("queue_metrics", columns::CONSUMERS),
    ("queue_metrics", columns::QUEUE),
    ("queue_delivery_metrics", columns::DELIVERY),
    ("channel_queue_exchange_metrics", columns::PUBLISHED),
];
const OF_CONNECTIONS: &[Family<ConnectionView>] =
    &[("connection_coarse_metrics", columns::CONNECTION_COARSE), ("connection_metrics", columns::CONNECTION)];
const OF_CHANNELS: &[Family<ChannelView>] =
    &[("channel_metrics", columns::CHANNEL), ("channel_exchange_metrics", columns::CHANNEL_EXCHANGE)];
const OF_SUMS: &[Family<Totals>] = &[("connection_churn_metrics", columns::CHURN)];
const OF_NODE: &[Family<Node>] =
    &[("node_coarse_metrics", columns::NODE_COARSE), ("node_metrics", columns::NODE)];

/// What is asked for.
#[derive(Debug)]
struct Wanted {
    families: BTreeSet<String>,
    vhosts: BTreeSet<String>,
}

impl Wanted {
    fn of(query: &Query) -> Self {
        let mut families: BTreeSet<String> = query.all("family").map(str::to_owned).collect();
        if families.contains("queue_metrics") {
            // It has those, too.
            families.remove("queue_consumer_count");
        }
        Self { families, vhosts: query.all("vhost").map(str::to_owned).collect() }
    }

    fn family(&self, name: &str) -> bool {
        self.families.contains(name)
    }

    fn vhost(&self, name: &str) -> bool {
        self.vhosts.is_empty() || self.vhosts.contains(name)
    }

    fn columns<V>(&self, families: &[Family<V>]) -> Vec<&'static [Column<V>]> {
        families.iter().filter(|(name, _)| self.family(name)).map(|(_, columns)| *columns).collect()
    }
}

/// The page.
pub(super) async fn page(context: &Context, query: &Query) -> Result<String, Failure> {
    let wanted = Wanted::of(query);
    let mut page = Page::default();
    about(&mut page, context, "detailed");
    add_node(&mut page, context, &wanted).await?;
    let vhosts: Vec<VhostHandle> =
        context.shared.vhosts().into_iter().filter(|vhost| wanted.vhost(vhost.name())).collect();
    let columns = wanted.columns(OF_QUEUES);
    if !columns.is_empty() {
        page = rows(page, columns, gather(&vhosts, Vhost::queue_views).await, queue_labels).await?;
    }
    let columns = wanted.columns(OF_CONNECTIONS);
    if !columns.is_empty() {
        page = rows(page, columns, gather(&vhosts, Vhost::connection_views).await, connection_labels).await?;
    }
    let columns = wanted.columns(OF_CHANNELS);
    if !columns.is_empty() {
        page = rows(page, columns, gather(&vhosts, Vhost::channel_views).await, channel_labels).await?;
    }
    if wanted.family("vhost_status") {
        add_states(&mut page, context, &wanted);
    }
    if wanted.family("exchange_names") {
        add_exchanges(&mut page, &gather(&vhosts, Vhost::exchange_views).await);
    }
    Ok(page.0)
}

/// What belongs to no virtual host.
async fn add_node(page: &mut Page, context: &Context, wanted: &Wanted) -> Result<(), Failure> {
    let of_node = wanted.columns(OF_NODE);
    if !of_node.is_empty() {
        let node = [(String::new(), Node::now(context).await?)];
        of_node.into_iter().for_each(|columns| page.rows(PREFIX, columns, &node));
    }
    let of_sums = wanted.columns(OF_SUMS);
    if !of_sums.is_empty() {
        let totals = overview::totals(&context.shared.vhosts()).await;
        let sum = [(String::new(), overview::sum(totals.iter().map(|(_, totals)| totals)))];
        of_sums.into_iter().for_each(|columns| page.rows(PREFIX, columns, &sum));
    }
    Ok(())
}

/// Renders what may be long off the threads that serve.
async fn rows<V: Send + 'static>(
    mut page: Page,
    wanted: Vec<&'static [Column<V>]>,
    values: Vec<(Arc<str>, V)>,
    labels: fn(&str, &V) -> String,
) -> Result<Page, Failure> {
    let render = move || {
        let rows: Vec<(String, V)> =
            values.into_iter().map(|(vhost, value)| (labels(&vhost, &value), value)).collect();
        for columns in wanted {
            page.rows(PREFIX, columns, &rows);
        }
        page
    };
    blocking(render).await
}

fn connection_labels(vhost: &str, connection: &ConnectionView) -> String {
    format!("vhost=\"{}\",connection=\"{}\"", label(vhost), label(&connection.name))
}

fn channel_labels(vhost: &str, channel: &ChannelView) -> String {
    let connection = label(&channel.peer.connection);
    format!("vhost=\"{}\",channel=\"{connection} ({})\"", label(vhost), channel.number)
}

fn add_states(page: &mut Page, context: &Context, wanted: &Wanted) {
    let name = "rabbitmq_cluster_vhost_status";
    page.head(name, GAUGE, "1 if the virtual host runs");
    for (vhost, handle) in states(context).iter().filter(|(vhost, _)| wanted.vhost(vhost)) {
        page.value(name, &format!("vhost=\"{}\"", label(vhost)), handle.is_some().into());
    }
}

fn add_exchanges(page: &mut Page, exchanges: &[(Arc<str>, ExchangeView)]) {
    let name = "rabbitmq_cluster_exchange_name";
    page.head(name, GAUGE, "1 for each exchange");
    for (vhost, exchange) in exchanges {
        let kind = exchange.attributes.kind.name();
        let labels =
            format!("vhost=\"{}\",exchange=\"{}\",type=\"{kind}\"", label(vhost), label(&exchange.name));
        page.value(name, &labels, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_asked_for_by_its_name_and_nothing_comes_unasked() {
        let wanted = |query: &str| Wanted::of(&Query::parse(query));
        assert!(wanted("").columns(OF_QUEUES).is_empty());
        let both = wanted("family=queue_metrics&family=queue_consumer_count&vhost=a");
        let names: Vec<&str> =
            both.columns(OF_QUEUES).into_iter().flatten().map(|(name, ..)| *name).collect();
        assert_eq!(names.iter().filter(|name| **name == "queue_consumers").count(), 1);
        assert!(both.vhost("a") && !both.vhost("b") && wanted("").vhost("b"));
    }
}
