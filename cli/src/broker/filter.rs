//! Which dead letters `weft redrive` takes: `--filter NAME=VALUE`. Pure.

use std::str::FromStr;

use weft_broker::amqp::value::{FieldTable, FieldValue};

use super::origin::Origin;

/// The reasons of `x-death`.
const REASONS: [&str; 4] = ["expired", "rejected", "maxlen", "delivery_limit"];

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Why it died.
    Reason(String),
    /// Where it died.
    Queue(String),
    /// A pattern of a topic exchange that one of its routing keys fits.
    RoutingKey(String),
    /// A header with a value.
    Header {
        /// Its name.
        name: String,
        /// Its value as text.
        value: String,
    },
}

impl Filter {
    /// Whether it holds for a message of that origin with these headers.
    pub fn holds(&self, origin: &Origin, headers: &FieldTable) -> bool {
        match self {
            Self::Reason(reason) => origin.reason == *reason,
            Self::Queue(queue) => origin.queue == *queue,
            Self::RoutingKey(pattern) => origin.routing_keys.iter().any(|key| fits(pattern, key)),
            Self::Header { name, value } => headers.find(name).is_some_and(|found| reads(found, value)),
        }
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parted = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) = parted.ok_or_else(|| {
            format!("`{text}` is no filter: give reason=, queue=, routing-key= or HEADER= with a value")
        })?;
        let value = value.to_owned();
        Ok(match name {
            "reason" if !REASONS.contains(&value.as_str()) => {
                return Err(format!(
                    "nothing dies of `{value}`: reasons are {}; of a header of that name, write header:reason={value}",
                    REASONS.join(", ")
                ));
            }
            "reason" => Self::Reason(value),
            "queue" => Self::Queue(value),
            "routing-key" => Self::RoutingKey(value),
            _ => Self::Header { name: name.strip_prefix("header:").unwrap_or(name).to_owned(), value },
        })
    }
}

/// Whether a header's value is written so.
fn reads(found: &FieldValue, text: &str) -> bool {
    match found {
        FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => **bytes == *text.as_bytes(),
        FieldValue::Bool(flag) => text == if *flag { "true" } else { "false" },
        FieldValue::F32(number) => text.parse() == Ok(*number),
        FieldValue::F64(number) => text.parse() == Ok(*number),
        FieldValue::Timestamp(seconds) => text.parse() == Ok(*seconds),
        other => other.as_integer().is_some_and(|number| text.parse() == Ok(number)),
    }
}

/// Words between dots, where `*` is one and `#` any number (AMQP 0-9-1, section 3.1.3.3). The time is bounded by the
/// product of both lengths: of several `#` only the last one is tried again.
fn fits(pattern: &str, key: &str) -> bool {
    let (pattern, key) = (words(pattern), words(key));
    let (mut at, mut word) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), key.get(word)) {
            (Some(&"#"), _) => {
                retry = Some((at + 1, word));
                at += 1;
            }
            (Some(wanted), Some(found)) if *wanted == "*" || wanted == found => {
                (at, word) = (at + 1, word + 1);
            }
            (None, None) => return true,
            _ => {
                // The last `#` takes one word more.
                let Some((after, taken)) = retry.filter(|(_, taken)| *taken < key.len()) else {
                    return false;
                };
                retry = Some((after, taken + 1));
                (at, word) = (after, taken + 1);
            }
        }
    }
}

/// The empty key has no word.
fn words(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('.').collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            queue: "orders".to_owned(),
            exchange: "shop".to_owned(),
            routing_keys: vec!["eu.orders.new".to_owned(), "audit".to_owned()],
            reason: "rejected".to_owned(),
        }
    }

    fn holds(filter: &str) -> bool {
        let headers: FieldTable = [
            ("tenant".to_owned(), FieldValue::text("acme")),
            ("attempt".to_owned(), FieldValue::U8(3)),
            ("urgent".to_owned(), FieldValue::Bool(true)),
            ("queue".to_owned(), FieldValue::text("of the header")),
        ]
        .into_iter()
        .collect();
        filter.parse::<Filter>().unwrap().holds(&origin(), &headers)
    }

    #[test]
    fn each_kind_of_filter_looks_at_its_own() {
        for filter in ["reason=rejected", "queue=orders", "tenant=acme", "attempt=3", "urgent=true"] {
            assert!(holds(filter), "{filter}");
        }
        for filter in ["reason=expired", "queue=order", "tenant=acm", "attempt=4", "urgent=1", "other="] {
            assert!(!holds(filter), "{filter}");
        }
        assert!(holds("header:queue=of the header"));
    }

    #[test]
    fn routing_keys_are_matched_as_a_topic_exchange_does() {
        for pattern in
            ["eu.orders.new", "eu.#", "#", "#.new", "*.orders.*", "eu.#.new", "#.orders.#", "audit"]
        {
            assert!(holds(&format!("routing-key={pattern}")), "{pattern}");
        }
        for pattern in ["eu.*", "*", "orders", "eu.#.old", "#.new.*", ""] {
            assert_eq!(holds(&format!("routing-key={pattern}")), pattern == "*", "{pattern}");
        }
        assert!(fits("#", "") && fits("a.#", "a") && !fits("*", "") && !fits("a.*", "a"));
        assert!(fits("#.a.#.b", "x.a.y.a.b") && !fits("#.a.#.b", "x.a.y.a.c"));
    }

    #[test]
    fn what_is_no_filter_is_refused_with_the_choice() {
        assert!("orders".parse::<Filter>().unwrap_err().contains("routing-key="));
        assert!("=x".parse::<Filter>().is_err());
        assert!("reason=tired".parse::<Filter>().unwrap_err().contains("delivery_limit"));
    }
}
