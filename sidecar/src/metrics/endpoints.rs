//! What the table says of services and their endpoints at this moment: read from the shared words when it is scraped, and
//! nothing that a request pays for. A service or an endpoint that is gone has no line.

use std::{collections::BTreeMap, fmt, sync::atomic::Ordering::Relaxed};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use weft_model::budget;

use super::render::{Labels, encode_gauges};
use crate::{
    clock,
    table::{Directory, ServiceTable, TableEndpoint},
};

/// Register it as a collector.
#[derive(Debug)]
pub struct TableMetrics(pub Directory);

/// One service, with names that labels can borrow.
struct Seen {
    name: String,
    endpoints: Vec<(String, &'static str, u64)>,
    budget_left: u64,
}

impl Seen {
    fn of(service: &ServiceTable, now: u64) -> Self {
        let policy = &service.policy.retry.budget;
        let endpoints = service.endpoints.iter().map(|known| {
            let key = &known.endpoint.key;
            let name = format!("{}/{}", key.node, key.id);
            (name, state(known, now), known.cell.in_flight.load(Relaxed).into())
        });
        Self {
            name: service.name.to_string(),
            endpoints: endpoints.collect(),
            budget_left: budget::left(service.cell.budget.load(Relaxed), clock::ms(now), policy).into(),
        }
    }
}

impl Collector for TableMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (table, now) = (self.0.load(), clock::now());
        let services: Vec<_> = table.services.values().map(|service| Seen::of(service, now)).collect();
        let (mut states, mut in_flight, mut budgets) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for service in &services {
            let by = || -> Labels<'_> { vec![("service", &*service.name)] };
            budgets.insert(by(), service.budget_left);
            for state in ["open", "ejected", "critical"] {
                let count = service.endpoints.iter().filter(|(_, is, _)| *is == state).count();
                states.insert([by(), vec![("state", state)]].concat(), count as u64);
            }
            for (name, _, count) in &service.endpoints {
                in_flight.insert([by(), vec![("endpoint", &**name)]].concat(), *count);
            }
        }
        let version = BTreeMap::from([(Labels::new(), table.version)]);
        for (name, help, sums) in [
            ("weft_endpoints", "Endpoints that may be called, are ejected here, or critical for all", states),
            ("weft_endpoint_in_flight", "Requests under way there from this sidecar", in_flight),
            ("weft_retry_budget_left", "Retries that the budget pays for now", budgets),
            ("weft_table_version", "Of the table that calls are decided by", version),
        ] {
            encode_gauges(&mut encoder, name, help, sums)?;
        }
        Ok(())
    }
}

fn state(known: &TableEndpoint, now: u64) -> &'static str {
    if !known.endpoint.health.is_callable() {
        "critical"
    } else if known.cell.ejected_until.load(Relaxed) > now {
        "ejected"
    } else {
        "open"
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;
    use crate::{
        metrics::DataMetrics,
        table::{Home, directory},
    };

    #[test]
    fn every_count_of_a_sidecar_is_listed_in_the_docs_and_every_listed_one_is_shown() {
        let (directory, _publisher, _demands) = directory(Home::default());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::<DataMetrics>::default()));
        registry.register_collector(Box::new(TableMetrics(directory)));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let shown: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let docs = include_str!("../../../docs/metrics.md");
        let section = docs.split("## Of the control plane").next().unwrap();
        let listed: Vec<_> =
            section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert!(shown.len() > 30 && !shown.iter().any(|name| !listed.contains(name)), "{shown:?} {listed:?}");
        assert!(!listed.iter().any(|name| !shown.contains(name)), "{shown:?} {listed:?}");
    }
}
