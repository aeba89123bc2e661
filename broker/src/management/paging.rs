//! Lists as they are asked for: `columns`, `sort`, `sort_reverse`, `page`, `page_size`, `name`, `use_regex`. Pure.
//! RabbitMQ: "HTTP API: pagination".

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Failure},
    text::Query,
};
use crate::access::pattern::Pattern;

/// Values of a page when nobody says how many.
const PAGE_SIZE_DEFAULT: usize = 100;
/// Values of a page at most.
const PAGE_SIZE_MAX: usize = 500;
/// Columns that are looked at, at most.
const COLUMNS_MAX: usize = 256;

/// How a list is wanted.
#[derive(Debug, Default)]
pub(super) struct Listing {
    columns: Option<Vec<Vec<String>>>,
    sort: Option<Vec<String>>,
    is_reversed: bool,
    page: Option<Page>,
}

#[derive(Debug)]
struct Page {
    number: usize,
    size: usize,
    filter: Filter,
}

#[derive(Debug)]
enum Filter {
    All,
    Part(String),
    Regex(Pattern),
}

impl Listing {
    /// As a query asks.
    pub(super) fn of(query: &Query) -> Result<Self, Failure> {
        let columns = query.find("columns").filter(|columns| !columns.is_empty());
        let columns = columns.map(|columns| columns.split(',').take(COLUMNS_MAX).map(way).collect());
        Ok(Self {
            columns,
            sort: query.find("sort").filter(|sort| !sort.is_empty()).map(way),
            is_reversed: query.is_true("sort_reverse"),
            page: Page::of(query)?,
        })
    }

    /// Arranges a list.
    pub(super) fn arrange(self, mut items: Vec<Value>) -> Result<Value, Failure> {
        self.sort(&mut items);
        let Some(page) = &self.page else { return Ok(self.project(items).into()) };
        let total = items.len();
        items.retain(|item| page.filter.lets_in(item));
        let filtered = items.len();
        let before = (page.number - 1).saturating_mul(page.size);
        if before > filtered {
            let reason =
                format!("Page out of range, page: {} page size: {}, len: {filtered}", page.number, page.size);
            return Err(Failure::Named("page_out_of_range", reason));
        }
        let items: Vec<_> = items.into_iter().skip(before).take(page.size).collect();
        Ok(json!({
            "filtered_count": filtered,
            "item_count": items.len(),
            "page": page.number,
            "page_count": filtered.div_ceil(page.size),
            "page_size": page.size,
            "total_count": total,
            "items": self.project(items),
        }))
    }

    /// By virtual host and name, if nobody says otherwise.
    fn sort(&self, items: &mut [Value]) {
        match &self.sort {
            Some(sort) => items.sort_by(|a, b| order(find(a, sort), find(b, sort))),
            None => items.sort_by(|a, b| {
                let by = |name: &str| order(a.get(name), b.get(name));
                by("vhost").then_with(|| by("name"))
            }),
        }
        if self.is_reversed {
            items.reverse();
        }
    }

    fn project(&self, items: Vec<Value>) -> Vec<Value> {
        match &self.columns {
            Some(_) => items.into_iter().map(|item| self.pick(&item)).collect(),
            None => items,
        }
    }

    /// One value with the columns that are wanted.
    pub(super) fn pick(&self, item: &Value) -> Value {
        let Some(columns) = &self.columns else { return item.clone() };
        let mut picked = Map::new();
        for column in columns {
            if let Some(value) = find(item, column) {
                put(&mut picked, column, value.clone());
            }
        }
        picked.into()
    }
}

impl Page {
    fn of(query: &Query) -> Result<Option<Self>, Failure> {
        let Some(number) = query.find("page") else { return Ok(None) };
        let size = query.find("page_size");
        let read = |text: &str| text.parse::<usize>().map_err(|_| invalid());
        let (number, size) = (read(number)?, size.map(read).transpose()?);
        if number == 0 || size.is_some_and(|size| !(1..=PAGE_SIZE_MAX).contains(&size)) {
            let size = size.map_or_else(|| "undefined".to_owned(), |size| size.to_string());
            let reason = format!("Invalid pagination parameters: page number {number}, page size {size}");
            return Err(Failure::Named("invalid_pagination_parameters", reason));
        }
        let size = size.unwrap_or(PAGE_SIZE_DEFAULT);
        let filter = match query.find("name").unwrap_or_default() {
            "" => Filter::All,
            name if query.is_true("use_regex") => Filter::Regex(Pattern::new(name).map_err(|_| invalid())?),
            name => Filter::Part(name.to_lowercase()),
        };
        Ok(Some(Self { number, size, filter }))
    }
}

fn invalid() -> Failure {
    Failure::Bad("Pagination parameters are invalid".to_owned())
}

impl Filter {
    fn lets_in(&self, item: &Value) -> bool {
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        match self {
            Self::All => true,
            Self::Part(part) => name.to_lowercase().contains(part),
            Self::Regex(pattern) => pattern.is_match(name),
        }
    }
}

/// Arranges a list off the threads that serve, for it may be long.
pub(super) async fn list(
    query: &Query,
    render: impl FnOnce() -> Vec<Value> + Send + 'static,
) -> Result<Answer, Failure> {
    let listing = Listing::of(query)?;
    let arranged = tokio::task::spawn_blocking(move || listing.arrange(render())).await;
    arranged.map_err(|_| Failure::Internal("a list could not be arranged".to_owned()))?.map(Answer::Json)
}

/// One value, with the columns that are asked for.
pub(super) fn one(query: &Query, value: &Value) -> Result<Answer, Failure> {
    Ok(Answer::Json(Listing::of(query)?.pick(value)))
}

/// A column: `message_stats.publish_details.rate`.
fn way(column: &str) -> Vec<String> {
    column.split('.').map(str::to_owned).collect()
}

fn find<'a>(item: &'a Value, way: &[String]) -> Option<&'a Value> {
    way.iter().try_fold(item, |value, name| value.get(name))
}

fn put(into: &mut Map<String, Value>, way: &[String], value: Value) {
    match way {
        [] => {}
        [name] => {
            into.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let inner = into.entry(name.clone()).or_insert_with(|| Map::new().into());
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// Numbers by value, texts by letters, what is missing first.
fn order(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let rank = |value: Option<&Value>| match value {
        None | Some(Value::Null) => 0,
        Some(Value::Bool(_)) => 1,
        Some(Value::Number(_)) => 2,
        Some(Value::String(_)) => 3,
        Some(_) => 4,
    };
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0))
        }
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Value> {
        ["beta", "alpha", "Gamma", "delta"]
            .into_iter()
            .zip([3, 10, 2, 1])
            .map(|(name, n)| json!({"name": name, "vhost": "/", "messages": n, "stats": {"in": n, "out": 0}}))
            .collect()
    }

    fn arranged(query: &str) -> Result<Value, Failure> {
        Listing::of(&Query::parse(query)).and_then(|listing| listing.arrange(items()))
    }

    fn names(list: &Value) -> Vec<&str> {
        list.as_array().unwrap().iter().filter_map(|item| item["name"].as_str()).collect()
    }

    #[test]
    fn a_list_is_sorted_by_name_or_as_asked() {
        assert_eq!(names(&arranged("").unwrap()), ["Gamma", "alpha", "beta", "delta"]);
        assert_eq!(names(&arranged("sort=messages").unwrap()), ["delta", "Gamma", "beta", "alpha"]);
        let reversed = arranged("sort=stats.in&sort_reverse=true").unwrap();
        assert_eq!(names(&reversed), ["alpha", "beta", "Gamma", "delta"]);
    }

    #[test]
    fn columns_pick_also_what_lies_deeper() {
        let picked = arranged("columns=name,stats.in,nothing&sort=messages").unwrap();
        assert_eq!(picked[0], json!({"name": "delta", "stats": {"in": 1}}));
    }

    #[test]
    fn a_page_comes_in_its_envelope() {
        let page = arranged("page=2&page_size=3").unwrap();
        assert_eq!(page["item_count"], 1);
        assert_eq!(page["page_count"], 2);
        assert_eq!(page["total_count"], 4);
        assert_eq!(names(&page["items"]), ["delta"]);
        assert_eq!(arranged("page=1").unwrap()["page_size"], 100);
    }

    #[test]
    fn a_name_filters_by_part_or_pattern() {
        let part = arranged("page=1&name=A").unwrap();
        assert_eq!((&part["filtered_count"], &part["total_count"]), (&json!(4), &json!(4)));
        let part = arranged("page=1&name=gam").unwrap();
        assert_eq!(names(&part["items"]), ["Gamma"]);
        let pattern = arranged("page=1&name=^.e&use_regex=true").unwrap();
        assert_eq!(names(&pattern["items"]), ["beta", "delta"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for query in ["page=0", "page=x", "page=1&page_size=501", "page=1&name=(&use_regex=true", "page=9"] {
            assert!(matches!(arranged(query), Err(Failure::Named(..) | Failure::Bad(_))), "{query}");
        }
    }
}
