//! Calls by the rule that counted for them: one thread's cells a rule, found when its table is built and gone with the
//! rule, and their sums as they are scraped.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
};

use prometheus_client::encoding::DescriptorEncoder;

use super::{
    DataMetrics, Outcomes,
    latency::{Sum, encode_histograms},
    render::{Labels, encode_counters},
};

/// One thread's counts of one rule.
#[derive(Debug)]
pub struct RouteMetrics {
    /// The service that is addressed.
    pub service: Arc<str>,
    /// The rule.
    pub route: Arc<str>,
    /// How its calls ended.
    pub outcomes: Outcomes,
}

impl DataMetrics {
    pub(crate) fn route(&self, service: &Arc<str>, route: &Arc<str>) -> Arc<RouteMetrics> {
        let cell = Arc::new(RouteMetrics {
            service: Arc::clone(service),
            route: Arc::clone(route),
            outcomes: Outcomes::default(),
        });
        let mut routes = self.routes.lock();
        routes.retain(|cell| cell.strong_count() > 0);
        routes.push(Arc::downgrade(&cell));
        cell
    }

    pub(super) fn encode_routes(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let cells: Vec<_> = self.routes.lock().iter().filter_map(Weak::upgrade).collect();
        let mut requests = BTreeMap::new();
        let mut latencies: BTreeMap<Labels<'_>, Sum> = BTreeMap::new();
        for cell in &cells {
            let labels = vec![("service", &*cell.service), ("route", &*cell.route)];
            cell.outcomes.add_to(&mut requests, &labels);
            latencies.entry(labels).or_default().add(&cell.outcomes.latency);
        }
        let help = "Requests that the rule counted for, by class of status and named failure";
        encode_counters(encoder, "weft_route_requests", help, requests)?;
        let help = "Time from a request's arrival to the end of its response, by the rule that counted";
        encode_histograms(encoder, "weft_route_duration_seconds", help, &latencies)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    #[test]
    fn a_rule_is_counted_and_forgotten_with_its_last_cell() {
        let metrics = Arc::new(DataMetrics::default());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&metrics)));
        let scrape = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        let cells = [(); 2].map(|()| metrics.route(&"orders.default".into(), &"canary".into()));
        cells.iter().for_each(|cell| cell.outcomes.observe(200, None, 7_000_000));
        let labels = r#"{service="orders.default",route="canary",code_class="2xx",error=""}"#;
        let line = format!("weft_route_requests_total{labels} 2\n");
        assert!(scrape().contains(&line), "{}", scrape());
        assert!(scrape().contains("weft_route_duration_seconds_count"), "{}", scrape());
        drop(cells);
        assert!(!scrape().contains("canary"), "{}", scrape());
    }
}
