//! Messages over HTTP: published to an exchange, and taken from a queue. For a look and for a test; RabbitMQ says the
//! same: whoever needs throughput speaks AMQP.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Failure},
    context::Context,
    exchanges::real,
    request::{NOT_INTEGER, Request},
    visit::Visitor,
};
use crate::{
    amqp::reply::Refusal,
    server::clock::now_ms,
    vhost::{Blocked, Outcome, VisitPublish},
};

mod properties;
mod reply;
mod taker;

use taker::Taker;

/// Messages of one request at most.
const MESSAGES_MAX: u64 = 10_000;
/// Bytes of payloads of one answer at most: when there are so many, no further message is taken.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What `publish` sends.
#[derive(Debug, Deserialize)]
struct Publish {
    #[serde(default)]
    properties: Value,
    routing_key: String,
    payload: String,
    payload_encoding: String,
}

/// `POST /api/exchanges/vhost/name/publish`
pub(super) async fn publish(
    context: &Context,
    request: &Request,
    vhost: &str,
    exchange: &str,
) -> Result<Answer, Failure> {
    if request.method != Method::POST {
        return Err(Failure::Method("POST, OPTIONS"));
    }
    let handle = context.enter(request, vhost)?;
    if let Some(reason) = handle.with(|vhost| vhost.blocked()).await? {
        return Err(blocked(reason));
    }
    let sent: Publish = request.json()?;
    let body = match sent.payload_encoding.as_str() {
        "string" => sent.payload.into_bytes(),
        "base64" => STANDARD.decode(sent.payload).map_err(|error| Failure::Bad(error.to_string()))?,
        other => return Err(Failure::Because("unsupported_encoding", other.to_owned())),
    };
    let properties = properties::read(&sent.properties)?.encode();
    let (exchange, routing_key) = (real(exchange).to_owned(), sent.routing_key);
    let publish = VisitPublish { exchange, routing_key, properties, body: Bytes::from(body) };
    let visitor = Visitor::of(request);
    let published = handle
        .change(move |vhost| visitor.visit(vhost, |vhost, id| vhost.publish_visiting(id, publish, now_ms())));
    // A channel would be closed with these words.
    let refused = |refusal: Refusal| Failure::Bad(format!("{} {}", refusal.code().number(), refusal.text()));
    let outcome = published.await?.map_err(refused)?;
    match outcome {
        Outcome::Routed => Ok(Answer::Json(json!({"routed": true}))),
        Outcome::Unrouted => Ok(Answer::Json(json!({"routed": false}))),
        Outcome::Refused => Err(Failure::Bad("rejected: a queue is full".to_owned())),
        Outcome::Blocked(reason) => Err(blocked(reason)),
    }
}

/// A connection would have to wait; a request is told to come again.
fn blocked(reason: Blocked) -> Failure {
    Failure::Unavailable(format!("publishers are blocked: {}", reason.reason()))
}

/// What `get` sends.
#[derive(Debug, Deserialize)]
struct Get {
    #[serde(deserialize_with = "count")]
    count: u64,
    #[serde(default)]
    ackmode: Option<String>,
    /// Of versions before 3.7.
    #[serde(default)]
    requeue: Option<Value>,
    encoding: String,
    #[serde(default)]
    truncate: Option<Value>,
}

fn count<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let shown = || value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let wrong = || serde::de::Error::custom(format!("{NOT_INTEGER}: {}", shown()));
    whole(&value).ok_or_else(wrong)
}

/// A number, or the text of one, which the older `rabbitmqadmin` sends.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// What becomes of the messages afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Gone,
    Back,
    Rejected,
}

impl Get {
    fn then(&self) -> Result<Then, Failure> {
        let of_requeue = || match self.requeue.as_ref()? {
            Value::Bool(false) => Some("ack_requeue_false"),
            Value::String(text) if text == "false" => Some("ack_requeue_false"),
            _ => Some("ack_requeue_true"),
        };
        match self.ackmode.as_deref().or_else(of_requeue) {
            Some("ack_requeue_false") => Ok(Then::Gone),
            Some("ack_requeue_true" | "reject_requeue_true") => Ok(Then::Back),
            Some("reject_requeue_false") => Ok(Then::Rejected),
            Some(other) => Err(Failure::Bad(format!("unsupported ackmode: {other}"))),
            None => Err(Failure::Bad("[{key_missing,ackmode}]".to_owned())),
        }
    }

    fn is_base64(&self) -> Result<bool, Failure> {
        match self.encoding.as_str() {
            "auto" => Ok(false),
            "base64" => Ok(true),
            other => Err(Failure::Because("unsupported_encoding", other.to_owned())),
        }
    }
}

/// `POST /api/queues/vhost/name/get`
pub(super) async fn get(
    context: &Context,
    request: &Request,
    vhost: &str,
    queue: &str,
) -> Result<Answer, Failure> {
    if request.method != Method::POST {
        return Err(Failure::Method("POST, OPTIONS"));
    }
    let handle = context.enter(request, vhost)?;
    let asked: Get = request.json()?;
    let (then, is_base64) = (asked.then()?, asked.is_base64()?);
    let cut = asked.truncate.as_ref().and_then(whole).and_then(|bytes| usize::try_from(bytes).ok());
    let mut taker = Taker::enter(handle, Visitor::of(request)).await?;
    let (mut messages, mut bytes) = (Vec::new(), 0);
    let most = asked.count.min(MESSAGES_MAX);
    while (messages.len() as u64) < most && bytes < PAYLOAD_BYTES_MAX && taker.has_time() {
        let Some(got) = taker.take(queue).await? else { break };
        bytes += cut.map_or(got.body.len(), |cut| cut.min(got.body.len()));
        messages.push(got.show(is_base64, cut)?);
    }
    taker.finish(then).await?;
    Ok(Answer::Json(messages.into()))
}
