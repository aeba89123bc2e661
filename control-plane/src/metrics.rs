//! What the registry and the discovery streams count, as Prometheus reads it. It reads atomics at a scrape and
//! knows neither HTTP nor what the counts are good for. The names are listed in `docs/metrics.md`.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry as Exposition,
};

use crate::{
    discovery::{DiscoveryStats, Sidecars},
    registry::{Registry, RegistryStats, stats::Counter},
};

/// Registers what `registry` and `sidecars` count, all beginning with `weft_`.
pub fn register(exposition: &mut Exposition, registry: Registry, sidecars: Sidecars) {
    let counts = Counts { registry, sidecars };
    exposition.sub_registry_with_prefix("weft").register_collector(Box::new(counts));
}

#[derive(Debug)]
struct Counts {
    registry: Registry,
    sidecars: Sidecars,
}

impl Collector for Counts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let registry = registry_counters(self.registry.stats());
        let discovery = discovery_counters(self.sidecars.stats());
        for (name, help, counter) in registry.into_iter().chain(discovery) {
            let counter = ConstCounter::new(counter.value());
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let stats = self.sidecars.stats();
        let ended = stats.streams_ended.value();
        let open = stats.streams_opened.value().saturating_sub(ended);
        let open = ConstGauge::new(i64::try_from(open).unwrap_or(i64::MAX));
        let name = "discovery_streams";
        open.encode(encoder.encode_descriptor(name, "Open discovery streams", None, open.metric_type())?)
    }
}

/// Name, help, count.
type Described<'a> = (&'static str, &'static str, &'a Counter);

fn registry_counters(stats: &RegistryStats) -> [Described<'_>; 10] {
    [
        ("registry_transitions", "Checks that changed what they say", &stats.transitions),
        ("registry_lease_expiries", "Leases of sidecars that ran out", &stats.lease_expiries),
        ("registry_ttl_expiries", "TTL checks not reported to in time", &stats.ttl_expiries),
        ("registry_late_protections", "Holds of leases for own lateness", &stats.late_protections),
        ("registry_mass_protections", "Holds of leases that would end together", &stats.mass_protections),
        ("registry_deregistrations", "Instances removed after long critical", &stats.deregistrations),
        ("registry_store_errors", "Commits that the store refused", &stats.store_errors),
        ("registry_store_stalls", "Commits that health did not wait for", &stats.store_stalls),
        ("registry_records_skipped", "Unreadable records of the store", &stats.records_skipped),
        ("registry_publications", "Catalogs shown to readers", &stats.publications),
    ]
}

fn discovery_counters(stats: &DiscoveryStats) -> [Described<'_>; 8] {
    [
        ("discovery_streams_opened", "Discovery streams taken", &stats.streams_opened),
        ("discovery_streams_refused", "Discovery streams ended for what they said", &stats.streams_refused),
        ("discovery_responses_sent", "Responses written to streams", &stats.responses_sent),
        ("discovery_resources_sent", "Resources written to streams", &stats.resources_sent),
        ("discovery_removals_sent", "Removals written to streams", &stats.removals_sent),
        ("discovery_nacks", "Responses of which something was refused", &stats.nacks),
        ("discovery_resyncs", "Services that a sidecar was asked to sync", &stats.resyncs),
        ("discovery_attaches_refused", "Sidecars that were not taken in", &stats.attaches_refused),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{registry::RegistryOptions, store::MemoryStore};

    #[tokio::test]
    async fn every_count_is_shown_and_listed_in_the_docs() {
        let options = RegistryOptions::default();
        let (registry, _task) = Registry::start(MemoryStore::new(), options).await.unwrap();
        let mut exposition = Exposition::default();
        crate::http::metrics::Metrics::register(&mut exposition);
        register(&mut exposition, registry, Sidecars::default());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &exposition).unwrap();
        let listed = include_str!("../../docs/metrics.md");
        let types: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(types.len() > 20, "{types:?}");
        for name in types.iter().filter_map(|line| line.split(' ').next()) {
            assert!(name.starts_with("weft_"), "{name}");
            assert!(listed.contains(&format!("`{name}")), "docs/metrics.md does not list {name}");
        }
        assert!(text.contains("weft_registry_lease_expiries_total 0"), "{text}");
    }
}
