//! `/api/parameters`, `/api/global-parameters`, `/api/vhost-limits` and `/api/user-limits`.
//!
//! Of the parameters of a virtual host there are those of limits and of operator policies, which have files of their
//! own; shovels and federation are not here, so of theirs there are none.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Failure, READ, READ_PUT_DELETE},
    context::Context,
    login, paging,
    request::Request,
};
use crate::access::{Access, edit::EditError, user::User, vhost::VirtualHost};

/// The methods of one limit.
const PUT_DELETE: &str = "PUT, DELETE, OPTIONS";

/// Each of the four; `path` begins with which.
pub(super) async fn handle(context: &Context, request: &Request, path: &[&str]) -> Result<Answer, Failure> {
    match (&request.method, path) {
        (&Method::GET, ["parameters"] | ["parameters", _] | ["parameters", _, _]) => {
            login::policymaker(&request.user)?;
            paging::list(&request.query, Vec::new).await
        }
        (&Method::PUT, ["parameters", component, _, _]) => {
            Err(Failure::Bad(format!("Validation failed\n\ncomponent {component} not found\n")))
        }
        (_, ["parameters", _, _, _]) => Err(Failure::NotFound),
        (_, ["global-parameters", ..]) => global(context, request, path).await,
        (&Method::GET, ["vhost-limits"]) => vhost_limits(context, request, None).await,
        (&Method::GET, ["vhost-limits", vhost]) => vhost_limits(context, request, Some(vhost)).await,
        (method @ (&Method::PUT | &Method::DELETE), ["vhost-limits", vhost, name]) => {
            let value = if method == Method::PUT { Some(value_of(request)?) } else { None };
            set_vhost_limit(context, request, vhost, name, value).await
        }
        (&Method::GET, ["user-limits"]) => user_limits(context, request, None).await,
        (&Method::GET, ["user-limits", user]) => user_limits(context, request, Some(user)).await,
        (method @ (&Method::PUT | &Method::DELETE), ["user-limits", user, name]) => {
            let value = if method == Method::PUT { Some(value_of(request)?) } else { None };
            set_user_limit(context, request, user, name, value).await
        }
        (_, ["vhost-limits" | "user-limits", _, _]) => Err(Failure::Method(PUT_DELETE)),
        (_, [_] | [_, _]) => Err(Failure::Method(READ)),
        _ => Err(Failure::NotFound),
    }
}

/// What `PUT` sends.
#[derive(Debug, Deserialize)]
struct Wish {
    value: Value,
}

fn value_of(request: &Request) -> Result<Value, Failure> {
    request.json().map(|wish: Wish| wish.value)
}

async fn global(context: &Context, request: &Request, path: &[&str]) -> Result<Answer, Failure> {
    login::policymaker(&request.user)?;
    match (&request.method, path) {
        (&Method::GET, [_]) => {
            let access = context.access();
            let all: Vec<_> = access
                .global_parameters()
                .map(|(name, value)| json!({"name": name, "value": value}))
                .collect();
            paging::list(&request.query, move || all).await
        }
        (&Method::GET, [_, name]) => {
            let access = context.access();
            let value = access.global_parameter(name).ok_or(Failure::NotFound)?;
            paging::one(&request.query, &json!({"name": name, "value": value}))
        }
        (&Method::PUT, [_, name]) => {
            let (name, value) = ((*name).to_owned(), value_of(request)?);
            let was = context.edit(move |access| {
                let was = access.global_parameter(&name).is_some();
                access.set_global_parameter(&name, value)?;
                Ok::<_, EditError>(was)
            });
            Ok(if was.await?? { Answer::Done } else { Answer::Created(None) })
        }
        (&Method::DELETE, [_, name]) => {
            let name = (*name).to_owned();
            let was = context.edit(move |access| access.clear_global_parameter(&name)).await?;
            was.then_some(Answer::Done).ok_or(Failure::NotFound)
        }
        (_, [_]) => Err(Failure::Method(READ)),
        (_, [_, _]) => Err(Failure::Method(READ_PUT_DELETE)),
        _ => Err(Failure::NotFound),
    }
}

async fn vhost_limits(context: &Context, request: &Request, name: Option<&str>) -> Result<Answer, Failure> {
    let access = context.access();
    if name.is_some_and(|name| access.vhost(name).is_none()) {
        return Err(Failure::NotFound);
    }
    let seen = access.vhosts().filter(|vhost| login::sees(&access, &request.user, &vhost.name));
    let wanted = seen.filter(|vhost| name.is_none_or(|name| *vhost.name == *name));
    let shown: Vec<_> = wanted
        .map(|vhost| (&vhost.name, vhost.limits.to_json()))
        .filter(|(_, limits): &(_, Map<String, Value>)| !limits.is_empty())
        .map(|(name, limits)| json!({"vhost": &**name, "value": limits}))
        .collect();
    paging::list(&request.query, move || shown).await
}

async fn set_vhost_limit(
    context: &Context,
    request: &Request,
    vhost: &str,
    name: &str,
    value: Option<Value>,
) -> Result<Answer, Failure> {
    login::administrator(&request.user)?;
    let (vhost, name) = (vhost.to_owned(), name.to_owned());
    let set = move |access: &mut Access| {
        let missing = || EditError::NoVhost { vhost: vhost.as_str().into() };
        let mut changed = VirtualHost::clone(access.vhost(&vhost).ok_or_else(missing)?);
        match &value {
            Some(value) => changed.limits.set(&name, value)?,
            None => changed.limits.clear(&name)?,
        }
        access.put_vhost(changed)
    };
    context.edit(set).await?.map_err(invalid)?;
    Ok(Answer::Done)
}

async fn user_limits(context: &Context, request: &Request, name: Option<&str>) -> Result<Answer, Failure> {
    let access = context.access();
    if name.is_some_and(|name| access.user(name).is_none()) {
        return Err(Failure::NotFound);
    }
    // Who is no administrator sees its own.
    let may_see = |user: &User| request.user.is_administrator() || user.name == request.user.name;
    let wanted = access.users().filter(|user| may_see(user) && name.is_none_or(|name| *user.name == *name));
    let shown: Vec<_> = wanted
        .map(|user| (&user.name, user.limits.to_json()))
        .filter(|(_, limits): &(_, Map<String, Value>)| !limits.is_empty())
        .map(|(name, limits)| json!({"user": &**name, "value": limits}))
        .collect();
    paging::list(&request.query, move || shown).await
}

async fn set_user_limit(
    context: &Context,
    request: &Request,
    user: &str,
    name: &str,
    value: Option<Value>,
) -> Result<Answer, Failure> {
    login::administrator(&request.user)?;
    if context.access().user(user).is_none() {
        return Err(Failure::Because("no_such_user", user.to_owned()));
    }
    let (user, name) = (user.to_owned(), name.to_owned());
    let set = move |access: &mut Access| {
        let missing = || EditError::NoUser { user: user.as_str().into() };
        let mut changed = User::clone(access.user(&user).ok_or_else(missing)?);
        match &value {
            Some(value) => changed.limits.set(&name, value)?,
            None => changed.limits.clear(&name)?,
        }
        access.put_user(changed)
    };
    context.edit(set).await?.map_err(invalid)?;
    Ok(Answer::Done)
}

fn invalid(error: EditError) -> Failure {
    match error {
        EditError::Limit(error) => Failure::Bad(format!("Validation failed\n\n{error}\n")),
        other => other.into(),
    }
}
