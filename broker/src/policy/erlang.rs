//! JSON as Erlang prints terms: RabbitMQ's error texts show refused values so, and clients and people search for
//! them. It owns the notation and nothing else.

use std::fmt;

use serde_json::Value;

/// Shows a value as a term: `"a"` as `<<"a">>`, an object as `#{…}`.
#[derive(Debug, Clone, Copy)]
pub struct Term<'a>(pub &'a Value);

/// Shows text as a binary.
#[derive(Debug, Clone, Copy)]
pub struct Binary<'a>(pub &'a str);

impl fmt::Display for Binary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("<<>>");
        }
        let escaped = self.0.replace('\\', "\\\\").replace('"', "\\\"");
        let suffix = if self.0.is_ascii() { "" } else { "/utf8" };
        write!(f, "<<\"{escaped}\"{suffix}>>")
    }
}

impl fmt::Display for Term<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => Binary(text).fmt(f),
            Value::Array(values) => {
                f.write_str("[")?;
                separated(f, values.iter(), |f, value| Term(value).fmt(f))?;
                f.write_str("]")
            }
            Value::Object(map) => {
                f.write_str("#{")?;
                separated(f, map.iter(), |f, (key, value)| write!(f, "{} => {}", Binary(key), Term(value)))?;
                f.write_str("}")
            }
            plain => plain.fmt(f),
        }
    }
}

/// Writes `items` with commas between them.
pub(super) fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    for (at, item) in items.enumerate() {
        if at > 0 {
            f.write_str(",")?;
        }
        write(f, item)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_look_like_terms() {
        let cases = [
            (json!("a\"b"), "<<\"a\\\"b\">>"),
            (json!(""), "<<>>"),
            (json!("é"), "<<\"é\"/utf8>>"),
            (json!(-1), "-1"),
            (json!(1.5), "1.5"),
            (json!(true), "true"),
            (json!(null), "null"),
            (json!([1, "a"]), "[1,<<\"a\">>]"),
            (json!({"a": 1}), "#{<<\"a\">> => 1}"),
        ];
        for (value, shown) in cases {
            assert_eq!(Term(&value).to_string(), shown);
        }
    }
}
