//! Reads of pairs: one, a subtree, or keys alone; raw; blocking.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use tokio::time;

use super::{PairView, StoreKey, missing_key, requested, value::Pair};
use crate::{
    http::{
        Api,
        ask::{Ask, Blocking},
        error::ApiError,
        limits::KV_READ_BYTES_MAX,
        reply::{Reply, set_index},
    },
    store::{PAGE_KEYS_MAX, Revision, Versioned},
};

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    One,
    Tree,
    Keys,
}

/// GET.
pub(crate) async fn read(
    State(api): State<Arc<Api>>,
    ask: Ask,
    path: Option<Path<String>>,
) -> Result<Response, ApiError> {
    let key = requested(&ask, path)?;
    let mode = if ask.has("keys") {
        Mode::Keys
    } else if ask.has("recurse") {
        Mode::Tree
    } else if key.is_root() {
        return Err(missing_key());
    } else {
        Mode::One
    };
    if let Some(blocking) = ask.blocking()? {
        wait(&api, &key, mode, blocking).await?;
    }
    let (revision, entries) = entries(&api, &key, mode).await?;
    let mut response = if entries.is_empty() {
        StatusCode::NOT_FOUND.into_response()
    } else {
        shown(&ask, &key, mode, &entries)
    };
    set_index(&mut response, revision);
    Ok(response)
}

/// The entries asked for and a revision that they are at least as new as: a tree over several pages is shown
/// at its first page's revision, so that a blocking query that follows misses nothing.
async fn entries(api: &Api, key: &StoreKey, mode: Mode) -> Result<(Revision, Vec<Versioned>), ApiError> {
    if mode == Mode::One {
        // The revision first: what is read after it may be newer than it says, never older.
        let revision = api.store.revision();
        return Ok((revision, api.store.get(&key.text).await?.into_iter().collect()));
    }
    let (mut all, mut after, mut bytes, mut revision) = (Vec::new(), None::<Arc<str>>, 0, None);
    loop {
        let page = api.store.range(&key.text, after.as_deref(), PAGE_KEYS_MAX).await?;
        let _first = revision.get_or_insert(page.revision);
        bytes += page.entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum::<usize>();
        if bytes > KV_READ_BYTES_MAX {
            return Err(ApiError::TooLarge { limit: KV_READ_BYTES_MAX });
        }
        all.extend(page.entries);
        after = page.next;
        if after.is_none() {
            return Ok((revision.unwrap_or_default(), all));
        }
    }
}

fn shown(ask: &Ask, key: &StoreKey, mode: Mode, entries: &[Versioned]) -> Response {
    if mode == Mode::Keys {
        let separator = ask.value("separator").unwrap_or_default();
        return Reply::of(grouped(key, entries, separator)).into_response();
    }
    if mode == Mode::One && ask.has("raw") {
        let value = entries.first().and_then(|entry| Pair::decode(&entry.value)).map(|pair| pair.value);
        let headers = [(header::CONTENT_TYPE, "text/plain"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
        return (headers, value.unwrap_or_default()).into_response();
    }
    let views: Vec<_> =
        entries.iter().filter_map(|entry| PairView::of(key.caller(&entry.key), entry)).collect();
    Reply::of(views).into_response()
}

/// The keys, each cut after the first `separator` beyond the prefix, and each once.
fn grouped(prefix: &StoreKey, entries: &[Versioned], separator: &str) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for entry in entries {
        let rest = entry.key.get(prefix.text.len()..).unwrap_or_default();
        let end = match rest.find(separator) {
            Some(at) if !separator.is_empty() => prefix.text.len() + at + separator.len(),
            _ => entry.key.len(),
        };
        let key = prefix.caller(entry.key.get(..end).unwrap_or_default());
        if keys.last().is_none_or(|last| last != key) {
            keys.push(key.to_owned());
        }
    }
    keys
}

/// Until something under the key changed beyond the index. A revision that is no longer in the history may
/// hide a change, so it ends the wait: the caller reads, at worst, what it knows.
async fn wait(api: &Api, key: &StoreKey, mode: Mode, blocking: Blocking) -> Result<(), ApiError> {
    if blocking.index > api.store.revision().max(1) {
        return Ok(());
    }
    let _waiting = api.begin_blocking()?;
    let Ok(mut watch) = api.store.watch(&key.text, blocking.index + 1) else { return Ok(()) };
    let changed = async {
        while let Ok(event) = watch.next().await {
            if mode != Mode::One || event.changes.iter().any(|change| *change.key == *key.text) {
                return;
            }
        }
    };
    tokio::select! {
        // A change that came with the end of the wait is worth telling.
        biased;
        () = changed => {}
        () = api.stopping.cancelled() => {}
        () = time::sleep(blocking.wait) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_after_the_separator_and_listed_once() {
        let key = |text: &str| StoreKey::new(&"default".parse().unwrap(), text).unwrap();
        let entries: Vec<_> = ["a/1", "a/b/1", "a/b/2", "a/c"]
            .into_iter()
            .map(|text| Versioned {
                key: key(text).text.into(),
                value: Pair { flags: 0, value: "v".into() }.encode(),
                create_revision: 1,
                mod_revision: 1,
                lease: None,
            })
            .collect();
        assert_eq!(grouped(&key("a/"), &entries, "/"), ["a/1", "a/b/", "a/c"]);
        assert_eq!(grouped(&key(""), &entries, "/"), ["a/"]);
        assert_eq!(grouped(&key("a/"), &entries, "").len(), 4);
    }
}
