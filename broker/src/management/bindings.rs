//! `/api/bindings`: listed, made, taken away. A binding in a path is known by its `properties_key`: the key, and a
//! digest of its arguments where it has some.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    answer::{Answer, Failure, READ},
    context::{Context, gather},
    exchanges::real,
    paging,
    request::Request,
    text,
    visit::{self, as_user},
};
use crate::{
    access::json_table,
    amqp::{
        method::{Exchange, Method as Amqp, Queue, exchange, queue},
        table::{RawTable, encode_table},
        value::FieldTable,
    },
    exchange::topology::{End, NamedBinding},
    vhost::Vhost,
};

/// The methods of the bindings between two ends.
const READ_POST: &str = "HEAD, GET, POST, OPTIONS";
/// The methods of one binding.
const READ_DELETE: &str = "HEAD, GET, DELETE, OPTIONS";
/// The key of a binding without key and arguments.
const NO_KEY: &str = "~";
/// Bytes of the digest of arguments.
const DIGEST_BYTES: usize = 16;

/// Everything below `/api/bindings`.
pub(super) async fn handle(context: &Context, request: &Request, rest: &[&str]) -> Result<Answer, Failure> {
    match (&request.method, rest) {
        (&Method::GET, []) => list(context, request, None).await,
        (&Method::GET, [vhost]) => list(context, request, Some(vhost)).await,
        (_, [] | [_]) => Err(Failure::Method(READ)),
        (method, [vhost, "e", source, kind @ ("q" | "e"), destination, more @ ..]) => {
            let end = match *kind {
                "q" => End::Queue((*destination).into()),
                _ => End::Exchange(real(destination).into()),
            };
            let ends = Ends { vhost, source: real(source), end };
            match (method, more) {
                (&Method::GET, []) => ends.list(context, request).await,
                (&Method::POST, []) => ends.bind(context, request).await,
                (_, []) => Err(Failure::Method(READ_POST)),
                (&Method::GET, [key]) => ends.one(context, request, key).await,
                (&Method::DELETE, [key]) => ends.unbind(context, request, key).await,
                (_, [_]) => Err(Failure::Method(READ_DELETE)),
                _ => Err(Failure::NotFound),
            }
        }
        _ => Err(Failure::NotFound),
    }
}

async fn list(context: &Context, request: &Request, vhost: Option<&str>) -> Result<Answer, Failure> {
    let vhosts = context.seen_of(request, vhost)?;
    let bindings = gather(&vhosts, Vhost::binding_views).await;
    answer(request, bindings).await
}

/// The bindings that lead to something.
pub(super) async fn to(
    context: &Context,
    request: &Request,
    vhost: &str,
    end: End,
) -> Result<Answer, Failure> {
    let handle = context.see(request, vhost)?;
    let found = handle.with(move |vhost| vhost.bindings_of_destination(&end)).await?;
    answer(request, named(vhost, found.unwrap_or_default())).await
}

/// The bindings that leave an exchange.
pub(super) async fn from(
    context: &Context,
    request: &Request,
    vhost: &str,
    source: &str,
) -> Result<Answer, Failure> {
    let (handle, source) = (context.see(request, vhost)?, source.to_owned());
    let found = handle.with(move |vhost| vhost.bindings_of_source(&source)).await?;
    answer(request, named(vhost, found.unwrap_or_default())).await
}

fn named(vhost: &str, bindings: Vec<NamedBinding>) -> Vec<(Arc<str>, NamedBinding)> {
    let vhost: Arc<str> = vhost.into();
    bindings.into_iter().map(|binding| (Arc::clone(&vhost), binding)).collect()
}

async fn answer(request: &Request, bindings: Vec<(Arc<str>, NamedBinding)>) -> Result<Answer, Failure> {
    paging::list(&request.query, move || {
        bindings.iter().map(|(vhost, binding)| show(vhost, binding)).collect()
    })
    .await
}

/// What a path names.
struct Ends<'a> {
    vhost: &'a str,
    source: &'a str,
    end: End,
}

/// What `POST` sends.
#[derive(Debug, Deserialize)]
struct Wish {
    #[serde(default)]
    routing_key: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

impl Ends<'_> {
    async fn between(&self, context: &Context, request: &Request) -> Result<Vec<NamedBinding>, Failure> {
        let handle = context.see(request, self.vhost)?;
        let (end, source) = (self.end.clone(), self.source.to_owned());
        let found = handle
            .with(move |vhost| {
                vhost.exchange_view(&source)?;
                let bindings = vhost.bindings_of_destination(&end)?.into_iter();
                Some(bindings.filter(|binding| *binding.source == *source).collect())
            })
            .await?;
        // Between what is not there nothing is bound.
        Ok(found.unwrap_or_default())
    }

    async fn list(&self, context: &Context, request: &Request) -> Result<Answer, Failure> {
        let between = self.between(context, request).await?;
        answer(request, named(self.vhost, between)).await
    }

    async fn find(&self, context: &Context, request: &Request, key: &str) -> Result<NamedBinding, Failure> {
        let between = self.between(context, request).await?;
        let found = between.into_iter().find(|binding| properties_key(binding) == key);
        found.ok_or(Failure::NotFound)
    }

    async fn one(&self, context: &Context, request: &Request, key: &str) -> Result<Answer, Failure> {
        let binding = self.find(context, request, key).await?;
        paging::one(&request.query, &show(self.vhost, &binding))
    }

    async fn bind(&self, context: &Context, request: &Request) -> Result<Answer, Failure> {
        let wish: Wish = request.json()?;
        let handle = context.enter(request, self.vhost)?;
        let arguments =
            json_table::to_table(&wish.arguments).map_err(|error| Failure::Bad(error.to_string()))?;
        let key = key_of(&wish.routing_key, &sorted(&arguments));
        let (source, end) = (self.source.to_owned(), self.end.clone());
        let arguments = visit::wire(&arguments);
        as_user(&handle, request, move |vhost, id| {
            let method = bind_method(&source, &end, &wish.routing_key, RawTable::new(&arguments));
            visit::say(vhost, id, &method)
        })
        .await?;
        let destination = match &self.end {
            End::Queue(name) | End::Exchange(name) => name,
        };
        Ok(Answer::Created(Some(format!("{}/{}", text::encode(destination), text::encode(&key)))))
    }

    async fn unbind(&self, context: &Context, request: &Request, key: &str) -> Result<Answer, Failure> {
        let handle = context.enter(request, self.vhost)?;
        let binding = self.find(context, request, key).await?;
        let arguments = visit::wire(binding.arguments.table());
        as_user(&handle, request, move |vhost, id| {
            let arguments = RawTable::new(&arguments);
            let method = unbind_method(&binding.source, &binding.destination, &binding.key, arguments);
            visit::say(vhost, id, &method)
        })
        .await?;
        Ok(Answer::Done)
    }
}

/// `queue.bind` or `exchange.bind`.
pub(super) fn bind_method<'a>(
    source: &'a str,
    end: &'a End,
    routing_key: &'a str,
    arguments: RawTable<'a>,
) -> Amqp<'a> {
    match end {
        End::Queue(name) => {
            let bind = queue::Bind { queue: name, exchange: source, routing_key, no_wait: true, arguments };
            Amqp::Queue(Queue::Bind(bind))
        }
        End::Exchange(name) => {
            let bind = exchange::Bind { destination: name, source, routing_key, no_wait: true, arguments };
            Amqp::Exchange(Exchange::Bind(bind))
        }
    }
}

fn unbind_method<'a>(
    source: &'a str,
    end: &'a End,
    routing_key: &'a str,
    arguments: RawTable<'a>,
) -> Amqp<'a> {
    match end {
        End::Queue(name) => Amqp::Queue(Queue::Unbind(queue::Unbind {
            queue: name,
            exchange: source,
            routing_key,
            arguments,
        })),
        End::Exchange(name) => {
            let unbind =
                exchange::Unbind { destination: name, source, routing_key, no_wait: true, arguments };
            Amqp::Exchange(Exchange::Unbind(unbind))
        }
    }
}

/// A binding as RabbitMQ shows it.
fn show(vhost: &str, binding: &NamedBinding) -> Value {
    let (destination, kind) = match &binding.destination {
        End::Queue(name) => (name, "queue"),
        End::Exchange(name) => (name, "exchange"),
    };
    json!({
        "source": &*binding.source,
        "vhost": vhost,
        "destination": &**destination,
        "destination_type": kind,
        "routing_key": &*binding.key,
        "arguments": json_table::to_json(binding.arguments.table()),
        "properties_key": properties_key(binding),
    })
}

fn properties_key(binding: &NamedBinding) -> String {
    key_of(&binding.key, binding.arguments.table())
}

fn key_of(routing_key: &str, arguments: &FieldTable) -> String {
    if arguments.is_empty() {
        return if routing_key.is_empty() { NO_KEY.to_owned() } else { text::encode_plus(routing_key) };
    }
    let digest = Sha256::digest(encode_table(arguments));
    let digest = digest.as_slice().get(..DIGEST_BYTES).unwrap_or_default();
    format!("{}~{}", text::encode_plus(routing_key), URL_SAFE_NO_PAD.encode(digest))
}

/// Arguments as a binding keeps them.
fn sorted(arguments: &FieldTable) -> FieldTable {
    crate::exchange::arguments::Arguments::of(arguments).table().clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amqp::value::FieldValue;

    #[test]
    fn the_key_of_a_binding_tells_it_apart() {
        let mut arguments = FieldTable::new();
        assert_eq!(key_of("", &arguments), "~");
        assert_eq!(key_of("a.#", &arguments), "a.%23");
        arguments.set("x-match", FieldValue::text("any"));
        let any = key_of("", &arguments);
        assert!(any.starts_with('~') && any.len() > 10);
        arguments.set("x-match", FieldValue::text("all"));
        assert_ne!(key_of("", &arguments), any);
    }
}
