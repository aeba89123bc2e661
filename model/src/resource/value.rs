//! The small values of resources: durations, header names, host names, paths, patterns. Each is a pure function
//! from text to the value or to what is wrong with it and what to write instead.

use std::time::Duration;

use super::{
    decode::{Fields, Node},
    error::{Reason, clip},
};
use crate::name::{LABEL_LENGTH_MAX, Label};

/// The longest header name, in bytes (the Gateway API's).
pub(super) const HEADER_NAME_MAX: usize = 256;
/// The longest header value, in bytes (the Gateway API's).
pub(super) const HEADER_VALUE_MAX: usize = 4_096;
/// The longest path or query value, in bytes (the Gateway API's).
pub(super) const PATH_MAX: usize = 1_024;
/// Regular expressions in one resource, at most: each may have half a mebibyte of program at every sidecar.
const EXPRESSIONS_MAX: usize = 64;
/// The longest host name and the longest name of an object, in bytes (RFC 1035 section 2.3.4).
pub(super) const SUBDOMAIN_MAX: usize = 253;

/// A time, or never; `None` = not said.
pub(super) type Said = Option<Option<Duration>>;

/// A Gateway API duration (GEP-2257): up to four whole numbers of up to five digits, each with its unit.
pub(super) fn duration(node: &Node<'_>) -> Option<Duration> {
    let Some(text) = node.as_text() else {
        node.wrong_type("a duration", ", as in `10s`, `1m30s` or `250ms`");
        return None;
    };
    node.keep(parse_duration(text))
}

/// A duration above zero.
pub(super) fn span(node: &Node<'_>) -> Option<Duration> {
    let span = duration(node)?;
    if span.is_zero() {
        node.invalid("is zero: give a duration above it, as in `100ms`");
        return None;
    }
    Some(span)
}

/// A duration whose zero means never.
pub(super) fn timeout(node: &Node<'_>) -> Said {
    duration(node).map(|time| if time.is_zero() { None } else { Some(time) })
}

/// Notes that one attempt may not take longer than all of them together.
pub(super) fn check_timeouts(fields: &Fields<'_>, request: Said, backend: Said) {
    if let (Some(Some(all)), Some(Some(one))) = (request, backend)
        && one > all
    {
        let message = format!(
            "is {}, longer than `request` ({}), which holds it: give at most that",
            shown(one),
            shown(all)
        );
        fields.fail("backendRequest", Reason::Invalid, message);
    }
}

/// A size in bytes: a number, or one with `Ki` or `Mi` as Kubernetes writes it.
pub(super) fn bytes(node: &Node<'_>, max: u64) -> Option<usize> {
    let Some(text) = node.as_text() else {
        return node.integer(0..=max).and_then(|size| usize::try_from(size).ok());
    };
    let (number, unit) = match text.strip_suffix("Ki").map(|number| (number, 1_024)) {
        Some(found) => found,
        None => {
            (text.strip_suffix("Mi").unwrap_or(text), if text.ends_with("Mi") { 1_024 * 1_024 } else { 1 })
        }
    };
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match size {
        Some(size) if size <= max => usize::try_from(size).ok(),
        Some(size) => {
            node.invalid(format!("is {size} bytes: give at most {max}"));
            None
        }
        None => {
            node.invalid(format!("`{}` is not a size: write bytes, or `64Ki`, `1Mi`", clip(text)));
            None
        }
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    const PARTS_MAX: usize = 4;
    const DIGITS_MAX: usize = 5;
    const EXAMPLES: &str = "as in `10s`, `1m30s` or `250ms`";
    let wrong = |what: &str| Err(format!("`{}` {what}", clip(text)));
    if text.is_empty() {
        return Err(format!("is empty: write a duration {EXAMPLES}"));
    }
    if text.starts_with('-') {
        return wrong("is negative: give `0s` or more");
    }
    if text.contains(['.', ',']) {
        return wrong("has a fraction: write whole numbers, as in `1s500ms`");
    }
    let (mut rest, mut total, mut parts) = (text, Duration::ZERO, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let unit_length = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, next) = after.split_at(unit_length);
        if unit.is_empty() && !number.is_empty() && next.is_empty() {
            return wrong(&format!("has no unit: write `{number}s` or `{number}ms`"));
        }
        let milliseconds: u64 = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return wrong(&format!("is not a duration: its units are h, m, s and ms, {EXAMPLES}")),
        };
        let Ok(count) = number.parse::<u64>() else {
            return wrong(&format!("is not a duration: write a number before each unit, {EXAMPLES}"));
        };
        parts += 1;
        if digits > DIGITS_MAX || parts > PARTS_MAX {
            return wrong("is too long: at most four numbers of five digits, as in `24h`");
        }
        total += Duration::from_millis(count * milliseconds);
        rest = next;
    }
    Ok(total)
}

/// How a duration is written in messages.
pub(super) fn shown(time: Duration) -> String {
    match (time.as_millis(), time.subsec_millis()) {
        (0, _) => "0s".into(),
        (all, 0) if all % 60_000 == 0 => format!("{}m", all / 60_000),
        (_, 0) => format!("{}s", time.as_secs()),
        (all, _) => format!("{all}ms"),
    }
}

/// A DNS label, lower-case as Kubernetes has it.
pub(super) fn label(node: &Node<'_>) -> Option<Label> {
    let text = node.text()?;
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        node.invalid(format!("`{}` has capitals: write `{}`", clip(text), clip(&text.to_ascii_lowercase())));
        return None;
    }
    match text.parse() {
        Ok(label) => Some(label),
        Err(_) => {
            let advice = format!(
                "1 to {LABEL_LENGTH_MAX} lower-case letters, digits and hyphens, with no hyphen at either end"
            );
            node.invalid(format!("`{}` is not a DNS label: write {advice}", clip(text)));
            None
        }
    }
}

/// The name of a service, which people like to give as a host name.
pub(super) fn service(node: &Node<'_>) -> Option<Label> {
    if let Some((name, rest)) = node.as_text().and_then(|text| text.split_once('.')) {
        let namespace = rest.split('.').next().unwrap_or_default();
        let remedy = format!("write `name: {}`, `namespace: {}`", clip(name), clip(namespace));
        node.invalid(format!("`{}` is a host name: {remedy}", clip(&format!("{name}.{rest}"))));
        return None;
    }
    label(node)
}

/// The name of an object, a rule or a port: DNS labels with dots between them.
pub(super) fn subdomain<'a>(node: &Node<'a>) -> Option<&'a str> {
    let text = node.text_of(1..=SUBDOMAIN_MAX)?;
    if !is_subdomain(text) {
        let advice = "lower-case letters, digits, hyphens and dots, with a letter or digit at either end";
        node.invalid(format!("`{}` is not a name: write {advice}", clip(text)));
        return None;
    }
    Some(text)
}

/// A host name without a port; with `wildcard`, its first label may be `*`.
pub(super) fn hostname<'a>(node: &Node<'a>, wildcard: bool) -> Option<&'a str> {
    let text = node.text_of(1..=SUBDOMAIN_MAX)?;
    let name = if wildcard { text.strip_prefix("*.").unwrap_or(text) } else { text };
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    if is_address || !is_subdomain(name) {
        let what = if is_address { "is an IP address" } else { "is not a host name" };
        let advice = "lower-case labels with dots between them, without a port, as in `orders.example.com`";
        node.invalid(format!("`{}` {what}: write {advice}", clip(text)));
        return None;
    }
    Some(text)
}

pub(super) fn is_subdomain(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= SUBDOMAIN_MAX && text.split('.').all(is_label)
}

/// A header's or query parameter's name: a token (RFC 9110 section 5.6.2).
pub(super) fn token<'a>(node: &Node<'a>) -> Option<&'a str> {
    let text = node.text_of(1..=HEADER_NAME_MAX)?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.starts_with(':') {
        node.invalid(format!(
            "`{}` is a pseudo-header: match it by `path`, `method` or the header `host`",
            clip(text)
        ));
        return None;
    }
    if !text.bytes().all(is_token) {
        let advice = "letters, digits, hyphens and underscores, without spaces or colons";
        node.invalid(format!("`{}` is not a name: write {advice}", clip(text)));
        return None;
    }
    Some(text)
}

/// A header's name, in lower case.
pub(super) fn header_name(node: &Node<'_>) -> Option<Box<str>> {
    token(node).map(|name| name.to_ascii_lowercase().into())
}

/// A header's value: visible ASCII with spaces and tabs inside. Anything else could end the line and begin
/// another header, or reads differently from one server to the next.
pub(super) fn header_value(node: &Node<'_>) -> Option<Box<str>> {
    let text = node.text_of(1..=HEADER_VALUE_MAX)?;
    let is_visible = |byte: u8| (b' '..=b'~').contains(&byte) || byte == b'\t';
    if !text.bytes().all(is_visible) || text.trim() != text {
        let advice = "printable ASCII, without spaces at either end and without line breaks";
        node.invalid(format!("`{}` cannot be a header's value: write {advice}", clip(text)));
        return None;
    }
    Some(text.into())
}

/// A path to match or to put in place of another: absolute, normal, and in the characters of RFC 3986
/// section 3.3.
pub(super) fn path<'a>(node: &Node<'a>) -> Option<&'a str> {
    let text = node.text_of(0..=PATH_MAX)?;
    node.keep(check_path(text))?;
    Some(text)
}

fn check_path(text: &str) -> Result<(), String> {
    let shown = clip(text);
    if !text.starts_with('/') {
        let absolute = clip(&format!("/{text}"));
        return Err(format!("`{shown}` does not begin with `/`: write `{absolute}`"));
    }
    if let Some(mark) = ["?", "#"].into_iter().find(|mark| text.contains(mark)) {
        let advice = if mark == "?" { "match the query by `queryParams`" } else { "leave the fragment out" };
        return Err(format!("`{shown}` holds `{mark}`, which no path does: {advice}"));
    }
    if text.contains("//") {
        return Err(format!("`{shown}` holds `//`: write one `/`"));
    }
    if text.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(format!("`{shown}` holds `.` or `..` as a segment: write the path that it stands for"));
    }
    if text.to_ascii_lowercase().contains("%2f") {
        return Err(format!(
            "`{shown}` holds an encoded slash, which servers read in two ways: leave it out"
        ));
    }
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let is_plain = byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
        let mut hex = || rest.next().is_some_and(|digit| digit.is_ascii_hexdigit());
        let is_encoded = byte == b'%' && hex() && hex();
        if !is_plain && !is_encoded {
            return Err(format!(
                "`{shown}` holds a character that no path has: write it as `%` and two hex digits"
            ));
        }
    }
    Ok(())
}

/// A regular expression that the sidecar compiles.
pub(super) fn regex<'a>(node: &Node<'a>, max: usize) -> Option<&'a str> {
    let text = node.text_of(1..=max)?;
    if node.count_expression() > EXPRESSIONS_MAX {
        let message = format!("is one expression too many: give at most {EXPRESSIONS_MAX} in a resource");
        node.fail(Reason::TooMany, message);
        return None;
    }
    node.keep(crate::traffic::pattern::check(text).map_err(|error| error.to_string()))?;
    Some(text)
}

/// A port.
pub(super) fn port(node: &Node<'_>) -> Option<u16> {
    node.integer(1..=u64::from(u16::MAX)).and_then(|port| u16::try_from(port).ok())
}

/// A whole percentage.
pub(super) fn percent(node: &Node<'_>) -> Option<u32> {
    node.small(0..=100)
}

/// Notes an item whose key was there before, and tells whether it is new.
pub(super) fn is_new<K: PartialEq>(seen: &mut Vec<K>, key: K, node: &Node<'_>, what: &str) -> bool {
    if seen.contains(&key) {
        node.fail(Reason::Duplicate, what);
        return false;
    }
    seen.push(key);
    true
}

#[cfg(test)]
mod tests;
