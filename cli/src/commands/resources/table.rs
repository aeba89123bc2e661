//! Resources as rows: what they are about, whether they count, and by how many sidecars they were applied.

use std::{fmt, time::SystemTime};

use serde_json::Value;

use crate::output;

/// By how many sidecars a resource was applied.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) subscribed: u64,
    pub(super) applied: u64,
    pub(super) pending: Vec<String>,
    /// Sidecar and reason.
    pub(super) refused_by: Vec<(String, String)>,
}

impl Applied {
    /// From `status.sidecars`.
    pub(super) fn of(object: &Value) -> Self {
        let sidecars = object.pointer("/status/sidecars").cloned().unwrap_or_default();
        let number = |field: &str| sidecars.get(field).and_then(Value::as_u64).unwrap_or_default();
        let list = |field: &str| sidecars.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |value: &Value, field: &str| {
            value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Self {
            subscribed: number("subscribed"),
            applied: number("applied"),
            pending: list("pending").iter().filter_map(|one| Some(one.as_str()?.to_owned())).collect(),
            refused_by: list("refusedBy")
                .iter()
                .map(|one| (text(one, "sidecar"), text(one, "reason")))
                .collect(),
        }
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.subscribed == 1 { "" } else { "s" };
        write!(f, "{}/{} sidecar{plural}", self.applied, self.subscribed)
    }
}

/// Prints them.
pub(super) fn print(items: &[Value], all_namespaces: bool, wide: bool) -> anyhow::Result<()> {
    let mut headings = vec!["name", "for", "accepted", "resolved", "applied", "age"];
    if all_namespaces {
        headings.insert(0, "namespace");
    }
    if wide {
        headings.extend(["generation", "trouble"]);
    }
    let rows: Vec<Vec<String>> = items.iter().map(|item| row(item, all_namespaces, wide)).collect();
    output::table(&headings, &rows)
}

/// What somebody should look at: conditions that do not hold, and who refuses it.
pub(crate) fn troubles(object: &Value) -> Vec<String> {
    let conditions = conditions(object);
    let failing = conditions.iter().filter(|one| text(one, "/status") != "True");
    let failing = failing.map(|one| text(one, "/message").to_owned());
    let refused = Applied::of(object).refused_by;
    let unreadable = object.pointer("/status/trouble").and_then(Value::as_str).map(ToOwned::to_owned);
    let refused = refused.iter().map(|(sidecar, reason)| format!("refused by {sidecar}: {reason}"));
    failing.chain(refused).chain(unreadable).collect()
}

fn row(object: &Value, all_namespaces: bool, wide: bool) -> Vec<String> {
    let conditions = conditions(object);
    // Of several parents: whether it holds for all.
    let holds = |kind: &str| {
        let mut of_kind = conditions.iter().filter(|one| text(one, "/type") == kind).peekable();
        let any = of_kind.peek().is_some();
        let all = of_kind.all(|one| text(one, "/status") == "True");
        if !any { String::new() } else { (if all { "True" } else { "False" }).to_owned() }
    };
    let mut row = vec![
        text(object, "/metadata/name").to_owned(),
        targets(object).join(","),
        holds("Accepted"),
        holds("ResolvedRefs"),
        Applied::of(object).to_string(),
        age(text(object, "/metadata/creationTimestamp")),
    ];
    if all_namespaces {
        row.insert(0, text(object, "/metadata/namespace").to_owned());
    }
    if wide {
        row.push(object.pointer("/metadata/generation").map(ToString::to_string).unwrap_or_default());
        row.push(troubles(object).join("; "));
    }
    row
}

fn statuses(object: &Value) -> Vec<&Value> {
    let lists = ["/status/parents", "/status/ancestors"];
    lists.iter().filter_map(|list| object.pointer(list)?.as_array()).flatten().collect()
}

fn conditions(object: &Value) -> Vec<&Value> {
    statuses(object).into_iter().filter_map(|status| status.get("conditions")?.as_array()).flatten().collect()
}

/// The services that it is about, with the port where it is about one.
fn targets(object: &Value) -> Vec<String> {
    let mut targets: Vec<String> = Vec::new();
    for status in statuses(object) {
        let reference = status.get("parentRef").or_else(|| status.get("ancestorRef"));
        let Some(reference) = reference else { continue };
        let name = text(reference, "/name");
        let port = reference.get("port").or_else(|| reference.get("sectionName"));
        let port = port.map(|port| port.as_str().map_or_else(|| port.to_string(), ToOwned::to_owned));
        targets.push(port.map_or_else(|| name.to_owned(), |port| format!("{name}:{port}")));
    }
    targets.dedup();
    targets
}

fn text<'v>(value: &'v Value, place: &str) -> &'v str {
    value.pointer(place).and_then(Value::as_str).unwrap_or_default()
}

/// As `kubectl` shows it: the largest unit alone.
fn age(created: &str) -> String {
    let created = humantime::parse_rfc3339(created).ok();
    let seconds = created.and_then(|at| Some(SystemTime::now().duration_since(at).ok()?.as_secs()));
    match seconds {
        None => String::new(),
        Some(seconds @ 0..60) => format!("{seconds}s"),
        Some(seconds @ 60..3_600) => format!("{}m", seconds / 60),
        Some(seconds @ 3_600..86_400) => format!("{}h", seconds / 3_600),
        Some(seconds) => format!("{}d", seconds / 86_400),
    }
}
