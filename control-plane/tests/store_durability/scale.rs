//! How much the heavy tests do: `WEFT_TEST_SCALE` is `ci` (small, the default) or `soak` (the figures).

use anyhow::bail;

/// One of two values, as the environment says.
///
/// # Errors
/// On another value of the variable, naming it.
#[expect(clippy::disallowed_methods, reason = "these tests' one place for their variable")]
pub(crate) fn pick<T>(ci: T, soak: T) -> anyhow::Result<T> {
    match std::env::var("WEFT_TEST_SCALE").as_deref() {
        Err(_) | Ok("" | "ci") => Ok(ci),
        Ok("soak") => Ok(soak),
        Ok(other) => bail!("WEFT_TEST_SCALE is `{other}`: give ci or soak"),
    }
}
