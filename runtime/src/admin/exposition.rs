//! The two text formats of `/metrics`: OpenMetrics as the client library writes it, and the older one of
//! Prometheus (`text/plain; version=0.0.4`), made from it, for scrapers that ask for no other.

use std::fmt;

use prometheus_client::{encoding::text, registry::Registry};

/// The content type of OpenMetrics 1.0.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of Prometheus's own text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics, in the format that this `Accept` header asks for: content type and text.
///
/// # Errors
/// When a metric cannot be written.
pub fn render(registry: &Registry, accept: &str) -> Result<(&'static str, String), fmt::Error> {
    let mut encoded = String::new();
    text::encode(&mut encoded, registry)?;
    Ok(match Format::accepted(accept) {
        Format::OpenMetrics => (OPEN_METRICS, encoded),
        Format::Prometheus => (PROMETHEUS, to_prometheus(&encoded)),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    OpenMetrics,
    Prometheus,
}

impl Format {
    /// OpenMetrics only for who names it, as Prometheus does: `curl` and people get the older one.
    fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// The older format knows no `UNIT` and no `EOF`, no `info` and no `unknown`; and its families of counters
/// carry the `_total` of their samples in their name.
fn to_prometheus(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    // HELP stands before TYPE, which decides the name.
    let mut help: Option<&str> = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, text)| text);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some(help) = help.take() {
                out.push_str(&format!("# HELP {name}{suffix} {help}\n"));
            }
            out.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            // An exemplar follows the sample after ` # `, which the older format lacks.
            out.push_str(line.split_once(" # {").map_or(line, |(sample, _)| sample));
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_is_what_its_parsers_take() {
        let open = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
                    a_seconds_total{x=\"# y\"} 1 # {trace=\"t\"} 1\n# HELP b What.\n# TYPE b info\nb_info{v=\"1\"} 1\n# EOF\n";
        assert_eq!(
            to_prometheus(open),
            "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\na_seconds_total{x=\"# y\"} 1\n\
             # HELP b_info What.\n# TYPE b_info gauge\nb_info{v=\"1\"} 1\n"
        );
    }

    #[test]
    fn prometheus_gets_open_metrics_and_curl_the_older_format() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        assert_eq!(Format::accepted("*/*"), Format::Prometheus);
    }
}
