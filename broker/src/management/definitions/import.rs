//! The way in: a document is read and taken apart off the threads that serve, then each virtual host takes its part in
//! batches, so that its clients are served in between.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;

use super::is_predeclared;
use crate::{
    access::{
        definitions::{BindingDefinition, Definitions, ExchangeDefinition, QueueDefinition},
        json_table,
    },
    amqp::{
        method::{Exchange, Method as Amqp, Queue, exchange, queue},
        reply::{Refusal, ReplyCode},
        table::RawTable,
    },
    exchange::topology::End,
    management::{
        answer::{Answer, Failure},
        bindings::bind_method,
        context::{Context, blocking},
        request::Request,
        vhosts::open,
        visit::{self, Visitor},
    },
    policy::{Level, Policy, PolicySet, kind::QUEUE_TYPE},
    server::{VhostHandle, clock::now_ms, salt::salt},
    vhost::{SessionId, Vhost},
};

/// Declarations that a virtual host takes in one go.
const BATCH: usize = 500;
/// Virtual hosts that one document may name.
const VHOSTS_MAX: usize = 10_000;
/// The type of queues that say none.
const CLASSIC: &str = "classic";

/// Adds what a document says, to all virtual hosts or to one.
pub(super) async fn import(
    context: &Context,
    request: &Request,
    only: Option<&str>,
) -> Result<Answer, Failure> {
    let (body, only) = (request.body.clone(), only.map(str::to_owned));
    let definitions = blocking(move || read(&body, only.as_deref())).await??;
    let shared = Arc::clone(&context.shared);
    let definitions = blocking(move || {
        let before = shared.access();
        let imported = shared.edit_access(|access| access.import(&definitions, salt))?;
        imported.map_err(|error| Failure::Bad(error.to_string()))?;
        let names: Vec<String> = shared.access().vhosts().map(|vhost| vhost.name.to_string()).collect();
        // Only what this import has added is taken out again where it cannot be opened.
        for name in names {
            match before.vhost(&name) {
                Some(_) => shared.open_vhost(&name)?,
                None => open(&shared, &name)?,
            }
        }
        Ok::<_, Failure>(definitions)
    });
    let definitions = definitions.await??;
    let visitor = Visitor::trusted(request);
    let access = context.access();
    let says_type =
        move |vhost: &str| access.vhost(vhost).is_some_and(|vhost| vhost.default_queue_type.is_some());
    let parts = blocking(move || part(definitions, says_type)).await??;
    for (vhost, part) in parts {
        let missing = || Failure::Because("no_such_vhost", vhost.clone());
        let handle = context.shared.vhost(&vhost).ok_or_else(missing)?;
        take_in(&handle, &visitor, part).await?;
    }
    Ok(Answer::Done)
}

/// Reads a document; for one virtual host it says nothing of users and other virtual hosts.
fn read(body: &Bytes, only: Option<&str>) -> Result<Definitions, Failure> {
    let mut definitions: Definitions = serde_json::from_slice(body)
        .map_err(|error| Failure::Bad(format!("failed_to_parse_json: {error}")))?;
    if let Some(vhost) = only {
        definitions.place_in(vhost);
        let is_here = |place: &Option<String>| place.as_deref() == Some(vhost);
        definitions.users.clear();
        definitions.vhosts.clear();
        definitions.permissions.clear();
        definitions.topic_permissions.clear();
        definitions.global_parameters.clear();
        definitions.policies.retain(|policy| is_here(&policy.vhost));
        definitions.queues.retain(|queue| is_here(&queue.vhost));
        definitions.exchanges.retain(|exchange| is_here(&exchange.vhost));
        definitions.bindings.retain(|binding| is_here(&binding.vhost));
        // Limits and operator policies are for administrators.
        definitions.parameters.clear();
    }
    Ok(definitions)
}

/// What is for one virtual host.
#[derive(Debug)]
struct Part {
    policies: Vec<(Level, Policy)>,
    declarations: Vec<Declaration>,
}

#[derive(Debug)]
enum Declaration {
    Queue(QueueDefinition),
    Exchange(ExchangeDefinition),
    Binding(BindingDefinition),
}

/// Takes a document apart, by virtual hosts; policies are checked. `has_default` says where queues that say no type
/// become another than classic.
fn part(
    mut definitions: Definitions,
    has_default: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Part)>, Failure> {
    for queue in &mut definitions.queues {
        let kind = queue.kind.as_deref().unwrap_or(CLASSIC);
        let is_said =
            kind != CLASSIC || (queue.kind.is_some() && queue.vhost.as_deref().is_some_and(&has_default));
        if is_said && !queue.arguments.contains_key(QUEUE_TYPE) {
            queue.arguments.insert(QUEUE_TYPE.to_owned(), kind.into());
        }
    }
    let places = (definitions.queues.iter().map(|queue| &queue.vhost))
        .chain(definitions.exchanges.iter().map(|exchange| &exchange.vhost))
        .chain(definitions.bindings.iter().map(|binding| &binding.vhost))
        .chain(definitions.policies.iter().map(|policy| &policy.vhost))
        .chain(definitions.parameters.iter().map(|parameter| &parameter.vhost));
    let names: BTreeSet<String> = places.flatten().cloned().collect();
    if names.len() > VHOSTS_MAX {
        return Err(Failure::Bad(format!("a document names {VHOSTS_MAX} virtual hosts at most")));
    }
    let mut parts = Vec::with_capacity(names.len());
    for vhost in names {
        let mut set = PolicySet::new();
        set.import(&vhost, &definitions).map_err(|error| Failure::Bad(error.to_string()))?;
        let of = |level| set.iter(level).map(move |policy| (level, Policy::clone(policy)));
        let policies = of(Level::User).chain(of(Level::Operator)).collect();
        let is_here = |place: &Option<String>| place.as_deref() == Some(&*vhost);
        let queues = definitions.queues.extract_if(.., |queue| is_here(&queue.vhost));
        let mut declarations: Vec<_> = queues.map(Declaration::Queue).collect();
        let exchanges = definitions.exchanges.extract_if(.., |exchange| is_here(&exchange.vhost));
        declarations.extend(exchanges.map(Declaration::Exchange));
        let bindings = definitions.bindings.extract_if(.., |binding| is_here(&binding.vhost));
        declarations.extend(bindings.map(Declaration::Binding));
        parts.push((vhost, Part { policies, declarations }));
    }
    Ok(parts)
}

async fn take_in(handle: &VhostHandle, visitor: &Visitor, part: Part) -> Result<(), Failure> {
    let Part { policies, declarations } = part;
    if !policies.is_empty() {
        let put = handle.change(move |vhost| vhost.put_policies(policies, now_ms())).await?;
        put.map_err(|error| Failure::Bad(error.reason()))?;
    }
    let mut declarations = declarations.into_iter().peekable();
    while declarations.peek().is_some() {
        let batch: Vec<_> = declarations.by_ref().take(BATCH).collect();
        let visitor = visitor.clone();
        let declared = handle.with(move |vhost| {
            visitor.visit(vhost, |vhost, id| batch.iter().try_for_each(|one| declare(vhost, id, one)))
        });
        declared.await?.map_err(|refusal| bad(&refusal))?;
    }
    handle.change(|_| ()).await?;
    Ok(())
}

/// Of an import all refusals are about its document.
fn bad(refusal: &Refusal) -> Failure {
    Failure::Bad(format!("{} {}", refusal.code().number(), refusal.text()))
}

fn declare(vhost: &mut Vhost, id: SessionId, declaration: &Declaration) -> Result<(), Refusal> {
    let arguments = match declaration {
        Declaration::Queue(queue) => &queue.arguments,
        Declaration::Exchange(exchange) => &exchange.arguments,
        Declaration::Binding(binding) => &binding.arguments,
    };
    let table = json_table::to_table(arguments)
        .map_err(|error| Refusal::new(ReplyCode::PreconditionFailed, error))?;
    let arguments = visit::wire(&table);
    let arguments = RawTable::new(&arguments);
    match declaration {
        Declaration::Queue(queue) if vhost.has_queue(&queue.name) => Ok(()),
        Declaration::Queue(queue) => {
            let (durable, auto_delete) = (queue.durable, queue.auto_delete);
            let named =
                queue::Declare { queue: &queue.name, durable, auto_delete, arguments, ..Default::default() };
            let declare = queue::Declare { no_wait: true, ..named };
            visit::say(vhost, id, &Amqp::Queue(Queue::Declare(declare)))
        }
        // What each virtual host has from the start.
        Declaration::Exchange(exchange) if is_predeclared(&exchange.name) => Ok(()),
        Declaration::Exchange(exchange) if vhost.has_exchange(&exchange.name) => Ok(()),
        Declaration::Exchange(exchange) => {
            let declare = exchange::Declare {
                exchange: &exchange.name,
                kind: &exchange.kind,
                durable: exchange.durable,
                auto_delete: exchange.auto_delete,
                internal: exchange.internal,
                no_wait: true,
                arguments,
                ..exchange::Declare::default()
            };
            visit::say(vhost, id, &Amqp::Exchange(Exchange::Declare(declare)))
        }
        // The default exchange's bindings are there with their queues.
        Declaration::Binding(binding) if binding.source.is_empty() => Ok(()),
        Declaration::Binding(binding) => {
            let end = end_of(&binding.destination_type, &binding.destination);
            visit::say(vhost, id, &bind_method(&binding.source, &end, &binding.routing_key, arguments))
        }
    }
}

fn end_of(kind: &str, name: &str) -> End {
    if kind == "exchange" { End::Exchange(name.into()) } else { End::Queue(name.into()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_taken_apart_by_virtual_hosts() {
        let document = json!({
            "users": [{"name": "u", "password_hash": ""}],
            "queues": [{"name": "a", "vhost": "/"}, {"name": "b", "vhost": "x"}],
            "policies": [{"name": "p", "vhost": "x", "pattern": ".*", "definition": {"max-length": 1}}],
            "bindings": [{"source": "s", "vhost": "/", "destination": "a", "destination_type": "queue"}],
        });
        let read_all = read(&Bytes::from(document.to_string()), None).unwrap();
        let parts = part(read_all, |_| false).unwrap();
        let sizes: Vec<_> = parts
            .iter()
            .map(|(name, part)| (&**name, part.policies.len(), part.declarations.len()))
            .collect();
        assert_eq!(sizes, [("/", 0, 2), ("x", 1, 1)]);
    }

    #[test]
    fn the_type_of_a_queue_is_said_where_it_would_become_another() {
        let types = |has_default| {
            let document = json!({"queues": [
                {"name": "a", "vhost": "/", "type": "classic"},
                {"name": "b", "vhost": "/", "type": "quorum"},
                {"name": "c", "vhost": "/"},
            ]});
            let parts = part(read(&Bytes::from(document.to_string()), None).unwrap(), |_| has_default);
            let (_, part) = parts.unwrap().remove(0);
            let of = |declaration: &Declaration| match declaration {
                Declaration::Queue(queue) => queue.arguments.get(QUEUE_TYPE).cloned(),
                _ => None,
            };
            part.declarations.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(types(false), [None, Some(json!("quorum")), None]);
        assert_eq!(types(true), [Some(json!("classic")), Some(json!("quorum")), None]);
    }

    #[test]
    fn a_document_for_one_virtual_host_touches_no_other() {
        let document = json!({
            "users": [{"name": "u", "password_hash": ""}],
            "queues": [{"name": "a"}, {"name": "b", "vhost": "other"}],
        });
        let one = read(&Bytes::from(document.to_string()), Some("/")).unwrap();
        assert!(one.users.is_empty());
        let names: Vec<_> = one.queues.iter().map(|queue| queue.name.as_str()).collect();
        assert_eq!(names, ["a"]);
    }
}
