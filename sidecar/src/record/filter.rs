//! Which requests a tap is about, as its address says: `?service=orders.default&status=5xx&errors`. Pure.

use super::AccessRecord;
use crate::metrics::Direction;

/// What all have to hold; what is not said holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    service: Option<String>,
    direction: Option<Direction>,
    method: Option<String>,
    /// What the path begins with.
    path: Option<String>,
    status: Option<Statuses>,
    route: Option<String>,
    /// `<node>/<id>`, or the id alone.
    endpoint: Option<String>,
    /// Only what failed.
    errors: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statuses {
    One(u16),
    Class(u16),
}

impl Filter {
    /// From the query of an address.
    ///
    /// # Errors
    /// What is wrong with it, and what is right.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        for (name, value) in pairs(query) {
            match name {
                "service" => filter.service = Some(value),
                "method" => filter.method = Some(value.to_ascii_uppercase()),
                "path" => filter.path = Some(value),
                "route" => filter.route = Some(value),
                "to" => filter.endpoint = Some(value),
                "errors" => filter.errors = true,
                "direction" => {
                    let known = [Direction::Inbound, Direction::Outbound];
                    let direction = known.into_iter().find(|direction| direction.as_str() == value);
                    filter.direction = Some(direction.ok_or("direction: give inbound or outbound")?);
                }
                "status" => filter.status = Some(Statuses::parse(&value)?),
                _ => {
                    let known = "service, direction, method, path, status, route, to and errors";
                    return Err(format!("`{name}` is no filter: there are {known}"));
                }
            }
        }
        Ok(filter)
    }

    /// Whether the record is meant.
    pub(super) fn wants(&self, record: &AccessRecord) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let line = record.line.as_ref();
        is(&self.service, Some(&record.service))
            && self.direction.is_none_or(|direction| direction == record.direction)
            && is(&self.method, line.map(|line| line.method.as_str()))
            && self
                .path
                .as_deref()
                .is_none_or(|path| line.is_some_and(|line| line.path.starts_with(path.as_bytes())))
            && self.status.is_none_or(|statuses| statuses.hold(record.status))
            && is(&self.route, record.route.as_deref())
            && self.endpoint.as_deref().is_none_or(|wanted| {
                let id = |label: &str| label.rsplit_once('/').is_some_and(|(_, id)| id == wanted);
                record.endpoint.as_deref().is_some_and(|label| label == wanted || id(label))
            })
            && (!self.errors || record.has_failed())
    }
}

impl Statuses {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("status: `{text}` is neither a status as 503 nor a class as 5xx");
        let number = |text: &str| text.parse().map_err(|_| wrong());
        match text.strip_suffix("xx") {
            Some(class) => number(class).map(Self::Class),
            None => number(text).map(Self::One),
        }
    }

    const fn hold(self, status: u16) -> bool {
        match self {
            Self::One(one) => status == one,
            Self::Class(class) => status / 100 == class,
        }
    }
}

/// The names and values of a query, decoded (RFC 3986 section 2.1).
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (&str, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name, decode(value))
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let byte = after.split_at_checked(2).filter(|_| *first == b'%').and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = byte.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::format::tests::record;

    fn wants(query: &str) -> bool {
        Filter::parse(query).unwrap().wants(&record())
    }

    #[test]
    fn all_that_is_said_has_to_hold() {
        for query in [
            "",
            "service=orders.default&direction=outbound&method=get&path=/a&status=200",
            "status=2xx&to=node/1",
            "to=1&path=%2Fa",
        ] {
            assert!(wants(query), "{query}");
        }
        for query in
            ["service=orders", "direction=inbound", "method=PUT", "path=/b", "status=5xx", "errors", "to=2"]
        {
            assert!(!wants(query), "{query}");
        }
    }

    #[test]
    fn what_is_no_filter_is_told() {
        assert!(Filter::parse("colour=red").unwrap_err().contains("there are service"));
        assert!(Filter::parse("status=many").unwrap_err().contains("5xx"));
        assert!(Filter::parse("direction=up").is_err());
    }

    #[test]
    fn values_are_decoded_and_what_is_no_code_stays() {
        assert_eq!(decode("a%20b%2fc%"), "a b/c%");
        assert_eq!(decode("%zz%e2%82%ac"), "%zz€");
    }
}
