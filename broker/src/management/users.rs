//! `/api/users`: listed, made, deleted; administrators only.

use std::sync::Arc;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    access,
    answer::{Answer, Failure, READ, READ_PUT_DELETE},
    connections,
    context::Context,
    login, paging,
    request::Request,
};
use crate::{
    access::{
        Access,
        password::{Hashing, PASSWORD_BYTES_MAX, PasswordHash},
        user::{Tag, User},
    },
    server::salt::salt,
};

/// Everything below `/api/users`.
pub(super) async fn handle(context: &Context, request: &Request, rest: &[&str]) -> Result<Answer, Failure> {
    login::administrator(&request.user)?;
    match (&request.method, rest) {
        (&Method::GET, [] | [""]) => list(context, request, |_, _| true).await,
        (&Method::GET, ["without-permissions"]) => {
            let without = |access: &Access, user: &User| {
                !access.permissions().any(|(other, _, _)| *other == *user.name)
            };
            list(context, request, without).await
        }
        (&Method::POST, ["bulk-delete"]) => delete_many(context, request).await,
        (&Method::GET, [name]) => {
            let access = context.access();
            let user = access.user(name).ok_or(Failure::NotFound)?;
            paging::one(&request.query, &show(user))
        }
        (&Method::PUT, [name]) => put(context, request, name).await,
        (&Method::DELETE, [name]) => {
            let gone = delete(context, vec![(*name).to_owned()]).await?;
            if gone.is_empty() { Err(Failure::NotFound) } else { Ok(Answer::Done) }
        }
        (&Method::GET, [name, "permissions"]) => {
            context.access().user(name).ok_or(Failure::NotFound)?;
            access::permissions(context, request, Some(name), None).await
        }
        (&Method::GET, [name, "topic-permissions"]) => {
            context.access().user(name).ok_or(Failure::NotFound)?;
            access::topic_permissions(context, request, Some(name), None).await
        }
        (_, ["bulk-delete"]) => Err(Failure::Method("POST, OPTIONS")),
        (_, [_]) => Err(Failure::Method(READ_PUT_DELETE)),
        (_, [] | [_, _]) => Err(Failure::Method(READ)),
        _ => Err(Failure::NotFound),
    }
}

async fn list(
    context: &Context,
    request: &Request,
    wanted: impl Fn(&Access, &User) -> bool,
) -> Result<Answer, Failure> {
    let access = context.access();
    let users: Vec<_> = access.users().filter(|user| wanted(&access, user)).map(Arc::clone).collect();
    paging::list(&request.query, move || users.iter().map(|user| show(user)).collect()).await
}

/// What `PUT` sends.
#[derive(Debug, Deserialize)]
struct Wish {
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    password_hash: Option<String>,
    #[serde(default)]
    hashing_algorithm: Option<String>,
    #[serde(default)]
    tags: Option<Value>,
}

async fn put(context: &Context, request: &Request, name: &str) -> Result<Answer, Failure> {
    let wish: Wish = request.json()?;
    let missing = || Failure::Bad("tags_not_present".to_owned());
    let tags = read_tags(wish.tags.as_ref().ok_or_else(missing)?)?;
    let password = read_password(&wish)?;
    let name = name.to_owned();
    let put = move |access: &mut Access| {
        let known = access.user(&name).map(|user| User::clone(user));
        let is_new = known.is_none();
        let mut user = known.unwrap_or_else(|| User::new(&name));
        if let Some(password) = password {
            user.password = password;
        }
        user.tags = tags;
        access.put_user(user).map(|()| is_new)
    };
    Ok(if context.edit(put).await?? { Answer::Created(None) } else { Answer::Done })
}

/// The new password; within it, none for a user without. An outer none leaves what there is.
fn read_password(wish: &Wish) -> Result<Option<Option<PasswordHash>>, Failure> {
    let bad = |error: &dyn std::fmt::Display| Failure::Bad(error.to_string());
    match (&wish.password_hash, &wish.password) {
        (Some(hash), _) => {
            let hashing = match &wish.hashing_algorithm {
                Some(name) => name.parse().map_err(|error| bad(&error))?,
                None => Hashing::default(),
            };
            PasswordHash::parse(hash, hashing).map(Some).map_err(|error| bad(&error))
        }
        (None, Some(password)) if password.is_empty() => Ok(Some(None)),
        (None, Some(password)) if password.len() > PASSWORD_BYTES_MAX => {
            Err(Failure::Bad(format!("a password has at most {PASSWORD_BYTES_MAX} bytes")))
        }
        (None, Some(password)) => Ok(Some(Some(PasswordHash::make(password, salt())))),
        (None, None) => Ok(None),
    }
}

fn read_tags(value: &Value) -> Result<Vec<Tag>, Failure> {
    let wrong = || Failure::Bad("tags: a list or a text with commas is expected".to_owned());
    match value {
        Value::String(text) => Ok(Tag::list(text)),
        Value::Array(tags) => tags.iter().map(|tag| tag.as_str().map(Tag::new).ok_or_else(wrong)).collect(),
        _ => Err(wrong()),
    }
}

/// What `POST /api/users/bulk-delete` sends.
#[derive(Debug, Deserialize)]
struct Many {
    users: Vec<String>,
}

async fn delete_many(context: &Context, request: &Request) -> Result<Answer, Failure> {
    let Many { users } = request.json()?;
    delete(context, users).await?;
    Ok(Answer::Done)
}

/// Deletes those that are there, and closes their connections. Says who they were.
async fn delete(context: &Context, mut users: Vec<String>) -> Result<Vec<String>, Failure> {
    let delete = move |access: &mut Access| {
        users.retain(|user| access.delete_user(user));
        users
    };
    let gone = context.edit(delete).await?;
    for user in &gone {
        connections::close_all_of(context, user, &format!("user '{user}' was deleted")).await;
    }
    Ok(gone)
}

fn show(user: &User) -> Value {
    let tags: Vec<String> = user.tags.iter().map(ToString::to_string).collect();
    let hashing = user.password.as_ref().map_or_else(Hashing::default, PasswordHash::hashing);
    json!({
        "name": &*user.name,
        "password_hash": user.password.as_ref().map(PasswordHash::to_base64).unwrap_or_default(),
        "hashing_algorithm": hashing.name(),
        "tags": tags,
        "limits": user.limits.to_json(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_as_text_or_list() {
        let expected = vec![Tag::Administrator, Tag::Other("x".into())];
        assert_eq!(read_tags(&json!("administrator,x")).unwrap(), expected);
        assert_eq!(read_tags(&json!(["administrator", "x"])).unwrap(), expected);
        assert!(read_tags(&json!(7)).is_err());
    }

    #[test]
    fn a_password_is_hashed_a_hash_is_kept_and_nothing_changes_nothing() {
        let read = |json: Value| read_password(&serde_json::from_value(json).unwrap());
        assert!(read(json!({"password": "p"})).unwrap().unwrap().unwrap().verify("p"));
        assert_eq!(read(json!({"password_hash": ""})).unwrap(), Some(None));
        assert_eq!(read(json!({})).unwrap(), None);
        assert!(read(json!({"password_hash": "!"})).is_err());
        let hash = PasswordHash::make("q", [1; 4]).to_base64();
        assert!(read(json!({"password_hash": hash})).unwrap().unwrap().unwrap().verify("q"));
    }
}
