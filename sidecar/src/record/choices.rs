//! What a call could choose from, for `weft explain`: the endpoints of its service, counted. They are counted by the
//! thread that writes, once a batch and service, a moment after the calls of the batch: the data path is spared that.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use serde_json::{Value, json};
use weft_model::name::ServiceName;

use crate::table::{ServiceTable, Table};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choices {
    version: u64,
    count: usize,
    /// Neither critical nor ejected.
    open: usize,
    ejected: usize,
    critical: usize,
}

/// Those of the services of one batch.
#[derive(Debug)]
pub(super) struct Counter {
    table: Arc<Table>,
    now: u64,
    counted: Vec<(Arc<str>, Option<Choices>)>,
}

impl Counter {
    pub(super) const fn new(table: Arc<Table>, now: u64) -> Self {
        Self { table, now, counted: Vec::new() }
    }

    /// `None` = the table has no such service.
    pub(super) fn of(&mut self, service: &Arc<str>) -> Option<Choices> {
        let known = self.counted.iter().find(|(known, _)| Arc::ptr_eq(known, service) || known == service);
        if let Some((_, choices)) = known {
            return *choices;
        }
        let name = service.parse::<ServiceName>().ok();
        let table = name.and_then(|name| self.table.services.get(&name));
        let choices = table.map(|table| Choices::count(table, self.table.version, self.now));
        self.counted.push((Arc::clone(service), choices));
        choices
    }
}

impl Choices {
    fn count(service: &ServiceTable, version: u64, now: u64) -> Self {
        let mut choices = Self { version, count: service.endpoints.len(), open: 0, ejected: 0, critical: 0 };
        for known in &service.endpoints {
            if !known.endpoint.health.is_callable() {
                choices.critical += 1;
            } else if known.cell.ejected_until.load(Relaxed) > now {
                choices.ejected += 1;
            } else {
                choices.open += 1;
            }
        }
        choices
    }

    /// `version` is that of the table that the call was carried by.
    pub(super) fn json(self, version: Option<u64>) -> Value {
        json!({
            "table_version": version,
            "counted_at_version": self.version,
            "count": self.count,
            "open": self.open,
            "ejected": self.ejected,
            "critical": self.critical,
        })
    }
}
