//! What a dead-lettered message says of its deaths: the headers `x-death`, `x-first-death-…` and `x-last-death-…` of
//! RabbitMQ's "Dead Letter Exchanges". Pure: tables in, tables out.

use crate::amqp::value::{FieldTable, FieldValue};

/// The list of deaths, the latest first.
pub(super) const X_DEATH: &str = "x-death";
/// Deaths of a message that are told one by one; RabbitMQ folds the same queue and reason into one.
pub(super) const DEATHS_MAX: usize = 64;

/// Why a message died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    /// Its time was over.
    Expired,
    /// The queue was too long.
    MaxLength,
    /// A consumer did not want it.
    Rejected,
    /// It came back too often.
    DeliveryLimit,
}

impl Reason {
    /// As in the headers.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::Rejected => "rejected",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// One death.
#[derive(Debug, Clone, Copy)]
pub(super) struct Death<'a> {
    /// Where.
    pub(super) queue: &'a str,
    /// Why.
    pub(super) reason: Reason,
    /// The exchange that it was published to.
    pub(super) exchange: &'a str,
    /// The keys that it was published with: the routing key, then those of `CC`.
    pub(super) routing_keys: &'a [&'a str],
    /// Its own time to live, which it loses.
    pub(super) expiration: Option<&'a str>,
    /// Seconds since 1970.
    pub(super) at: u64,
}

/// Takes out what a client says of deaths: RabbitMQ 4 believes its own word alone.
pub(super) fn forget(headers: &mut FieldTable) {
    headers.remove(X_DEATH);
    for what in ["reason", "queue", "exchange"] {
        headers.remove(&format!("x-first-death-{what}"));
    }
}

/// Writes a death into the headers.
pub(super) fn record(headers: &mut FieldTable, death: &Death<'_>) {
    let mut deaths = match headers.remove(X_DEATH) {
        Some(FieldValue::Array(deaths)) => deaths,
        _ => Vec::new(),
    };
    let is_same = |value: &FieldValue| match value {
        FieldValue::Table(table) => {
            text(table, "queue") == Some(death.queue) && text(table, "reason") == Some(death.reason.as_str())
        }
        _ => false,
    };
    let latest = match deaths.iter().position(is_same).map(|at| deaths.remove(at)) {
        Some(FieldValue::Table(mut table)) => {
            let count = table.find("count").and_then(FieldValue::as_integer).unwrap_or(0);
            table.set("count", FieldValue::I64(count.saturating_add(1)));
            table
        }
        _ => first(death),
    };
    deaths.insert(0, FieldValue::Table(latest));
    deaths.truncate(DEATHS_MAX);
    let mut put = |name: &str, value: FieldValue| headers.set(name, value);
    put(X_DEATH, FieldValue::Array(deaths));
    let told = [("reason", death.reason.as_str()), ("queue", death.queue), ("exchange", death.exchange)];
    for (what, value) in told {
        let first = format!("x-first-death-{what}");
        if headers.find(&first).is_none() {
            headers.set(first, FieldValue::text(value));
        }
        headers.set(format!("x-last-death-{what}"), FieldValue::text(value));
    }
}

fn first(death: &Death<'_>) -> FieldTable {
    let mut table = FieldTable::new();
    table.push("count".to_owned(), FieldValue::I64(1));
    table.push("exchange".to_owned(), FieldValue::text(death.exchange));
    table.push("queue".to_owned(), FieldValue::text(death.queue));
    table.push("reason".to_owned(), FieldValue::text(death.reason.as_str()));
    let keys = death.routing_keys.iter().map(FieldValue::text).collect();
    table.push("routing-keys".to_owned(), FieldValue::Array(keys));
    table.push("time".to_owned(), FieldValue::Timestamp(death.at));
    if let Some(expiration) = death.expiration {
        table.push("original-expiration".to_owned(), FieldValue::text(expiration));
    }
    table
}

/// Whether a message that has died as its headers say would come round to `queue` for ever: it has died there before, and
/// on the way since nobody has rejected it (RabbitMQ: "automatic dead lettering cycles"). One that has died in as many ways
/// as are told goes round as well: of its first deaths nothing is known any more.
pub(super) fn is_cycle(headers: Option<&FieldTable>, queue: &str, reason: Reason) -> bool {
    if reason == Reason::Rejected {
        return false;
    }
    let Some(FieldValue::Array(deaths)) = headers.and_then(|headers| headers.find(X_DEATH)) else {
        return false;
    };
    let tables = || {
        deaths.iter().filter_map(|death| match death {
            FieldValue::Table(table) => Some(table),
            _ => None,
        })
    };
    if deaths.len() >= DEATHS_MAX {
        return true;
    }
    let Some(at) = tables().position(|table| text(table, "queue") == Some(queue)) else { return false };
    tables().take(at + 1).all(|table| text(table, "reason") != Some(Reason::Rejected.as_str()))
}

fn text<'a>(table: &'a FieldTable, name: &str) -> Option<&'a str> {
    table.find(name).and_then(FieldValue::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(queue: &'static str, reason: Reason) -> Death<'static> {
        Death { queue, reason, exchange: "x", routing_keys: &["k"], expiration: None, at: 9 }
    }

    fn deaths(headers: &FieldTable) -> Vec<(String, i64)> {
        let Some(FieldValue::Array(deaths)) = headers.find(X_DEATH) else { return Vec::new() };
        let read = |value: &FieldValue| match value {
            FieldValue::Table(table) => (
                text(table, "queue").unwrap_or_default().to_owned(),
                table.find("count").and_then(FieldValue::as_integer).unwrap_or_default(),
            ),
            _ => panic!("no table"),
        };
        deaths.iter().map(read).collect()
    }

    #[test]
    fn the_latest_death_is_first_and_repeated_ones_are_counted() {
        let mut headers = FieldTable::new();
        for queue in ["a", "b", "a"] {
            record(&mut headers, &death(queue, Reason::Expired));
        }
        assert_eq!(deaths(&headers), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        assert_eq!(text(&headers, "x-first-death-queue"), Some("a"));
        record(&mut headers, &death("c", Reason::Rejected));
        assert_eq!(text(&headers, "x-first-death-reason"), Some("expired"));
        assert_eq!(text(&headers, "x-last-death-reason"), Some("rejected"));
    }

    #[test]
    fn a_cycle_is_one_that_nobody_breaks() {
        let mut headers = FieldTable::new();
        record(&mut headers, &death("a", Reason::Expired));
        record(&mut headers, &death("b", Reason::Expired));
        assert!(is_cycle(Some(&headers), "a", Reason::Expired));
        assert!(!is_cycle(Some(&headers), "c", Reason::Expired));
        assert!(!is_cycle(Some(&headers), "a", Reason::Rejected));
        record(&mut headers, &death("b", Reason::Rejected));
        assert!(!is_cycle(Some(&headers), "a", Reason::Expired));
        assert!(!is_cycle(None, "a", Reason::Expired));
    }
}
