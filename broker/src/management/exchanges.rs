//! `/api/exchanges`: listed, declared, deleted.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Failure, READ, READ_PUT_DELETE},
    bindings,
    context::{Context, gather},
    json::Flag,
    paging,
    request::Request,
    visit::{self, as_user},
};
use crate::{
    access::json_table,
    amqp::{
        method::{Exchange, Method as Amqp, exchange},
        table::RawTable,
    },
    exchange::topology::End,
    vhost::{Vhost, views::ExchangeView},
};

/// What the API calls the default exchange in a path.
const DEFAULT: &str = "amq.default";

/// Everything below `/api/exchanges`, but publishing.
pub(super) async fn handle(context: &Context, request: &Request, rest: &[&str]) -> Result<Answer, Failure> {
    match (&request.method, rest) {
        (&Method::GET, []) => list(context, request, None).await,
        (&Method::GET, [vhost]) => list(context, request, Some(vhost)).await,
        (&Method::GET, [vhost, name]) => one(context, request, vhost, name).await,
        (&Method::PUT, [vhost, name]) => declare(context, request, vhost, name).await,
        (&Method::DELETE, [vhost, name]) => delete(context, request, vhost, name).await,
        (&Method::GET, [vhost, name, "bindings", "source"]) => {
            bindings::from(context, request, vhost, real(name)).await
        }
        (&Method::GET, [vhost, name, "bindings", "destination"]) => {
            bindings::to(context, request, vhost, End::Exchange(real(name).into())).await
        }
        (_, [_, _]) => Err(Failure::Method(READ_PUT_DELETE)),
        (_, [] | [_] | [_, _, "bindings", "source" | "destination"]) => Err(Failure::Method(READ)),
        _ => Err(Failure::NotFound),
    }
}

/// The name that a path means.
pub(super) fn real(name: &str) -> &str {
    if name == DEFAULT { "" } else { name }
}

async fn list(context: &Context, request: &Request, vhost: Option<&str>) -> Result<Answer, Failure> {
    let vhosts = context.seen_of(request, vhost)?;
    let exchanges = gather(&vhosts, Vhost::exchange_views).await;
    let render = move || exchanges.iter().map(|(vhost, exchange)| show(vhost, exchange)).collect();
    paging::list(&request.query, render).await
}

async fn one(context: &Context, request: &Request, vhost: &str, name: &str) -> Result<Answer, Failure> {
    let name = real(name).to_owned();
    let found = context.see(request, vhost)?.with(move |vhost| vhost.exchange_view(&name)).await?;
    paging::one(&request.query, &show(vhost, &found.ok_or(Failure::NotFound)?))
}

/// What `PUT` sends.
#[derive(Debug, Deserialize)]
struct Wish {
    #[serde(rename = "type", default = "direct")]
    kind: String,
    #[serde(default)]
    durable: Flag,
    #[serde(default)]
    auto_delete: Flag,
    #[serde(default)]
    internal: Flag,
    #[serde(default)]
    arguments: Map<String, Value>,
}

fn direct() -> String {
    "direct".to_owned()
}

async fn declare(context: &Context, request: &Request, vhost: &str, name: &str) -> Result<Answer, Failure> {
    let wish: Wish = request.json()?;
    let handle = context.enter(request, vhost)?;
    let arguments = json_table::to_table(&wish.arguments).map_err(|error| Failure::Bad(error.to_string()))?;
    let (name, arguments) = (real(name).to_owned(), visit::wire(&arguments));
    let is_new = as_user(&handle, request, move |vhost, id| {
        let is_new = !vhost.has_exchange(&name);
        let declare = exchange::Declare {
            exchange: &name,
            kind: &wish.kind,
            passive: false,
            durable: wish.durable.0,
            auto_delete: wish.auto_delete.0,
            internal: wish.internal.0,
            no_wait: true,
            arguments: RawTable::new(&arguments),
        };
        visit::say(vhost, id, &Amqp::Exchange(Exchange::Declare(declare)))?;
        Ok(is_new)
    });
    Ok(if is_new.await? { Answer::Created(None) } else { Answer::Done })
}

async fn delete(context: &Context, request: &Request, vhost: &str, name: &str) -> Result<Answer, Failure> {
    let handle = context.enter(request, vhost)?;
    let (name, if_unused) = (real(name).to_owned(), request.query.is_true("if-unused"));
    let was = as_user(&handle, request, move |vhost, id| {
        let was = vhost.has_exchange(&name);
        let delete = exchange::Delete { exchange: &name, if_unused, no_wait: true };
        visit::say(vhost, id, &Amqp::Exchange(Exchange::Delete(delete)))?;
        Ok(was)
    });
    was.await?.then_some(Answer::Done).ok_or(Failure::NotFound)
}

/// An exchange as RabbitMQ shows it.
fn show(vhost: &str, exchange: &ExchangeView) -> Value {
    let attributes = &exchange.attributes;
    let mut shown = json!({
        "name": exchange.name,
        "vhost": vhost,
        "type": attributes.kind.name(),
        "durable": attributes.durable,
        "auto_delete": attributes.auto_delete,
        "internal": attributes.internal,
        "arguments": json_table::to_json(&attributes.arguments),
        "user_who_performed_action": "rmq-internal",
    });
    if let (Value::Object(shown), Some(policy)) = (&mut shown, exchange.effective.name()) {
        shown.insert("policy".to_owned(), policy.into());
    }
    if let (Value::Object(shown), 1..) = (&mut shown, exchange.delayed) {
        shown.insert("messages_delayed".to_owned(), exchange.delayed.into());
    }
    shown
}
