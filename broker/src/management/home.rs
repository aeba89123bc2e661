//! The page at `/`: what this is, and where things are.

use super::{answer::Answer, context::Context};

/// The page.
pub(super) fn page(context: &Context) -> Answer {
    let facts = &context.shared.facts;
    let port = |address: Option<std::net::SocketAddr>| {
        address.map_or_else(|| "none".to_owned(), |address| address.to_string())
    };
    let node = escape(context.node());
    let (version, amqp) = (escape(&facts.version), port(facts.amqp));
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Weft broker</title></head><body>\n\
         <h1>Weft broker</h1>\n\
         <p>{node}, version {version}, AMQP 0-9-1 at {amqp}. It behaves as RabbitMQ {} does.</p>\n\
         <ul>\n\
         <li><a href=\"/api/overview\">/api/overview</a>: the HTTP API, as RabbitMQ's management plugin has it; \
         <code>rabbitmqadmin</code> works with it</li>\n\
         <li><a href=\"/metrics\">/metrics</a> and <a href=\"/metrics/per-object\">/metrics/per-object</a>: \
         for Prometheus</li>\n\
         </ul>\n</body></html>\n",
        crate::RABBITMQ_VERSION
    );
    Answer::Text("text/html; charset=utf-8", text)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
