//! `/api/definitions`: all that was declared, out as one document and back in. Imports add to what is there: a queue or
//! an exchange of that name stays as it is, as in RabbitMQ. Users and virtual hosts come first, then policies, queues, exchanges, bindings.

use http::Method;

use super::{
    answer::{Answer, Failure},
    context::{Context, blocking, gather_of},
    login,
    request::Request,
};
use crate::{
    RABBITMQ_VERSION,
    access::{
        definitions::{BindingDefinition, Definitions, ExchangeDefinition, QueueDefinition},
        json_table,
    },
    exchange::topology::{End, NamedBinding},
    server::VhostHandle,
    vhost::{
        Vhost,
        views::{ExchangeView, QueueView},
    },
};

mod import;

use import::import;

/// The methods of both.
const READ_POST: &str = "HEAD, GET, POST, OPTIONS";

/// Everything below `/api/definitions`.
pub(super) async fn handle(context: &Context, request: &Request, rest: &[&str]) -> Result<Answer, Failure> {
    match (&request.method, rest) {
        (&Method::GET, []) => {
            login::administrator(&request.user)?;
            export(context).await
        }
        (&Method::POST, []) => {
            login::administrator(&request.user)?;
            import(context, request, None).await
        }
        (&Method::GET, [vhost]) => {
            login::administrator(&request.user)?;
            export_one(context, &context.see(request, vhost)?).await
        }
        (&Method::POST, [vhost]) => {
            login::administrator(&request.user)?;
            context.see(request, vhost)?;
            import(context, request, Some(vhost)).await
        }
        (_, [] | [_]) => Err(Failure::Method(READ_POST)),
        _ => Err(Failure::NotFound),
    }
}

async fn export(context: &Context) -> Result<Answer, Failure> {
    let mut written = head(context, "cluster");
    for vhost in context.access().vhosts() {
        add_vhost(&context.running(&vhost.name)?, &mut written, true).await?;
    }
    context.access().export(&mut written);
    answer(written).await
}

async fn export_one(context: &Context, handle: &VhostHandle) -> Result<Answer, Failure> {
    let mut written = head(context, "single_virtual_host");
    add_vhost(handle, &mut written, false).await?;
    written.policies.iter_mut().for_each(|policy| policy.vhost = None);
    written.parameters.iter_mut().for_each(|parameter| parameter.vhost = None);
    let Answer::Json(mut value) = answer(written).await? else { return Err(Failure::NotFound) };
    if let Some(parts) = value.as_object_mut() {
        // Of these one virtual host has none.
        for part in ["users", "vhosts", "permissions", "topic_permissions", "global_parameters"] {
            parts.shift_remove(part);
        }
    }
    Ok(Answer::Json(value))
}

async fn answer(written: Definitions) -> Result<Answer, Failure> {
    let value = blocking(move || serde_json::to_value(written)).await?;
    value.map(Answer::Json).map_err(|error| Failure::Internal(error.to_string()))
}

fn head(context: &Context, format: &str) -> Definitions {
    Definitions {
        rabbit_version: Some(RABBITMQ_VERSION.to_owned()),
        rabbitmq_version: Some(RABBITMQ_VERSION.to_owned()),
        product_name: Some("RabbitMQ".to_owned()),
        product_version: Some(RABBITMQ_VERSION.to_owned()),
        rabbitmq_definition_format: Some(format.to_owned()),
        original_cluster_name: Some(context.cluster_name()),
        explanation: Some(format!("Definitions of a Weft broker at {}", context.node())),
        ..Definitions::default()
    }
}

/// What one virtual host has declared.
async fn add_vhost(handle: &VhostHandle, written: &mut Definitions, names: bool) -> Result<(), Failure> {
    let vhost = names.then(|| handle.name().to_owned());
    handle.with(|vhost| vhost.policies().clone()).await?.export(handle.name(), written);
    let queues = gather_of(handle, Vhost::queue_views).await?.into_iter();
    let kept = queues.filter(|queue| queue.durable && !queue.exclusive);
    written.queues.extend(kept.map(|queue| write_queue(queue, vhost.clone())));
    let exchanges = gather_of(handle, Vhost::exchange_views).await?.into_iter();
    let kept = exchanges.filter(|exchange| !is_predeclared(&exchange.name));
    written.exchanges.extend(kept.map(|exchange| write_exchange(exchange, vhost.clone())));
    let bindings = gather_of(handle, Vhost::binding_views).await?.into_iter();
    let kept = bindings.filter(|binding| !binding.source.is_empty() && binding.durable);
    written.bindings.extend(kept.map(|binding| write_binding(&binding, vhost.clone())));
    Ok(())
}

fn is_predeclared(name: &str) -> bool {
    name.is_empty() || name.starts_with("amq.")
}

fn write_queue(queue: QueueView, vhost: Option<String>) -> QueueDefinition {
    QueueDefinition {
        name: queue.name,
        vhost,
        kind: Some(queue.kind.as_str().to_owned()),
        durable: queue.durable,
        auto_delete: queue.auto_delete,
        arguments: json_table::to_json(&queue.arguments),
    }
}

fn write_exchange(exchange: ExchangeView, vhost: Option<String>) -> ExchangeDefinition {
    let attributes = exchange.attributes;
    ExchangeDefinition {
        name: exchange.name,
        vhost,
        kind: attributes.kind.name().to_owned(),
        durable: attributes.durable,
        auto_delete: attributes.auto_delete,
        internal: attributes.internal,
        arguments: json_table::to_json(&attributes.arguments),
    }
}

fn write_binding(binding: &NamedBinding, vhost: Option<String>) -> BindingDefinition {
    let (destination, kind) = match &binding.destination {
        End::Queue(name) => (name, "queue"),
        End::Exchange(name) => (name, "exchange"),
    };
    BindingDefinition {
        source: binding.source.to_string(),
        vhost,
        destination: destination.to_string(),
        destination_type: kind.to_owned(),
        routing_key: binding.key.to_string(),
        arguments: json_table::to_json(binding.arguments.table()),
    }
}
