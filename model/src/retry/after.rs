//! `retry-after` (RFC 9110 section 10.2.3): seconds, or a date in the form that is to be sent today
//! (section 5.6.7). The two obsolete forms of a date are not read: then the header says nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Names of months as they stand in a date.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Digits that are read of a number of seconds: more than a hundred years is never.
const DIGITS_MAX: usize = 9;

/// How long to wait from `now` on; a date that is over is no wait.
pub fn parse(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let digits = text.trim_start_matches('0');
        let seconds = if digits.len() > DIGITS_MAX { u64::MAX } else { text.parse().ok()? };
        return Some(Duration::from_secs(seconds));
    }
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(date(text)?))?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`; the day of the week is not looked at.
fn date(text: &str) -> Option<u64> {
    let (_, text) = text.split_once(", ")?;
    let mut parts = text.split(' ');
    let day: u64 = number(parts.next()?, 2)?;
    let month = parts.next().and_then(|name| MONTHS.iter().position(|month| *month == name))?;
    let year: u64 = number(parts.next()?, 4)?;
    let mut clock = parts.next()?.split(':');
    let (hour, minute, second) =
        (number(clock.next()?, 2)?, number(clock.next()?, 2)?, number(clock.next()?, 2)?);
    let is_whole = parts.next() == Some("GMT") && parts.next().is_none() && clock.next().is_none();
    let fits = (1..=31).contains(&day) && year >= 1970 && hour < 24 && minute < 60 && second <= 60;
    (is_whole && fits).then(|| {
        days(year, u64::try_from(month).unwrap_or(0) + 1, day) * 86_400 + hour * 3_600 + minute * 60 + second
    })
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Days since 1970-01-01 in the calendar of today; the year counts from March, so that a leap day is its last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_year = year * 365 + year / 4 - year / 100 + year / 400;
    let before_month = (153 * month + 2) / 5;
    // What the same sum gives for 1970-01-01.
    const EPOCH: u64 = 719_468;
    before_year + before_month + day - 1 - EPOCH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn seconds_and_dates_are_read() {
        let wait = |text| parse(text, at(784_111_777 - 10));
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait(" 0 "), Some(Duration::ZERO));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(wait("Sat, 05 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(wait("99999999999999999999").is_some_and(|wait| wait > Duration::from_secs(1 << 40)));
        for text in ["", "-1", "1.5", "soon", "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }

    #[test]
    fn days_count_through_leap_years() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 2, 29) + 1, days(2000, 3, 1));
        assert_eq!(days(2100, 2, 28) + 1, days(2100, 3, 1));
        assert_eq!(days(2024, 1, 1), 19_723);
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_panics(text: String, day in 0_u64..99, year in 0_u64..9_999) {
            let _ = parse(&text, at(1));
            let _ = parse(&format!("Mon, {day:02} Jan {year:04} 00:00:00 GMT"), at(1));
        }
    }
}
