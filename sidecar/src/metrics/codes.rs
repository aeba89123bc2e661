//! Answers by their exact status: one thread's cells for the statuses that have a name in RFC 9110 and its
//! neighbours, and one for all others, so that no application can make labels without end.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use prometheus_client::encoding::DescriptorEncoder;

use super::{
    ServiceMetrics, count,
    render::{by_service, encode_counters},
};

/// In their order, as [`Codes::count`] looks them up.
const CODES: [(u16, &str); 40] = [
    (101, "101"),
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (203, "203"),
    (204, "204"),
    (205, "205"),
    (206, "206"),
    (300, "300"),
    (301, "301"),
    (302, "302"),
    (303, "303"),
    (304, "304"),
    (307, "307"),
    (308, "308"),
    (400, "400"),
    (401, "401"),
    (402, "402"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (406, "406"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (411, "411"),
    (412, "412"),
    (413, "413"),
    (414, "414"),
    (415, "415"),
    (422, "422"),
    (425, "425"),
    (428, "428"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (501, "501"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];
/// Every other one.
const OTHER: &str = "other";

/// One thread's counts of one service.
#[derive(Debug)]
pub struct Codes([AtomicU64; CODES.len() + 1]);

impl Codes {
    /// Counts an answer; 0 was none.
    pub(crate) fn count(&self, status: u16) {
        // Most answers are this one.
        let place = match status {
            0 => return,
            200 => 1,
            _ => CODES.binary_search_by_key(&status, |(code, _)| *code).unwrap_or(CODES.len()),
        };
        if let Some(cell) = self.0.get(place) {
            count(cell, 1);
        }
    }
}

impl Default for Codes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

pub(super) fn encode(encoder: &mut DescriptorEncoder, services: &[Arc<ServiceMetrics>]) -> fmt::Result {
    let mut sums = BTreeMap::new();
    for cell in services {
        let names = CODES.iter().map(|(_, name)| *name).chain([OTHER]);
        for (name, count) in names.zip(&cell.codes.0) {
            let count = count.load(Relaxed);
            if count > 0 {
                let mut labels = by_service(cell);
                labels.push(("code", name));
                *sums.entry(labels).or_insert(0) += count;
            }
        }
    }
    encode_counters(encoder, "weft_responses", "Answers by status", sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_counted_under_their_own_name_and_unknown_ones_together() {
        assert!(CODES.is_sorted() && CODES.iter().all(|(code, name)| code.to_string() == *name));
        let codes = Codes::default();
        for status in [0, 200, 200, 503, 418, 999] {
            codes.count(status);
        }
        let of = |name: &str| {
            let place = CODES.iter().position(|(_, known)| *known == name).unwrap_or(CODES.len());
            codes.0[place].load(Relaxed)
        };
        assert_eq!((of("200"), of("503"), of(OTHER), of("404")), (2, 1, 2, 0));
    }
}
