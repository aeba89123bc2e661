//! `/api/policies` and `/api/operator-policies`.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Failure, READ, READ_PUT_DELETE},
    context::Context,
    login, paging,
    request::Request,
};
use crate::{
    policy::{ApplyTo, Level, Policy, PolicyError},
    server::clock::now_ms,
};

/// Both; `path` begins with which.
pub(super) async fn handle(context: &Context, request: &Request, path: &[&str]) -> Result<Answer, Failure> {
    let Some((first, rest)) = path.split_first() else { return Err(Failure::NotFound) };
    let level = if *first == "policies" { Level::User } else { Level::Operator };
    match (&request.method, rest) {
        (&Method::GET, []) => list(context, request, level, None).await,
        (&Method::GET, [vhost]) => list(context, request, level, Some(vhost)).await,
        (&Method::GET, [vhost, name]) => {
            let (handle, name) = (context.see(request, vhost)?, (*name).to_owned());
            let found = handle.with(move |vhost| vhost.policies().find(level, &name).cloned()).await?;
            let found = found.ok_or(Failure::NotFound)?;
            paging::one(&request.query, &show(vhost, &found))
        }
        (&Method::PUT, [vhost, name]) => put(context, request, level, (vhost, name)).await,
        (&Method::DELETE, [vhost, name]) => {
            may_change(context, request, level, vhost)?;
            let (handle, name) = (context.see(request, vhost)?, (*name).to_owned());
            let was = handle.change(move |vhost| vhost.delete_policy(level, &name, now_ms())).await?;
            was.then_some(Answer::Done).ok_or(Failure::NotFound)
        }
        (_, [] | [_]) => Err(Failure::Method(READ)),
        (_, [_, _]) => Err(Failure::Method(READ_PUT_DELETE)),
        _ => Err(Failure::NotFound),
    }
}

/// Administrators may; policymakers may where they have permissions, but for what operators set.
fn may_change(context: &Context, request: &Request, level: Level, vhost: &str) -> Result<(), Failure> {
    match level {
        Level::User if request.user.is_administrator() => Ok(()),
        Level::User => {
            login::policymaker(&request.user)?;
            login::member(&context.access(), &request.user, vhost)
        }
        Level::Operator => login::administrator(&request.user),
    }
}

async fn list(
    context: &Context,
    request: &Request,
    level: Level,
    vhost: Option<&str>,
) -> Result<Answer, Failure> {
    let mut shown = Vec::new();
    for handle in context.seen_of(request, vhost)? {
        let policies = handle.with(move |vhost| vhost.policies().iter(level).cloned().collect::<Vec<_>>());
        // One that has ended is left out.
        let Ok(policies) = policies.await else { continue };
        shown.extend(policies.iter().map(|policy| show(handle.name(), policy)));
    }
    paging::list(&request.query, move || shown).await
}

/// What `PUT` sends.
#[derive(Debug, Deserialize)]
struct Wish {
    pattern: String,
    definition: Map<String, Value>,
    #[serde(default)]
    priority: Option<Value>,
    #[serde(rename = "apply-to", default)]
    apply_to: Option<String>,
}

impl Wish {
    fn priority(&self) -> Result<i64, Failure> {
        let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        let wrong = || Failure::Bad("priority: a whole number is expected".to_owned());
        self.priority.as_ref().map_or(Ok(0), |value| number(value).ok_or_else(wrong))
    }
}

async fn put(
    context: &Context,
    request: &Request,
    level: Level,
    (vhost, name): (&str, &str),
) -> Result<Answer, Failure> {
    may_change(context, request, level, vhost)?;
    let missing = |failure| match failure {
        Failure::NotFound => Failure::Missing("vhost_not_found".to_owned()),
        other => other,
    };
    let handle = context.see(request, vhost).map_err(missing)?;
    let wish: Wish = request.json()?;
    let priority = wish.priority()?;
    let apply_to = ApplyTo::parse(wish.apply_to.as_deref().unwrap_or("all"));
    let policy = apply_to
        .and_then(|apply_to| Policy::new(level, name, &wish.pattern, apply_to, priority, wish.definition))
        .map_err(|error| bad(&error))?;
    let put = handle.change(move |vhost| vhost.put_policy(level, policy, now_ms())).await?;
    Ok(if put.map_err(|error| bad(&error))? { Answer::Created(None) } else { Answer::Done })
}

fn bad(error: &PolicyError) -> Failure {
    Failure::Bad(error.reason())
}

/// A policy as RabbitMQ shows it.
fn show(vhost: &str, policy: &Policy) -> Value {
    json!({
        "vhost": vhost,
        "name": &*policy.name,
        "pattern": policy.pattern.as_str(),
        "apply-to": policy.apply_to.as_str(),
        "definition": policy.definition.as_map(),
        "priority": policy.priority,
    })
}
