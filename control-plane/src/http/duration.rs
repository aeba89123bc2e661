//! Go's durations, which Consul's API speaks: `10s`, `1m30s`, `1.5h`, `250ms`. Pure text.

use std::time::Duration;

/// Units from the longest to the shortest, in nanoseconds.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("ms", 1_000_000),
    ("m", 60_000_000_000),
    ("us", 1_000),
    ("ns", 1),
    ("s", 1_000_000_000),
];
/// Ten years: longer is a mistake, and sums stay far from overflow.
const DURATION_MAX: Duration = Duration::from_hours(87_600);

/// Parses Go's form. `None` for anything else: a bare number (but `0`), a sign, a total over ten years.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at(end);
        let (unit, nanos) =
            UNITS.iter().find(|(unit, _)| tail.strip_prefix(unit).is_some_and(begins_with_number_or_ends))?;
        total = total.checked_add(scaled(number, *nanos)?)?;
        if total > DURATION_MAX {
            return None;
        }
        rest = tail.strip_prefix(unit)?;
    }
    Some(total)
}

/// Go's form of a duration, as `Duration.String` writes it from one second upwards.
pub(crate) fn format(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".into();
    }
    if duration < Duration::from_secs(1) {
        return format!("{duration:?}").replace('µ', "u");
    }
    let seconds = duration.as_secs();
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let mut text = String::new();
    if hours > 0 {
        text += &format!("{hours}h");
    }
    if hours > 0 || minutes > 0 {
        text += &format!("{minutes}m");
    }
    let fraction = format!("{:09}", duration.subsec_nanos());
    let fraction = fraction.trim_end_matches('0');
    text += &(seconds % 60).to_string();
    if !fraction.is_empty() {
        text += &format!(".{fraction}");
    }
    text + "s"
}

fn begins_with_number_or_ends(rest: &str) -> bool {
    rest.chars().next().is_none_or(|c| c.is_ascii_digit() || c == '.')
}

/// `number` (digits with at most one point) times `nanos`, cut to whole nanoseconds.
fn scaled(number: &str, nanos: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(nanos)?;
    let mut place = nanos;
    for digit in fraction.bytes() {
        place /= 10;
        total = total.checked_add(place.checked_mul(u64::from(digit - b'0'))?)?;
    }
    Some(Duration::from_nanos(total))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn go_durations_are_read() {
        for (text, millis) in [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("250ms", 250),
            (".5s", 500),
            ("0", 0),
            ("1h0m0.001s", 3_600_001),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn all_else_is_refused() {
        for text in ["", "10", "s", ".s", "-1s", "10 s", "10sec", "1..2s", "99999999h", "1e3s", "10s5"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (text, millis) in [("0s", 0), ("10s", 10_000), ("1m30s", 90_000), ("2h0m0s", 7_200_000)] {
            assert_eq!(format(Duration::from_millis(millis)), text);
        }
        assert_eq!(format(Duration::from_millis(1_500)), "1.5s");
        assert_eq!(format(Duration::from_millis(250)), "250ms");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(millis in 0_u64..100_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), Some(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = parse(&text);
        }
    }
}
