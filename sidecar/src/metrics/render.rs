//! The sums, in the exposition format of Prometheus.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

use super::{
    DataMetrics, Ejection, ServiceMetrics,
    latency::{Sum, encode_histograms},
};
use crate::data::caller::Reason;

pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;
type Count = fn(&ServiceMetrics) -> &AtomicU64;

impl Collector for DataMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let services = self.services.lock().clone();
        encode_requests(&mut encoder, &services)?;
        super::codes::encode(&mut encoder, &services)?;
        encode_latency(&mut encoder, &services)?;
        super::resilience::encode(&mut encoder, &services)?;
        let counts: [(&str, &str, Count); 7] = [
            ("weft_retry_budget_exhausted", "Retries that the budget did not allow", |cell| {
                &cell.budget_exhausted
            }),
            ("weft_mirrored_requests", "Copies that mirrors were sent", |cell| &cell.mirrored),
            ("weft_mirrors_dropped", "Copies that were not sent", |cell| &cell.mirrors_dropped),
            ("weft_faults_injected", "Requests that a policy made wait or fail", |cell| &cell.faults),
            ("weft_requests_cancelled", "Requests that their caller gave up", |cell| &cell.cancelled),
            ("weft_received_bytes", "Body bytes from callers", |cell| &cell.received),
            ("weft_sent_bytes", "Body bytes to callers", |cell| &cell.sent),
        ];
        for (name, help, count) in counts {
            let mut sums = BTreeMap::new();
            for cell in &services {
                *sums.entry(by_service(cell)).or_insert(0) += count(cell).load(Relaxed);
            }
            encode_counters(&mut encoder, name, help, sums)?;
        }
        self.encode_routes(&mut encoder)?;
        self.encode_endpoints(&mut encoder)?;
        self.encode_connections(&mut encoder)?;
        self.encode_records(&mut encoder)
    }
}

impl DataMetrics {
    fn encode_endpoints(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let cells: Vec<_> = self.endpoints.lock().iter().filter_map(std::sync::Weak::upgrade).collect();
        let (mut requests, mut failures, mut ejections) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut latencies: BTreeMap<Labels<'_>, Sum> = BTreeMap::new();
        for cell in &cells {
            let labels = || vec![("service", &*cell.service), ("endpoint", &*cell.endpoint)];
            *requests.entry(labels()).or_insert(0) += cell.requests.load(Relaxed);
            *failures.entry(labels()).or_insert(0) += cell.failures.load(Relaxed);
            latencies.entry(labels()).or_default().add(&cell.latency);
            for (kind, count) in Ejection::ALL.into_iter().zip(&cell.ejections) {
                let count = count.load(Relaxed);
                if count > 0 {
                    let mut labels = labels();
                    labels.push(("kind", kind.as_str()));
                    *ejections.entry(labels).or_insert(0) += count;
                }
            }
        }
        encode_counters(encoder, "weft_endpoint_requests", "Attempts sent to an endpoint", requests)?;
        encode_counters(encoder, "weft_endpoint_failures", "Attempts that failed there", failures)?;
        let help = "Time from an attempt to the head of its answer";
        encode_histograms(encoder, "weft_endpoint_duration_seconds", help, &latencies)?;
        encode_counters(encoder, "weft_endpoint_ejections", "Times it was ejected", ejections)
    }

    fn encode_records(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let sum = |count: &AtomicU64| BTreeMap::from([(Labels::new(), count.load(Relaxed))]);
        let (name, help) = ("weft_access_records_dropped", "Records that found their queue full");
        encode_counters(encoder, name, help, sum(&self.records_dropped))?;
        let exported = sum(&self.spans.exported);
        encode_counters(encoder, "weft_spans_exported", "Spans that the collector has taken", exported)?;
        let lost = [("queue-full", &self.spans.overflowed), ("not-taken", &self.spans.refused)];
        let lost = lost.map(|(reason, count)| (vec![("reason", reason)], count.load(Relaxed)));
        encode_counters(encoder, "weft_spans_dropped", "Spans that were lost", lost.into())
    }

    fn encode_connections(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let cells = self.connections.lock().clone();
        let (mut opened, mut closed) = (BTreeMap::new(), BTreeMap::new());
        for cell in &cells {
            *opened.entry(vec![("kind", cell.kind)]).or_insert(0) += cell.opened.load(Relaxed);
            *closed.entry(vec![("kind", cell.kind)]).or_insert(0) += cell.closed.load(Relaxed);
        }
        encode_counters(encoder, "weft_connections_opened", "Connections opened", opened)?;
        encode_counters(encoder, "weft_connections_closed", "Connections closed", closed)?;
        let mut slow = BTreeMap::new();
        for (cell, (reason, count)) in cells
            .iter()
            .flat_map(|cell| Reason::ALL.into_iter().zip(&cell.slow).map(move |slow| (cell, slow)))
        {
            let count = count.load(Relaxed);
            if count > 0 {
                *slow.entry(vec![("kind", cell.kind), ("reason", reason.as_str())]).or_insert(0) += count;
            }
        }
        encode_counters(encoder, "weft_connections_timed_out", "Clients that were too slow, closed", slow)?;
        let held = cells.iter().map(|cell| cell.held.load(Relaxed)).sum();
        let held = BTreeMap::from([(Labels::new(), held)]);
        encode_counters(
            encoder,
            "weft_connections_held",
            "Times that new connections were kept waiting",
            held,
        )?;
        let hints = cells.iter().map(|cell| cell.informational.load(Relaxed)).sum();
        let hints = BTreeMap::from([(Labels::new(), hints)]);
        encode_counters(
            encoder,
            "weft_informational_responses_dropped",
            "Responses 102, 103 and the like, which are not passed on",
            hints,
        )
    }
}

pub(super) fn by_service(cell: &ServiceMetrics) -> Labels<'_> {
    vec![("direction", cell.direction.as_str()), ("service", &cell.service)]
}

fn encode_requests(
    encoder: &mut DescriptorEncoder,
    services: &[std::sync::Arc<ServiceMetrics>],
) -> fmt::Result {
    let mut sums = BTreeMap::new();
    for cell in services {
        cell.outcomes.add_to(&mut sums, &by_service(cell));
    }
    encode_counters(encoder, "weft_requests", "Requests by class of status and named failure", sums)
}

fn encode_latency(
    encoder: &mut DescriptorEncoder,
    services: &[std::sync::Arc<ServiceMetrics>],
) -> fmt::Result {
    let mut sums: BTreeMap<Labels<'_>, Sum> = BTreeMap::new();
    for cell in services {
        sums.entry(by_service(cell)).or_default().add(&cell.outcomes.latency);
    }
    let help = "Time from a request's arrival to the end of its response";
    encode_histograms(encoder, "weft_request_duration_seconds", help, &sums)
}

pub(super) fn encode_counters(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    sums: BTreeMap<Labels<'_>, u64>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, sum) in sums {
        encode_counter(&mut metric, &labels, sum)?;
    }
    Ok(())
}

pub(super) fn encode_gauges(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: BTreeMap<Labels<'_>, u64>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        if labels.is_empty() {
            metric.encode_gauge(&value)?;
        } else {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
    }
    Ok(())
}

fn encode_counter(metric: &mut MetricEncoder, labels: &Labels<'_>, sum: u64) -> fmt::Result {
    if labels.is_empty() {
        metric.encode_counter::<NoLabelSet, u64, u64>(&sum, None)
    } else {
        metric.encode_family(labels)?.encode_counter::<NoLabelSet, u64, u64>(&sum, None)
    }
}
