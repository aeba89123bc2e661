//! `/apis/<group>/<version>/…`: resources, on the paths and in the shapes of the Kubernetes API (kubernetes.io,
//! "API Concepts"), so that its clients understand them. It knows paths and answers; what may be written is
//! `crate::resources`'s, what it means the model's.

mod failure;
mod groups;
mod view;

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, Query, State},
};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use weft_model::{
    name::Label,
    resource::{Kind, text},
};

pub(crate) use groups::{core, core_versions, discovery, group, groups};
pub(crate) use view::ResourceView;

use self::failure::{Failure, Subject};
use super::{Api, body, limits::JSON_BODY_BYTES_MAX, reply::Reply};
use crate::resources::{Key, Mode};

/// Query parameters that would change the answer, and are not there yet.
const UNSUPPORTED: [&str; 3] = ["watch", "labelSelector", "fieldSelector"];

type Params = Query<HashMap<String, String>>;
type Answer = Result<Reply<Value>, Failure>;

/// What a path names: `{group, version, plural}` and, where it has them, a namespace and a name.
type Named = Path<HashMap<String, String>>;

/// GET of all of a kind, in one namespace or in all.
pub(crate) async fn list(State(api): State<Arc<Api>>, Path(path): Named, Query(query): Params) -> Answer {
    let kind = kind(&path)?;
    supported(&query)?;
    let namespace = path.contains_key("namespace").then(|| namespace(&path)).transpose()?;
    let board = api.resources.board();
    let view = view::World::new(&api, &board);
    let items: Vec<Value> = board.list(kind, namespace.as_ref()).map(|entry| view.show(entry)).collect();
    Ok(Reply::of(json!({
        "apiVersion": kind.api_version(),
        "kind": format!("{kind}List"),
        "metadata": { "resourceVersion": board.revision().to_string() },
        "items": items,
    })))
}

/// GET of one.
pub(crate) async fn read(State(api): State<Arc<Api>>, Path(path): Named, Query(query): Params) -> Answer {
    supported(&query)?;
    let key = key(&path)?;
    let board = api.resources.board();
    let entry = board.find(&key).ok_or_else(|| Failure::not_found(&key))?;
    Ok(Reply::of(view::World::new(&api, &board).show(entry)))
}

/// POST to the list: makes one.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Path(path): Named,
    Query(query): Params,
    body: Body,
) -> Answer {
    let (kind, namespace, mode) = (kind(&path)?, namespace(&path)?, mode(&query)?);
    let object = object(body, kind).await?;
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().into();
    let key = Key { kind, namespace, name };
    check_place(&object, &key)?;
    let written = api.resources.create(key, object, mode).await?;
    Ok(Reply::of(view::World::new(&api, &api.resources.board()).show(&written.entry))
        .status(StatusCode::CREATED))
}

/// PUT to one: takes its place.
pub(crate) async fn replace(
    State(api): State<Arc<Api>>,
    Path(path): Named,
    Query(query): Params,
    body: Body,
) -> Answer {
    let (key, mode) = (key(&path)?, mode(&query)?);
    let object = object(body, key.kind).await?;
    check_place(&object, &key)?;
    let written = api.resources.replace(key, object, mode).await?;
    Ok(Reply::of(view::World::new(&api, &api.resources.board()).show(&written.entry)))
}

/// DELETE of one.
pub(crate) async fn delete(State(api): State<Arc<Api>>, Path(path): Named, Query(query): Params) -> Answer {
    let (key, mode) = (key(&path)?, mode(&query)?);
    let subject = Subject::of(&key);
    let gone = api.resources.delete(key, mode).await?;
    let uid = gone.object.pointer("/metadata/uid").cloned().unwrap_or_default();
    Ok(Reply::of(json!({
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Success",
        "details": { "name": subject.name, "group": subject.group, "kind": subject.plural, "uid": uid },
    })))
}

fn kind(path: &HashMap<String, String>) -> Result<Kind, Failure> {
    let part = |name| path.get(name).map(String::as_str).unwrap_or_default();
    let (group, version, plural) = (part("group"), part("version"), part("plural"));
    let fits = |kind: &Kind| kind.group() == group && kind.version() == version && kind.plural() == plural;
    Kind::ALL.into_iter().find(fits).ok_or_else(|| Failure::unknown_kind(group, version, plural))
}

fn namespace(path: &HashMap<String, String>) -> Result<Label, Failure> {
    let text = path.get("namespace").map(String::as_str).unwrap_or_default();
    text.parse().map_err(|error: weft_model::name::NameError| Failure::bad(error.to_string()))
}

fn key(path: &HashMap<String, String>) -> Result<Key, Failure> {
    let name = path.get("name").map(String::as_str).unwrap_or_default();
    Ok(Key { kind: kind(path)?, namespace: namespace(path)?, name: name.into() })
}

fn mode(query: &HashMap<String, String>) -> Result<Mode, Failure> {
    match query.get("dryRun").map(String::as_str) {
        None | Some("") => Ok(Mode::Write),
        Some("All") => Ok(Mode::DryRun),
        Some(other) => {
            Err(Failure::bad(format!("dryRun: `{other}` is not known: give `All`, or leave it out")))
        }
    }
}

/// A parameter that is passed over would make the answer a wrong one.
fn supported(query: &HashMap<String, String>) -> Result<(), Failure> {
    let asked =
        |name: &&str| query.get(*name).is_some_and(|value| !matches!(value.as_str(), "" | "false" | "0"));
    match UNSUPPORTED.into_iter().find(|name| asked(name)) {
        Some(name) => Err(Failure::bad(format!("{name} is not supported: list without it"))),
        None => Ok(()),
    }
}

/// The object of a body: JSON, or YAML of one document.
async fn object(body: Body, kind: Kind) -> Result<Value, Failure> {
    let bytes: Bytes = body::read(body, JSON_BODY_BYTES_MAX).await?;
    let json = text::json(&bytes);
    // What begins as JSON is told of as JSON.
    let is_yaml = json.is_err() && !bytes.trim_ascii_start().starts_with(b"{");
    let object = match std::str::from_utf8(&bytes) {
        Ok(yaml) if is_yaml => {
            text::yaml(yaml).map(|mut objects| objects.pop().filter(|_| objects.is_empty()))
        }
        Ok(_) | Err(_) => json.map(|value| Some(text::Object { value, number: 1 })),
    };
    let object = object.map_err(|error| Failure::bad(format!("the body is no {kind}: {error}")))?;
    let object = object.ok_or_else(|| Failure::bad(format!("the body is to be one {kind}")))?;
    if object.value.is_object() {
        Ok(object.value)
    } else {
        Err(Failure::bad(format!("the body is no {kind}: it is no object")))
    }
}

/// What an object says of its own place is what the path says.
fn check_place(object: &Value, key: &Key) -> Result<(), Failure> {
    let said = |field: &str| {
        object.pointer(&format!("/{field}")).and_then(Value::as_str).filter(|said| !said.is_empty())
    };
    let places = [
        ("kind", key.kind.as_str().to_owned()),
        ("metadata/name", key.name.to_string()),
        ("metadata/namespace", key.namespace.to_string()),
    ];
    for (field, place) in places {
        if let Some(said) = said(field).filter(|said| *said != place) {
            let field = field.replace('/', ".");
            return Err(Failure::bad(format!(
                "{field} is `{said}`, and the path says `{place}`: make them the same"
            )));
        }
    }
    Ok(())
}
