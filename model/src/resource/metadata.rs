//! `metadata` of an object: its name and place, its labels, and what the control plane has given it.

use std::{collections::BTreeMap, sync::Arc, time::UNIX_EPOCH};

use super::{
    decode::{Fields, Node},
    error::{Reason, clip},
    value::{self, SUBDOMAIN_MAX},
};
use crate::name::{DEFAULT_NAMESPACE, LABEL_LENGTH_MAX, Label};

/// All annotations of an object together, in bytes (Kubernetes' limit).
pub const ANNOTATIONS_SIZE_MAX: usize = 256 * 1_024;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// DNS labels with dots between them, 253 bytes at most.
    pub name: Arc<str>,
    /// `default` where none is given.
    pub namespace: Label,
    /// For selection by people.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// Anything.
    pub annotations: BTreeMap<Box<str>, Box<str>>,
    /// Made with the object; absent before that.
    pub uid: Option<Box<str>>,
    /// Counts the changes of `spec`; 0 before the first.
    pub generation: u64,
    /// The store's revision at the last change; in a write, the one that it was made from.
    pub resource_version: Option<Box<str>>,
    /// Milliseconds since the epoch; 0 before it was made.
    pub created_ms: u64,
}

pub(super) fn read(node: &Node<'_>) -> Option<Metadata> {
    node.object(|fields| {
        let name = fields.required("name", value::subdomain);
        let namespace = fields.get("namespace").map_or_else(default_namespace, |node| value::label(&node));
        let labels = fields.optional("labels", labels).unwrap_or_default();
        let annotations = fields.optional("annotations", annotations).unwrap_or_default();
        let uid = fields.optional("uid", |node| node.text_of(1..=SUBDOMAIN_MAX)).map(Into::into);
        let generation = fields.optional("generation", |node| node.integer(0..=u64::MAX)).unwrap_or(0);
        let resource_version = fields.optional("resourceVersion", |node| node.text()).map(Into::into);
        let created_ms = fields.optional("creationTimestamp", timestamp).unwrap_or(0);
        refuse_what_is_not_kept(fields);
        Some(Metadata {
            name: name?.into(),
            namespace: namespace?,
            labels,
            annotations,
            uid,
            generation,
            resource_version,
            created_ms,
        })
    })
}

/// Fields of Kubernetes' own machinery: those that only describe are taken and not acted on, those that ask for
/// something are refused.
fn refuse_what_is_not_kept(fields: &mut Fields<'_>) {
    for described in ["managedFields", "selfLink"] {
        fields.pass_over(described);
    }
    fields.unsupported("generateName", "give a `name`");
    fields.unsupported("finalizers", "an object is deleted at once");
    fields.unsupported("ownerReferences", "nothing is deleted with its owner");
    fields.unsupported("deletionTimestamp", "use `weft delete`");
    fields.unsupported("deletionGracePeriodSeconds", "an object is deleted at once");
}

fn default_namespace() -> Option<Label> {
    DEFAULT_NAMESPACE.parse().ok()
}

fn labels(node: &Node<'_>) -> Option<BTreeMap<Box<str>, Box<str>>> {
    let mut labels = BTreeMap::new();
    for (key, entry) in node.entries() {
        check_key(key, &entry);
        let Some(text) = entry.text() else { continue };
        if !text.is_empty() && !is_label_text(text) {
            let advice =
                "up to 63 letters, digits, hyphens, underscores and dots, a letter or digit at either end";
            entry.invalid(format!("`{}` is not a label's value: write {advice}", clip(text)));
        }
        labels.insert(key.into(), text.into());
    }
    Some(labels)
}

fn annotations(node: &Node<'_>) -> Option<BTreeMap<Box<str>, Box<str>>> {
    let mut annotations = BTreeMap::new();
    let mut size = 0;
    for (key, entry) in node.entries() {
        check_key(key, &entry);
        let Some(text) = entry.text() else { continue };
        size += key.len() + text.len();
        annotations.insert(key.into(), text.into());
    }
    if size > ANNOTATIONS_SIZE_MAX {
        let message = format!("have {size} bytes together: give at most {ANNOTATIONS_SIZE_MAX}");
        node.fail(Reason::TooLong, message);
    }
    Some(annotations)
}

/// `name` or `domain/name`.
fn check_key(key: &str, node: &Node<'_>) {
    let name = match key.split_once('/') {
        Some((prefix, name)) if value::is_subdomain(prefix) => Some(name),
        Some(_) => None,
        None => Some(key),
    };
    if !name.is_some_and(is_label_text) {
        node.invalid("is not a key: write `name` or `example.com/name`, the name with up to 63 letters, digits, `-`, `_` and `.`");
    }
}

fn is_label_text(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    (1..=LABEL_LENGTH_MAX).contains(&bytes.len())
        && bytes.iter().copied().all(is_inner)
        && is_outer(bytes.first())
        && is_outer(bytes.last())
}

/// RFC 3339, as in `2026-11-22T15:52:00Z`.
fn timestamp(node: &Node<'_>) -> Option<u64> {
    let text = node.text()?;
    let parsed = humantime::parse_rfc3339(text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    match parsed.and_then(|since| u64::try_from(since.as_millis()).ok()) {
        Some(milliseconds) => Some(milliseconds),
        None => {
            let example = "the control plane gives it, as in `2026-11-22T15:52:00Z`";
            node.invalid(format!("`{}` is not a time: leave it out, {example}", clip(text)));
            None
        }
    }
}
