//! Failures on purpose: which requests wait and which are answered without being sent. Pure.

use std::time::Duration;

use weft_model::policy::FaultPolicy;

/// What is done to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Fault {
    /// It waits first.
    pub(crate) delay: Option<Duration>,
    /// Then it is answered with this status, which gRPC maps to a code.
    pub(crate) abort: Option<u16>,
}

impl Fault {
    /// Delay and abort are drawn apart: a request may get both.
    pub(crate) fn draw(policy: &FaultPolicy, rng: &mut fastrand::Rng) -> Self {
        let mut strikes = |percent: u32| rng.u32(..100) < percent;
        Self {
            delay: policy.delay.filter(|delay| strikes(delay.percent)).map(|delay| delay.time),
            abort: policy.abort.filter(|abort| strikes(abort.percent)).map(|abort| abort.status),
        }
    }
}

#[cfg(test)]
mod tests {
    use weft_model::policy::{FaultAbort, FaultDelay};

    use super::*;

    #[test]
    fn each_strikes_its_share() {
        let time = Duration::from_secs(1);
        let policy = FaultPolicy {
            delay: Some(FaultDelay { percent: 100, time }),
            abort: Some(FaultAbort { percent: 25, status: 503 }),
        };
        let mut rng = fastrand::Rng::with_seed(1);
        let drawn: Vec<_> = (0..1_000).map(|_| Fault::draw(&policy, &mut rng)).collect();
        assert!(drawn.iter().all(|fault| fault.delay == Some(time)));
        let aborted = drawn.iter().filter(|fault| fault.abort == Some(503)).count();
        assert!((200..300).contains(&aborted), "{aborted}");
        assert_eq!(Fault::draw(&FaultPolicy { delay: None, abort: None }, &mut rng), Fault::default());
    }
}
