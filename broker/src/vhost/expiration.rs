//! The property `expiration`: milliseconds as text, and RabbitMQ's words where it is none.

use super::refuse::Refusal;
use crate::{amqp::reply::ReplyCode, policy::arguments::EXPIRY_MS_MAX};

/// Columns after which Erlang's pretty printer breaks a term.
const COLUMNS: usize = 80;

/// Reads it as Erlang's `string:to_integer` does: a sign, digits, nothing behind them.
pub(super) fn parse(bytes: &[u8]) -> Result<u64, Refusal> {
    let text = String::from_utf8_lossy(bytes);
    let start = format!("invalid expiration '{text}': ");
    let invalid = |why: &str| Err(Refusal::new(ReplyCode::PreconditionFailed, format!("{start}{why}")));
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let digits = unsigned.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(unsigned.len());
    let (number, left) = unsigned.split_at_checked(digits).unwrap_or_default();
    if number.is_empty() {
        return invalid("no_integer");
    }
    if !left.is_empty() {
        let escaped = left.replace('\\', "\\\\").replace('"', "\\\"");
        return invalid(&term(&start, "leftover_string", &format!("\"{escaped}\"")));
    }
    let significant = number.trim_start_matches('0');
    if text.starts_with('-') && !significant.is_empty() {
        return invalid(&term(&start, "value_negative", &format!("-{significant}")));
    }
    let max = u64::try_from(EXPIRY_MS_MAX).unwrap_or(u64::MAX);
    match number.parse::<u64>() {
        Ok(ms) if ms <= max => Ok(ms),
        _ => invalid(&term(&start, "value_too_large", significant)),
    }
}

/// `{name,value}`, on two lines where one is too short for it behind what stands before.
fn term(before: &str, name: &str, value: &str) -> String {
    let column = before.chars().count();
    let whole = format!("{{{name},{value}}}");
    if column + whole.chars().count() <= COLUMNS {
        return whole;
    }
    format!("{{{name},\n{:column$} {value}}}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_read_and_the_rest_is_named() {
        for (text, ms) in [("0", 0), ("+5", 5), ("-0", 0), ("007", 7), ("315360000000", 315_360_000_000)] {
            assert_eq!(parse(text.as_bytes()), Ok(ms), "{text}");
        }
        let refused = [
            ("", "no_integer"),
            ("soon", "no_integer"),
            ("1.5", "{leftover_string,\".5\"}"),
            ("-1", "{value_negative,-1}"),
            ("315360000001", "{value_too_large,315360000001}"),
        ];
        for (text, why) in refused {
            let refusal = parse(text.as_bytes()).unwrap_err();
            let expected = format!("PRECONDITION_FAILED - invalid expiration '{text}': {why}");
            assert_eq!(refusal.text(), expected);
        }
    }
}
