//! The context of a trace, as headers tell it: W3C's `traceparent`, B3's one header, B3's several. What came in a
//! form goes on in that form, with another span in it; where nothing came, W3C's begins. It knows neither who
//! decides what is sampled nor what a span is for. Sources: W3C Trace Context level 2; openzipkin/b3-propagation.
//!
//! ```text
//!  traceparent: 00-TRACE-SPAN-FLAGS        b3: TRACE-SPAN[-SAMPLED[-PARENT]] | 0 | 1 | d
//!  tracestate:  (goes on as it came)       x-b3-traceid, -spanid, -parentspanid, -sampled, -flags
//! ```

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");

/// W3C's bit for a trace that is recorded.
const SAMPLED: u8 = 1;
/// W3C's bit for a trace whose id is random; it goes on.
const RANDOM: u8 = 2;

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Context {
    /// Trace, and the span that is the caller's.
    pub(super) ids: Option<(u128, u64)>,
    /// `None` = nobody has decided.
    pub(super) sampled: Option<bool>,
    forms: Forms,
    /// W3C's, where they came.
    flags: u8,
    /// B3's word that the trace is recorded whatever is thought of it.
    is_debug: bool,
    /// B3's traces may have half as many digits.
    is_short: bool,
}

/// The forms that a context came in; what came broken is replaced.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Forms {
    w3c: bool,
    single: bool,
    multi: bool,
}

/// What there is of it in a head.
#[derive(Default)]
struct Found<'a> {
    traceparent: Option<&'a HeaderValue>,
    is_ambiguous: bool,
    b3: Option<&'a HeaderValue>,
    trace: Option<&'a HeaderValue>,
    span: Option<&'a HeaderValue>,
    sampled: Option<&'a HeaderValue>,
    flags: Option<&'a HeaderValue>,
}

/// The header that names the trace, if there is one; W3C's before B3's.
pub(crate) fn carrier(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut b3 = None;
    for (name, value) in headers {
        match name.as_str() {
            "traceparent" => return Some(value),
            "b3" | "x-b3-traceid" => b3 = Some(value),
            _ => {}
        }
    }
    b3
}

/// The trace in the value of such a header.
pub(crate) fn id(value: &HeaderValue) -> Option<u128> {
    number(id_text(value.as_bytes())?)
}

/// The digits of the trace: 32, or 16 where B3 is short. All zeroes is no trace.
pub(crate) fn id_text(text: &[u8]) -> Option<&[u8]> {
    let digits = match text.split_at_checked(2) {
        // A version; the last one is none.
        Some((version, [b'-', rest @ ..])) if is_hex(version) && version != b"ff" => {
            let (digits, rest) = rest.split_at_checked(32)?;
            rest.starts_with(b"-").then_some(digits)?
        }
        _ => text.split(|byte| *byte == b'-').next()?,
    };
    let is_id = matches!(digits.len(), 16 | 32) && is_hex(digits);
    (is_id && digits.iter().any(|digit| *digit != b'0')).then_some(digits)
}

impl Context {
    /// What is told; where W3C and B3 say different things, W3C's counts.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let found = Found::of(headers);
        let forms = Forms {
            w3c: found.traceparent.is_some(),
            single: found.b3.is_some(),
            multi: found.trace.is_some() || found.sampled.is_some() || found.flags.is_some(),
        };
        let mut context = Self { forms, ..Self::default() };
        let multi = forms.multi && context.read_multi(&found);
        let single = found.b3.is_some_and(|value| context.read_single(value.as_bytes()));
        let w3c = found.traceparent.filter(|_| !found.is_ambiguous);
        if !w3c.is_some_and(|value| context.read_w3c(value.as_bytes())) && !single && !multi {
            // What is broken says nothing, and a new trace is begun in its place.
            (context.ids, context.sampled) = (None, None);
        }
        context
    }

    fn read_w3c(&mut self, text: &[u8]) -> bool {
        let mut parts = text.splitn(5, |byte| *byte == b'-');
        let mut part = |length: usize| parts.next().filter(|part| part.len() == length && is_hex(part));
        let (Some(version), Some(trace), Some(span), Some(flags)) = (part(2), part(32), part(16), part(2))
        else {
            return false;
        };
        // What is longer is of a version to come.
        let is_known = version != b"ff" && (version != b"00" || parts.next().is_none());
        let (Some(trace), Some(span), true) = (number(trace), short(span), is_known) else { return false };
        self.flags = number(flags).and_then(|flags| u8::try_from(flags).ok()).unwrap_or(0);
        self.ids = Some((trace, span)).filter(|(trace, span)| *trace != 0 && *span != 0);
        self.sampled = self.ids.map(|_| self.flags & SAMPLED != 0);
        self.is_short = false;
        self.ids.is_some()
    }

    fn read_single(&mut self, text: &[u8]) -> bool {
        let mut parts = text.split(|byte| *byte == b'-');
        let (first, span, sampled) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let Some(span) = span else {
            // A decision alone.
            self.sampled = self.decision(first);
            return self.sampled.is_some();
        };
        self.sampled = sampled.and_then(|word| self.decision(word));
        self.b3_ids(first, span)
    }

    fn read_multi(&mut self, found: &Found<'_>) -> bool {
        let bytes = |value: Option<&HeaderValue>| value.map(|value| value.as_bytes().to_vec());
        let is_debug = found.flags.is_some_and(|flags| flags == "1");
        let word = if is_debug { Some(b"d".to_vec()) } else { bytes(found.sampled) };
        self.sampled = word.and_then(|word| self.decision(&word));
        match (bytes(found.trace), bytes(found.span)) {
            (Some(trace), Some(span)) => self.b3_ids(&trace, &span),
            _ => self.sampled.is_some(),
        }
    }

    fn decision(&mut self, word: &[u8]) -> Option<bool> {
        self.is_debug = word == b"d";
        match word {
            // The words are those of clients of old.
            b"1" | b"d" | b"true" => Some(true),
            b"0" | b"false" => Some(false),
            _ => None,
        }
    }

    fn b3_ids(&mut self, trace: &[u8], span: &[u8]) -> bool {
        let Some(digits) = id_text(trace).filter(|digits| digits.len() == trace.len()) else { return false };
        self.is_short = digits.len() == 16;
        let span = Some(span).filter(|span| span.len() == 16 && is_hex(span)).and_then(short);
        self.ids = number(digits).zip(span.filter(|span| *span != 0));
        self.ids.is_some()
    }

    /// Tells the next hop that `span` is its parent, in the forms that came.
    pub(super) fn write(&self, headers: &mut HeaderMap, (trace, span): (u128, u64), is_sampled: bool) {
        let Forms { w3c, single, multi } = self.forms;
        let begins = self.ids.is_none();
        if w3c || !(single || multi) {
            let flags = (self.flags & RANDOM) | u8::from(is_sampled);
            put(headers, TRACEPARENT, format!("00-{trace:032x}-{span:016x}-{flags:02x}"));
        }
        if begins {
            // Of a trace that is not this one.
            headers.remove(&TRACESTATE);
        }
        if !(single || multi) {
            return;
        }
        let trace = if self.is_short { format!("{trace:016x}") } else { format!("{trace:032x}") };
        let parent = self.ids.map(|(_, parent)| format!("{parent:016x}"));
        let sampled = u8::from(is_sampled);
        if single {
            let sampled = if self.is_debug { "d".to_owned() } else { sampled.to_string() };
            let parent = parent.as_ref().map(|parent| format!("-{parent}")).unwrap_or_default();
            put(headers, B3, format!("{trace}-{span:016x}-{sampled}{parent}"));
        }
        if multi {
            put(headers, B3_TRACE, trace);
            put(headers, B3_SPAN, format!("{span:016x}"));
            match parent {
                Some(parent) => put(headers, B3_PARENT, parent),
                None => drop(headers.remove(&B3_PARENT)),
            }
            if !self.is_debug {
                put(headers, B3_SAMPLED, sampled.to_string());
            }
        }
    }
}

impl<'a> Found<'a> {
    /// One look at each header, however many of these there are.
    fn of(headers: &'a HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "traceparent" => {
                    found.is_ambiguous |= found.traceparent.is_some();
                    &mut found.traceparent
                }
                "b3" => &mut found.b3,
                "x-b3-traceid" => &mut found.trace,
                "x-b3-spanid" => &mut found.span,
                "x-b3-sampled" => &mut found.sampled,
                "x-b3-flags" => &mut found.flags,
                _ => continue,
            };
            *place = Some(value);
        }
        found
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, text: String) {
    // Digits and dashes are always a value.
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// In lower case, as both forms have it.
fn is_hex(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn number(digits: &[u8]) -> Option<u128> {
    u128::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn short(digits: &[u8]) -> Option<u64> {
    u64::try_from(number(digits)?).ok()
}

#[cfg(test)]
mod tests;
