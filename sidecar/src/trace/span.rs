//! The span of one call: its ids, the decision whether there is one, and the headers that tell the next hop. A
//! trace that somebody began is recorded if they say so; one that begins here, or that nobody has decided on, if its
//! id falls into the share that is wanted, so that every sidecar with the same share decides alike.

use http::{HeaderMap, HeaderValue};

use super::context::{Context, TRACESTATE};

/// Begins spans; one a thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tracer {
    share: f64,
}

/// One hop of a call through this sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) trace: u128,
    pub(crate) id: u64,
    /// `None` = the trace begins here.
    pub(crate) parent: Option<u64>,
    pub(crate) state: Option<HeaderValue>,
}

impl Tracer {
    /// Of traces that begin here, this share is recorded, up to 1.
    pub(crate) const fn new(share: f64) -> Self {
        Self { share }
    }

    /// The span of a call with these headers, which tell of it from then on; none, if the call is not recorded.
    pub(crate) fn begin(self, headers: &mut HeaderMap, rng: &mut fastrand::Rng) -> Option<Box<Span>> {
        let context = Context::read(headers);
        if context.sampled == Some(false) {
            return None;
        }
        let trace = context.ids.map_or_else(|| rng.u128(1..), |(trace, _)| trace);
        let is_sampled = context.sampled.unwrap_or_else(|| self.takes(trace));
        let id = rng.u64(1..);
        context.write(headers, (trace, id), is_sampled);
        let parent = context.ids.map(|(_, parent)| parent);
        is_sampled.then(|| Box::new(Span { trace, id, parent, state: headers.get(&TRACESTATE).cloned() }))
    }

    fn takes(self, trace: u128) -> bool {
        // The last digits are random in every form.
        let place = u32::try_from(trace & u128::from(u32::MAX)).map_or(0.0, f64::from);
        place / (f64::from(u32::MAX) + 1.0) < self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(share: f64, pairs: &[(&'static str, &'static str)]) -> (Option<Box<Span>>, HeaderMap) {
        let mut headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        let span = Tracer::new(share).begin(&mut headers, &mut fastrand::Rng::with_seed(7));
        (span, headers)
    }

    #[test]
    fn who_began_a_trace_decides() {
        let sampled = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let (span, headers) = begin(0.0, &[sampled, ("tracestate", "a=1")]);
        let span = span.unwrap();
        assert_eq!(
            (span.parent, span.state.unwrap().to_str().unwrap()),
            (Some(0x00f0_67aa_0ba9_02b7), "a=1")
        );
        let told = headers["traceparent"].to_str().unwrap();
        assert_eq!(told, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016x}-01", span.id));
        let not = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
        let (span, headers) = begin(1.0, &[not]);
        assert!(span.is_none() && headers["traceparent"] == not.1);
        let (span, headers) = begin(1.0, &[("b3", "0")]);
        assert!(span.is_none() && headers["b3"] == "0" && headers.len() == 1);
    }

    #[test]
    fn a_trace_begins_here_and_the_decision_is_told() {
        let (span, headers) = begin(1.0, &[]);
        assert!(span.unwrap().parent.is_none() && headers["traceparent"].to_str().unwrap().ends_with("-01"));
        let (span, headers) = begin(0.0, &[]);
        assert!(span.is_none() && headers["traceparent"].to_str().unwrap().ends_with("-00"));
    }

    #[test]
    fn a_share_is_a_share() {
        let (tracer, mut rng) = (Tracer::new(0.25), fastrand::Rng::with_seed(1));
        let taken = (0..10_000).filter(|_| tracer.takes(rng.u128(..))).count();
        assert!((2_300..2_700).contains(&taken), "{taken}");
    }
}
