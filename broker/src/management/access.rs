//! `/api/permissions` and `/api/topic-permissions`: who may do what where; administrators only.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Failure, READ, READ_PUT_DELETE},
    context::Context,
    login, paging,
    request::Request,
};
use crate::access::{
    edit::EditError,
    pattern::PatternError,
    permission::{Action, Permission},
    topic::TopicPermission,
};

/// Both; `path` begins with which.
pub(super) async fn handle(context: &Context, request: &Request, path: &[&str]) -> Result<Answer, Failure> {
    login::administrator(&request.user)?;
    match (&request.method, path) {
        (&Method::GET, ["permissions"]) => permissions(context, request, None, None).await,
        (&Method::GET, ["permissions", vhost, user]) => one(context, request, vhost, user),
        (&Method::PUT, ["permissions", vhost, user]) => put(context, request, vhost, user).await,
        (&Method::DELETE, ["permissions", vhost, user]) => {
            let (vhost, user) = ((*vhost).to_owned(), (*user).to_owned());
            let was = context.edit(move |access| access.clear_permission(&user, &vhost)).await?;
            was.then_some(Answer::Done).ok_or(Failure::NotFound)
        }
        (&Method::GET, ["topic-permissions"]) => topic_permissions(context, request, None, None).await,
        (&Method::GET, ["topic-permissions", vhost, user]) => {
            topic_permissions(context, request, Some(user), Some(vhost)).await
        }
        (&Method::PUT, ["topic-permissions", vhost, user]) => put_topic(context, request, vhost, user).await,
        (&Method::DELETE, ["topic-permissions", vhost, user, exchange @ ..]) if exchange.len() <= 1 => {
            let (vhost, user) = ((*vhost).to_owned(), (*user).to_owned());
            let exchange = exchange.first().map(|exchange| (*exchange).to_owned());
            let clear = context
                .edit(move |access| access.clear_topic_permission(&user, &vhost, exchange.as_deref()))
                .await?;
            clear.then_some(Answer::Done).ok_or(Failure::NotFound)
        }
        (_, [_]) => Err(Failure::Method(READ)),
        (_, [_, _, _]) => Err(Failure::Method(READ_PUT_DELETE)),
        _ => Err(Failure::NotFound),
    }
}

/// Permissions of a user, or in a virtual host, or all.
pub(super) async fn permissions(
    context: &Context,
    request: &Request,
    of_user: Option<&str>,
    of_vhost: Option<&str>,
) -> Result<Answer, Failure> {
    let access = context.access();
    let wanted = access.permissions().filter(|(user, vhost, _)| {
        of_user.is_none_or(|of| of == *user) && of_vhost.is_none_or(|of| of == *vhost)
    });
    let shown: Vec<Value> = wanted.map(|(user, vhost, permission)| show(user, vhost, permission)).collect();
    paging::list(&request.query, move || shown).await
}

fn one(context: &Context, request: &Request, vhost: &str, user: &str) -> Result<Answer, Failure> {
    let access = context.access();
    let permission = access.permission(user, vhost).ok_or(Failure::NotFound)?;
    paging::one(&request.query, &show(user, vhost, permission))
}

fn show(user: &str, vhost: &str, permission: &Permission) -> Value {
    let of = |action| permission.pattern(action).as_str();
    json!({
        "user": user,
        "vhost": vhost,
        "configure": of(Action::Configure),
        "write": of(Action::Write),
        "read": of(Action::Read),
    })
}

/// What `PUT /api/permissions` sends.
#[derive(Debug, Deserialize)]
struct Wish {
    configure: String,
    write: String,
    read: String,
}

async fn put(context: &Context, request: &Request, vhost: &str, user: &str) -> Result<Answer, Failure> {
    let Wish { configure, write, read } = request.json()?;
    let permission = Permission::new(&configure, &write, &read).map_err(|error| bad(&error))?;
    let (vhost, user) = (vhost.to_owned(), user.to_owned());
    let was = context.edit(move |access| {
        let was = access.permission(&user, &vhost).is_some();
        access.set_permission(&user, &vhost, permission)?;
        Ok::<_, EditError>(was)
    });
    Ok(if was.await?.map_err(|error| unknown(&error))? { Answer::Done } else { Answer::Created(None) })
}

/// Topic permissions of a user, or in a virtual host, or both, or all.
pub(super) async fn topic_permissions(
    context: &Context,
    request: &Request,
    of_user: Option<&str>,
    of_vhost: Option<&str>,
) -> Result<Answer, Failure> {
    let access = context.access();
    let wanted = access.topic_permissions().filter(|(user, vhost, _, _)| {
        of_user.is_none_or(|of| of == *user) && of_vhost.is_none_or(|of| of == *vhost)
    });
    let shown: Vec<Value> = wanted
        .map(|(user, vhost, exchange, topic)| {
            let (write, read) = (topic.write(), topic.read());
            json!({"user": user, "vhost": vhost, "exchange": exchange, "write": write, "read": read})
        })
        .collect();
    if shown.is_empty() && of_user.is_some() && of_vhost.is_some() {
        return Err(Failure::NotFound);
    }
    paging::list(&request.query, move || shown).await
}

/// What `PUT /api/topic-permissions` sends.
#[derive(Debug, Deserialize)]
struct TopicWish {
    exchange: String,
    write: String,
    read: String,
}

async fn put_topic(context: &Context, request: &Request, vhost: &str, user: &str) -> Result<Answer, Failure> {
    let TopicWish { exchange, write, read } = request.json()?;
    let topic = TopicPermission::new(&write, &read, user, vhost).map_err(|error| bad(&error))?;
    let (vhost, user) = (vhost.to_owned(), user.to_owned());
    let was = context.edit(move |access| {
        let was =
            access.topic_permissions().any(|(u, v, x, _)| *u == *user && *v == *vhost && *x == *exchange);
        access.set_topic_permission(&user, &vhost, &exchange, topic)?;
        Ok::<_, EditError>(was)
    });
    Ok(if was.await?.map_err(|error| unknown(&error))? { Answer::Done } else { Answer::Created(None) })
}

/// Who or where is not there.
fn unknown(error: &EditError) -> Failure {
    match error {
        EditError::NoUser { .. } | EditError::NoVhost { .. } => {
            Failure::Bad("vhost_or_user_not_found".to_owned())
        }
        other => Failure::Bad(other.to_string()),
    }
}

fn bad(error: &PatternError) -> Failure {
    Failure::Bad(format!("invalid regular expression: {error}"))
}
