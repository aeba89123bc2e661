//! Where a dead letter came from, and what it looks like on its way back: the headers of RabbitMQ's "Dead Letter
//! Exchanges" read and undone. Pure.

use weft_broker::amqp::{
    properties::{self, Properties, PropertiesError, PropertiesView},
    value::{FieldTable, FieldValue},
};

/// The list of deaths, the latest first.
const X_DEATH: &str = "x-death";
/// Further routing keys of a message.
const CC: &str = "CC";
/// How often a message came back to its queue: the broker's own count.
const DELIVERY_COUNT: &str = "x-delivery-count";
/// What a queue that leaves out repeated messages looks at. It has seen this one, and would leave it out.
const DEDUPLICATION: &str = "x-deduplication-header";
/// Under which name it goes back, for whoever tells repeated messages apart by it.
const DEDUPLICATION_KEPT: &str = "x-redriven-deduplication-header";
/// Octets of a name or a routing key: a short string's.
const NAME_OCTETS_MAX: usize = 255;

/// Where a message was before it died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The queue in which it died.
    pub queue: String,
    /// The exchange that it had been published to.
    pub exchange: String,
    /// The keys that it had been published with: the routing key, then those of `CC`.
    pub routing_keys: Vec<String>,
    /// Why it died.
    pub reason: String,
}

/// The headers of a message; none where they cannot be read.
pub fn headers(raw: &[u8]) -> FieldTable {
    let view = PropertiesView::parse(raw).unwrap_or_default();
    view.headers.and_then(|headers| headers.decode().ok()).unwrap_or_default()
}

/// How often the message came back, as the broker counts.
pub fn delivery_count(headers: &FieldTable) -> i64 {
    headers.find(DELIVERY_COUNT).and_then(FieldValue::as_integer).unwrap_or_default()
}

impl Origin {
    /// Of the latest death.
    pub fn of(headers: &FieldTable) -> Option<Self> {
        let Some(FieldValue::Array(deaths)) = headers.find(X_DEATH) else { return None };
        let Some(FieldValue::Table(latest)) = deaths.first() else { return None };
        let name = |field: &str| {
            let name = latest.find(field).and_then(FieldValue::as_str)?;
            (name.len() <= NAME_OCTETS_MAX).then(|| name.to_owned())
        };
        let Some(FieldValue::Array(keys)) = latest.find("routing-keys") else { return None };
        let keys = keys.iter().map(|key| key.as_str().map(ToOwned::to_owned));
        let routing_keys: Vec<String> = keys.collect::<Option<_>>()?;
        let is_short = routing_keys.first().is_some_and(|key| key.len() <= NAME_OCTETS_MAX);
        let (queue, exchange, reason) = (name("queue")?, name("exchange")?, name("reason")?);
        is_short.then_some(Self { queue, exchange, routing_keys, reason })
    }

    /// Exchange and routing key for the way back.
    pub fn target(&self, to_queue: bool) -> (&str, &str) {
        match self.routing_keys.first() {
            Some(key) if !to_queue => (&self.exchange, key),
            _ => ("", &self.queue),
        }
    }

    /// The properties for the way back, published by `user`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn restore(&self, raw: &[u8], to_queue: bool, user: &str) -> Result<Vec<u8>, PropertiesError> {
        properties::rewrite(raw, |properties| {
            // A broker refuses a message in the name of another user (RabbitMQ, "Validated User-ID").
            properties.user_id.take_if(|id| id != user.as_bytes());
            self.restore_headers(properties, to_queue);
        })
    }

    fn restore_headers(&self, properties: &mut Properties, to_queue: bool) {
        let Some(headers) = &mut properties.headers else { return };
        self.forget_death(headers);
        headers.remove(DELIVERY_COUNT);
        if let Some(id) = headers.remove(DEDUPLICATION) {
            headers.set(DEDUPLICATION_KEPT, id);
        }
        let copies: Vec<FieldValue> = self.routing_keys.iter().skip(1).map(FieldValue::text).collect();
        if to_queue || copies.is_empty() {
            headers.remove(CC);
        } else {
            headers.set(CC, FieldValue::Array(copies));
        }
        if headers.is_empty() {
            properties.headers = None;
        }
    }

    /// The deaths in this queue did not happen: they would count as a round of dead letters the next time.
    fn forget_death(&self, headers: &mut FieldTable) {
        let is_here = |name: &str, headers: &FieldTable| {
            headers.find(name).and_then(FieldValue::as_str) == Some(self.queue.as_str())
        };
        if let Some(FieldValue::Array(mut deaths)) = headers.remove(X_DEATH) {
            deaths.retain(|death| match death {
                FieldValue::Table(death) => !is_here("queue", death),
                _ => true,
            });
            if !deaths.is_empty() {
                headers.set(X_DEATH, FieldValue::Array(deaths));
            }
        }
        for which in ["first", "last"] {
            if is_here(&format!("x-{which}-death-queue"), headers) {
                for what in ["reason", "queue", "exchange"] {
                    headers.remove(&format!("x-{which}-death-{what}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(queue: &str, keys: &[&str]) -> FieldValue {
        let keys = keys.iter().map(FieldValue::text).collect();
        let fields = [
            ("count", FieldValue::I64(1)),
            ("exchange", FieldValue::text("shop")),
            ("queue", FieldValue::text(queue)),
            ("reason", FieldValue::text("rejected")),
            ("routing-keys", FieldValue::Array(keys)),
        ];
        FieldValue::Table(table(&fields))
    }

    fn table(fields: &[(&str, FieldValue)]) -> FieldTable {
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn dead(more: &[(&str, FieldValue)]) -> Properties {
        let deaths = vec![death("orders", &["new", "audit"]), death("retry", &["new"])];
        let mut headers = table(&[
            ("tenant", FieldValue::text("acme")),
            (X_DEATH, FieldValue::Array(deaths)),
            ("x-first-death-queue", FieldValue::text("retry")),
            ("x-first-death-reason", FieldValue::text("expired")),
            ("x-last-death-queue", FieldValue::text("orders")),
            ("x-last-death-reason", FieldValue::text("rejected")),
            ("x-last-death-exchange", FieldValue::text("shop")),
        ]);
        more.iter().for_each(|(name, value)| headers.set(*name, value.clone()));
        Properties { headers: Some(headers), user_id: Some(b"app".to_vec()), ..Properties::default() }
    }

    fn restored(properties: &Properties, to_queue: bool) -> Properties {
        let raw = properties.encode();
        let origin = Origin::of(&headers(&raw)).unwrap();
        let raw = origin.restore(&raw, to_queue, "ops").unwrap();
        Properties::of(&PropertiesView::parse(&raw).unwrap()).unwrap()
    }

    #[test]
    fn the_origin_is_that_of_the_latest_death() {
        let origin = Origin::of(&headers(&dead(&[]).encode())).unwrap();
        assert_eq!((origin.queue.as_str(), origin.reason.as_str()), ("orders", "rejected"));
        assert_eq!(origin.target(false), ("shop", "new"));
        assert_eq!(origin.target(true), ("", "orders"));
    }

    #[test]
    fn without_a_readable_death_there_is_no_origin() {
        assert_eq!(Origin::of(&FieldTable::new()), None);
        assert_eq!(Origin::of(&headers(b"\xff\xff nonsense")), None);
        let too_long = "k".repeat(NAME_OCTETS_MAX + 1);
        let deaths = FieldValue::Array(vec![death("orders", &[&too_long])]);
        assert_eq!(Origin::of(&table(&[(X_DEATH, deaths)])), None);
        let none = FieldValue::Array(vec![death("orders", &[])]);
        assert_eq!(Origin::of(&table(&[(X_DEATH, none)])), None);
    }

    #[test]
    fn the_death_there_is_forgotten_and_earlier_ones_are_kept() {
        let found = restored(&dead(&[]), false);
        let headers = found.headers.unwrap();
        assert_eq!(headers.find(X_DEATH), Some(&FieldValue::Array(vec![death("retry", &["new"])])));
        assert_eq!(headers.find("x-first-death-queue").and_then(FieldValue::as_str), Some("retry"));
        assert!(headers.iter().all(|(name, _)| !name.starts_with("x-last-death")));
        assert_eq!(headers.find("tenant").and_then(FieldValue::as_str), Some("acme"));
        assert_eq!(found.user_id, None);
    }

    #[test]
    fn further_keys_go_back_to_the_exchange_and_not_to_the_queue() {
        let cc = FieldValue::Array(vec![FieldValue::text("audit")]);
        let with_cc = dead(&[(CC, cc.clone())]);
        assert_eq!(restored(&with_cc, false).headers.unwrap().find(CC), Some(&cc));
        assert_eq!(restored(&dead(&[]), false).headers.unwrap().find(CC), Some(&cc));
        assert_eq!(restored(&with_cc, true).headers.unwrap().find(CC), None);
    }

    #[test]
    fn a_queue_that_leaves_out_what_it_has_seen_takes_it() {
        let id = FieldValue::text("id-1");
        let seen = dead(&[(DEDUPLICATION, id.clone()), (DELIVERY_COUNT, FieldValue::I64(3))]);
        assert_eq!(delivery_count(&headers(&seen.encode())), 3);
        let headers = restored(&seen, true).headers.unwrap();
        assert_eq!((headers.find(DEDUPLICATION), headers.find(DELIVERY_COUNT)), (None, None));
        assert_eq!(headers.find(DEDUPLICATION_KEPT), Some(&id));
    }

    #[test]
    fn headers_that_only_told_the_death_are_gone() {
        let deaths = FieldValue::Array(vec![death("orders", &["new"])]);
        let headers = Some(table(&[(X_DEATH, deaths)]));
        let only = Properties { headers, delivery_mode: Some(2), ..Properties::default() };
        assert_eq!(restored(&only, true), Properties { headers: None, ..only });
    }
}
