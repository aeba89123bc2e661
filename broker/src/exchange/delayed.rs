//! The delayed exchange (`x-delayed-message`): a message whose header `x-delay` asks for it is held, and routed by
//! the inner kind once it is due. Here is only the decision; who holds messages, and until when, is the caller.
//!
//! As RabbitMQ's delayed-message plugin documents it, except that a message that is held is not routed to the
//! alternate exchange as well, that any length is honoured, and that text which is no number means no delay.

use super::header::{HeaderValue, HeaderView, truncated};

/// The header that asks for a delay.
pub const HEADER: &str = "x-delay";

/// The longest delay, milliseconds: a hundred years. A longer one is cut to it, so that sums with the time of day
/// hold.
pub const DELAY_MS_MAX: u64 = 100 * 365 * 24 * 60 * 60 * 1_000;

/// How long a message asks to be held, in milliseconds; nothing if it goes at once.
pub fn delay_ms(headers: &dyn HeaderView) -> Option<u64> {
    let asked = match headers.find(HEADER)? {
        HeaderValue::Integer(number) => number,
        HeaderValue::Float(float) => truncated(float),
        HeaderValue::Decimal { scale, value } => i128::from(value) / 10_i128.checked_pow(scale.into())?,
        HeaderValue::Bytes(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        HeaderValue::Void | HeaderValue::Bool(_) | HeaderValue::Nested(_) => return None,
    };
    let positive = u128::try_from(asked).ok().filter(|ms| *ms > 0)?;
    Some(u64::try_from(positive).map_or(DELAY_MS_MAX, |ms| ms.min(DELAY_MS_MAX)))
}
