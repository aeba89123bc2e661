//! Writes of pairs: put, delete, both with compare-and-set, and the delete of a subtree.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
};

use super::{StoreKey, missing_key, requested, value::Pair};
use crate::{
    http::{Api, ask::Ask, body, error::ApiError, limits::KV_VALUE_BYTES_MAX, reply::Reply},
    store::{Committed, Expect, Guard, Operation, TXN_OPERATIONS_MAX, Txn},
};

/// PUT: true if it was written, false if `cas` did not hold.
pub(crate) async fn put(
    State(api): State<Arc<Api>>,
    ask: Ask,
    path: Option<Path<String>>,
    body: Body,
) -> Result<Reply<bool>, ApiError> {
    let key = requested(&ask, path)?;
    if key.is_root() {
        return Err(missing_key());
    }
    let (flags, cas) = (ask.number("flags")?.unwrap_or(0), ask.number("cas")?);
    let value = Pair { flags, value: body::read(body, KV_VALUE_BYTES_MAX).await? }.encode();
    if unchanged(&api, &key, cas, &value).await? {
        return Ok(Reply::of(true));
    }
    let key: Arc<str> = key.text.into();
    let guards = cas.map(|expected| guard(&key, expected)).into_iter().collect();
    let operations = vec![Operation::Put { key, value, lease: None }];
    commit(&api, Txn { guards, operations }).await
}

/// DELETE: true also for what is not there; false if `cas` did not hold.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    ask: Ask,
    path: Option<Path<String>>,
) -> Result<Reply<bool>, ApiError> {
    let key = requested(&ask, path)?;
    let cas = ask.number("cas")?;
    if ask.has("recurse") {
        if cas.is_some() {
            return Err(ApiError::bad("Conflicting flags: recurse and cas"));
        }
        return delete_tree(&api, &key).await;
    }
    if key.is_root() {
        return Err(missing_key());
    }
    let key: Arc<str> = key.text.into();
    let operations = vec![Operation::Delete { key: Arc::clone(&key) }];
    let Some(expected) = cas else {
        return commit(&api, Txn { guards: Vec::new(), operations }).await;
    };
    match api.store.get(&key).await? {
        None => Ok(Reply::of(true)),
        Some(_) => commit(&api, Txn { guards: vec![guard(&key, expected)], operations }).await,
    }
}

/// Page by page, each a transaction of its own: the store's limit is below Consul's.
async fn delete_tree(api: &Api, prefix: &StoreKey) -> Result<Reply<bool>, ApiError> {
    loop {
        let page = api.store.range(&prefix.text, None, TXN_OPERATIONS_MAX).await?;
        if page.entries.is_empty() {
            return Ok(Reply::of(true));
        }
        let operations = page.entries.into_iter().map(|entry| Operation::Delete { key: entry.key }).collect();
        api.store.commit(Txn { guards: Vec::new(), operations }).await?;
        if page.next.is_none() {
            return Ok(Reply::of(true));
        }
    }
}

/// Consul's put of what is there already changes no index.
async fn unchanged(api: &Api, key: &StoreKey, cas: Option<u64>, value: &[u8]) -> Result<bool, ApiError> {
    let current = api.store.get(&key.text).await?;
    Ok(current.is_some_and(|current| {
        *current.value == *value && cas.is_none_or(|expected| expected == current.mod_revision)
    }))
}

fn guard(key: &Arc<str>, mod_revision: u64) -> Guard {
    Guard { key: Arc::clone(key), expect: Expect::ModRevision(mod_revision) }
}

async fn commit(api: &Api, txn: Txn) -> Result<Reply<bool>, ApiError> {
    let committed = api.store.commit(txn).await?;
    Ok(Reply::of(matches!(committed, Committed::At(_))))
}
