//! Objects of the management API as rows: each column has a heading, whether it is only for `-o wide`, and how its cell is
//! read from the object.

use serde_json::Value;

use crate::{args::ResourceFormat, output};

/// One column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) heading: &'static str,
    pub(super) wide: bool,
    pub(super) cell: fn(&Value) -> String,
}

impl Column {
    pub(super) const fn new(heading: &'static str, cell: fn(&Value) -> String) -> Self {
        Self { heading, wide: false, cell }
    }

    pub(super) const fn wide(heading: &'static str, cell: fn(&Value) -> String) -> Self {
        Self { heading, wide: true, cell }
    }
}

/// Prints a list; `nothing` is said when it is empty.
pub(super) fn print(
    items: &[Value],
    columns: &[Column],
    format: ResourceFormat,
    nothing: &str,
) -> anyhow::Result<()> {
    let is_wide = format == ResourceFormat::Wide;
    match format {
        ResourceFormat::Json => return output::json(&items),
        ResourceFormat::Yaml => return output::line(serde_yaml::to_string(&items)?.trim_end()),
        ResourceFormat::Table | ResourceFormat::Wide if items.is_empty() => output::note(nothing),
        ResourceFormat::Table | ResourceFormat::Wide => {
            let shown: Vec<_> = columns.iter().filter(|column| is_wide || !column.wide).collect();
            let headings: Vec<_> = shown.iter().map(|column| column.heading).collect();
            let rows = items.iter().map(|item| shown.iter().map(|column| (column.cell)(item)).collect());
            output::table(&headings, &rows.collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

/// A field as text; `place` is a JSON pointer.
pub(super) fn text(item: &Value, place: &str) -> String {
    match item.pointer(place) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => plain(text),
        Some(Value::Bool(flag)) => (if *flag { "yes" } else { "no" }).to_owned(),
        Some(Value::Array(list)) if list.is_empty() => String::new(),
        Some(Value::Object(map)) if map.is_empty() => String::new(),
        Some(other) => plain(&other.to_string()),
    }
}

/// The name of an exchange: the default one has none.
pub(super) fn exchange(item: &Value, place: &str) -> String {
    let name = text(item, place);
    if name.is_empty() { "(default)".to_owned() } else { name }
}

/// A number of bytes.
pub(super) fn bytes(item: &Value, place: &str) -> String {
    item.pointer(place).and_then(Value::as_u64).map(size).unwrap_or_default()
}

/// Events a second.
pub(super) fn rate(item: &Value, counter: &str) -> String {
    let rate = item.pointer(&format!("/message_stats/{counter}_details/rate")).and_then(Value::as_f64);
    rate.map(|rate| format!("{rate:.1}/s")).unwrap_or_default()
}

/// A table as `name=value`, in its order.
pub(super) fn arguments(item: &Value, place: &str) -> String {
    let Some(Value::Object(map)) = item.pointer(place) else { return String::new() };
    let one = |(name, value): (&String, &Value)| match value {
        Value::String(text) => plain(&format!("{name}={text}")),
        other => plain(&format!("{name}={other}")),
    };
    map.iter().map(one).collect::<Vec<_>>().join(",")
}

/// As people read it: `1.5 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

/// Names are of anybody's making: what could steer a terminal is written out.
pub(super) fn plain(text: &str) -> String {
    if text.contains(char::is_control) { text.escape_debug().to_string() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_read_as_people_read_them() {
        let item = json!({
            "name": "a\u{1b}[2J", "durable": true, "policy": null, "n": 7, "none": {},
            "arguments": {"x-queue-type": "quorum", "x-max-length": 10},
            "message_stats": {"publish_details": {"rate": 12.34}},
        });
        assert_eq!(text(&item, "/name"), "a\\u{1b}[2J");
        let texts = ["/durable", "/policy", "/n", "/none", "/nowhere"].map(|place| text(&item, place));
        assert_eq!(texts, ["yes", "", "7", "", ""]);
        assert_eq!(arguments(&item, "/arguments"), "x-queue-type=quorum,x-max-length=10");
        assert_eq!((rate(&item, "publish").as_str(), rate(&item, "ack").as_str()), ("12.3/s", ""));
        assert_eq!(exchange(&json!({"name": ""}), "/name"), "(default)");
    }

    #[test]
    fn sizes_have_one_digit_behind_the_point() {
        let sizes = [0, 1_023, 1_536, 5 << 20, (3 << 30) - 1].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.5 KiB", "5.0 MiB", "2.9 GiB"]);
    }
}
