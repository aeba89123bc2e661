//! `/api/vhosts`: listed, made, deleted, and what is in each.

use std::{sync::Arc, time::Instant};

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    access,
    answer::{Answer, Failure, READ, READ_PUT_DELETE},
    connections,
    context::{Context, blocking},
    json::{Flag, object, rate},
    login, paging,
    rates::COUNTS,
    request::Request,
    stats::{counts, message_stats},
};
use crate::{
    access::{Access, UserRef, permission::Permission, vhost::VirtualHost},
    policy::kind::QueueKind,
    server::Shared,
    vhost::views::Totals,
};

/// Everything below `/api/vhosts`.
pub(super) async fn handle(context: &Context, request: &Request, rest: &[&str]) -> Result<Answer, Failure> {
    match (&request.method, rest) {
        (&Method::GET, []) => list(context, request).await,
        (&Method::GET, [name]) => one(context, request, name).await,
        (&Method::PUT, [name]) => put(context, request, name).await,
        (&Method::DELETE, [name]) => delete(context, request, name).await,
        (&Method::GET, [name, "permissions"]) => {
            login::administrator(&request.user)?;
            context.access().vhost(name).ok_or(Failure::NotFound)?;
            access::permissions(context, request, None, Some(name)).await
        }
        (&Method::GET, [name, "topic-permissions"]) => {
            login::administrator(&request.user)?;
            context.access().vhost(name).ok_or(Failure::NotFound)?;
            access::topic_permissions(context, request, None, Some(name)).await
        }
        (&Method::GET, [name, "connections"]) => {
            connections::connections(context, request, Some(name), None).await
        }
        (&Method::GET, [name, "channels"]) => connections::channels(context, request, Some(name)).await,
        (&Method::POST, [name, "start", _]) => start(context, request, name).await,
        (_, [_]) => Err(Failure::Method(READ_PUT_DELETE)),
        (_, [] | [_, "permissions" | "topic-permissions" | "connections" | "channels"]) => {
            Err(Failure::Method(READ))
        }
        _ => Err(Failure::NotFound),
    }
}

async fn list(context: &Context, request: &Request) -> Result<Answer, Failure> {
    let access = context.access();
    let mut shown = Vec::new();
    for vhost in access.vhosts().filter(|vhost| login::sees(&access, &request.user, &vhost.name)) {
        shown.push(show(context, vhost).await);
    }
    paging::list(&request.query, move || shown).await
}

async fn one(context: &Context, request: &Request, name: &str) -> Result<Answer, Failure> {
    let access = context.access();
    let vhost = access.vhost(name).ok_or(Failure::NotFound)?;
    if !login::sees(&access, &request.user, name) {
        return Err(Failure::Denied("User not authorised to access virtual host".to_owned()));
    }
    paging::one(&request.query, &show(context, vhost).await)
}

/// What `PUT` sends.
#[derive(Debug, Default, Deserialize)]
struct Wish {
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    tags: Option<Value>,
    #[serde(default)]
    default_queue_type: Option<String>,
    #[serde(default)]
    tracing: Option<Flag>,
}

impl Wish {
    fn apply(self, vhost: &mut VirtualHost) -> Result<(), Failure> {
        if let Some(description) = self.description {
            vhost.description = description.into();
        }
        if let Some(tags) = self.tags {
            let list = match &tags {
                Value::String(text) => text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect(),
                Value::Array(tags) => tags.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            vhost.tags = list.into_iter().map(Into::into).collect();
        }
        match self.default_queue_type.as_deref() {
            None => {}
            Some("" | "undefined") => vhost.default_queue_type = None,
            Some(name) => {
                let unknown = || Failure::Bad(format!("Unsupported default queue type: {name}"));
                vhost.default_queue_type = Some(QueueKind::find(name).ok_or_else(unknown)?);
            }
        }
        if let Some(tracing) = self.tracing {
            vhost.tracing = tracing.0;
        }
        Ok(())
    }
}

async fn put(context: &Context, request: &Request, name: &str) -> Result<Answer, Failure> {
    login::administrator(&request.user)?;
    let wish: Wish = request.json()?;
    let (user, asked) = (request.user.clone(), name.to_owned());
    let put = move |access: &mut Access| {
        // Looked up here, so that of two at once neither is undone.
        let known = access.vhost(&asked).cloned();
        let is_new = known.is_none();
        let mut vhost = known.unwrap_or_else(|| VirtualHost::new(&asked));
        wish.apply(&mut vhost)?;
        add(access, vhost, is_new.then_some(&user))?;
        Ok::<_, Failure>(is_new)
    };
    if !context.edit(put).await?? {
        return Ok(Answer::Done);
    }
    let (shared, name) = (Arc::clone(&context.shared), name.to_owned());
    blocking(move || open(&shared, &name)).await??;
    Ok(Answer::Created(None))
}

/// Adds a virtual host; who made it may do everything in it.
fn add(
    access: &mut Access,
    vhost: VirtualHost,
    maker: Option<&UserRef>,
) -> Result<(), crate::access::edit::EditError> {
    let name = vhost.name.clone();
    access.put_vhost(vhost)?;
    if let Some(maker) = maker
        && access.user(&maker.name).is_some()
        && let Ok(all) = Permission::new(".*", ".*", ".*")
    {
        access.set_permission(&maker.name, &name, all)?;
    }
    Ok(())
}

/// Opens a virtual host that was added; it is taken out again where that fails. Blocks.
pub(super) fn open(shared: &Shared, name: &str) -> Result<(), Failure> {
    let Err(error) = shared.open_vhost(name) else { return Ok(()) };
    shared.edit_access(|access| access.delete_vhost(name))?;
    Err(error.into())
}

async fn delete(context: &Context, request: &Request, name: &str) -> Result<Answer, Failure> {
    login::administrator(&request.user)?;
    context.access().vhost(name).ok_or(Failure::NotFound)?;
    let (shared, name) = (Arc::clone(&context.shared), name.to_owned());
    let removed = blocking(move || {
        // First what it holds, then its name: one of that name that is made later begins empty.
        let removed = shared.remove_vhost(&name);
        let forgotten = shared.edit_access(|access| access.delete_vhost(&name));
        (removed, forgotten)
    });
    let (removed, forgotten) = removed.await?;
    removed.map_err(|error| Failure::Internal(format!("the directory cannot be removed: {error}")))?;
    forgotten?;
    Ok(Answer::Done)
}

async fn start(context: &Context, request: &Request, name: &str) -> Result<Answer, Failure> {
    login::administrator(&request.user)?;
    context.access().vhost(name).ok_or(Failure::NotFound)?;
    let (shared, name) = (Arc::clone(&context.shared), name.to_owned());
    blocking(move || shared.open_vhost(&name)).await??;
    Ok(Answer::Done)
}

async fn show(context: &Context, vhost: &VirtualHost) -> Value {
    let totals = match context.shared.vhost(&vhost.name) {
        Some(handle) => handle.with(|vhost| vhost.totals()).await.ok(),
        None => None,
    };
    let tags: Vec<&str> = vhost.tags.iter().map(AsRef::as_ref).collect();
    let kind = vhost.default_queue_type.map_or("classic", QueueKind::as_str);
    let state = if totals.is_some() { "running" } else { "stopped" };
    let mut shown = object(json!({
        "name": &*vhost.name,
        "description": &*vhost.description,
        "tags": tags,
        "default_queue_type": kind,
        "protected_from_deletion": false,
        "metadata": {"description": &*vhost.description, "tags": tags, "default_queue_type": kind},
        "tracing": vhost.tracing,
        "cluster_state": {context.node(): state},
    }));
    if let Some(totals) = totals {
        shown.extend(counted(context, &vhost.name, &totals));
    }
    shown.into()
}

/// Takes a look at the counters of one.
pub(super) fn look(context: &Context, name: &str, totals: &Totals) -> [f64; COUNTS] {
    context.rates.look(&format!("vhost\0{name}"), counts(&totals.queue_stats), Instant::now())
}

fn counted(context: &Context, name: &str, totals: &Totals) -> Map<String, Value> {
    let counts = counts(&totals.queue_stats);
    let rates = look(context, name, totals);
    object(json!({
        "messages": totals.ready + totals.unacked,
        "messages_details": rate(0.0),
        "messages_ready": totals.ready,
        "messages_ready_details": rate(0.0),
        "messages_unacknowledged": totals.unacked,
        "messages_unacknowledged_details": rate(0.0),
        "message_stats": message_stats(&counts, &rates),
        "recv_oct": totals.received_bytes,
        "recv_oct_details": rate(0.0),
        "send_oct": totals.sent_bytes,
        "send_oct_details": rate(0.0),
    }))
}
