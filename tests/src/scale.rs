//! Counts and durations of the heavy tests come from one variable: `WEFT_TEST_SCALE` is `ci` (small, the
//! default) or `soak` (the figures of the issue).

/// How much a test does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Small, for each run.
    Ci,
    /// The figures.
    Soak,
}

impl Scale {
    /// As the environment says.
    ///
    /// # Panics
    /// On another value, naming it.
    #[expect(clippy::disallowed_methods, clippy::panic, reason = "the harness's one place for its variable")]
    pub fn current() -> Self {
        match std::env::var("WEFT_TEST_SCALE").as_deref() {
            Err(_) | Ok("" | "ci") => Self::Ci,
            Ok("soak") => Self::Soak,
            Ok(other) => panic!("WEFT_TEST_SCALE is `{other}`: give ci or soak"),
        }
    }

    /// One of two values.
    pub fn pick<T>(self, ci: T, soak: T) -> T {
        match self {
            Self::Ci => ci,
            Self::Soak => soak,
        }
    }
}
