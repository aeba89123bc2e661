//! Malformed, ambiguous and hostile inputs, written from the MUSTs of RFC 9110, 9112 and 9113, and what may become of
//! each: it is refused, or it is passed on as one message that every reader reads alike. The tables are data; who
//! runs them, and against which proxy, stands in [`run`] and in `tests/tests/hostile_*.rs`.
//!
//! ```text
//!  case ─▶ client ─▶ proxy under test ─▶ backend, which keeps all it was sent
//!             │                             │
//!             ▼                             ▼
//!       what came back ──▶ strict ◀── what was forwarded ─▶ outcome ─▶ verdict
//! ```

pub mod backend;
pub mod client;
pub mod h1;
pub mod h2;
pub mod outcome;
pub mod peers;
pub mod run;
pub mod strict;
pub mod table;

/// One input, and what is to become of it.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Short and unique, in words with hyphens.
    pub name: &'static str,
    /// Where the rule stands: RFC and section.
    pub rfc: &'static str,
    /// What the client sends.
    pub input: &'static [Part],
    /// What the backend says to a whole request.
    pub answer: Answer,
    /// At every port, unless `inbound` says otherwise.
    pub expect: Expect,
    /// At the inbound port, where no name has to lead anywhere.
    pub inbound: Option<Expect>,
    /// Why Weft does otherwise than each of its peers; empty where it does as one of them.
    pub why: &'static str,
}

/// A piece of what is sent.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// These bytes.
    Raw(&'static [u8]),
    /// These bytes, so many times.
    Times(&'static [u8], usize),
    /// The end of this side's bytes, while the other side is still listened to.
    End,
}

/// What the backend says to a whole request.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// `200` with a short body, on a connection that it closes after.
    Usual,
    /// These bytes; the connection stays open for a next request.
    Keep(&'static [Part]),
    /// These bytes, and the end.
    Close(&'static [Part]),
}

/// What is to become of an input.
#[derive(Debug, Clone, Copy)]
pub enum Expect {
    /// The backend sees nothing whole; the client is answered with one of these (none: it is closed without a word),
    /// and where `closes`, nothing after it on this connection is read.
    Refused {
        /// One of these.
        status: &'static [u16],
        /// The connection ends with it.
        closes: bool,
    },
    /// The message breaks off or goes wrong after its head was good: the backend may see its beginning, never its end.
    Broken,
    /// The backend sees so many messages, all whole and unambiguous.
    Forwarded {
        /// How many.
        messages: usize,
        /// In the first of them.
        sees: &'static [Sees],
        /// The connection ends with the last answer.
        closes: bool,
    },
    /// The upstream's answer cannot be trusted: the client gets 502, or an answer that visibly breaks off.
    BadAnswer,
    /// The upstream's answer reaches the client as one whole response.
    Passed {
        /// Its status.
        status: u16,
        /// Its body.
        body: &'static [u8],
    },
}

/// What the backend finds in a message.
#[derive(Debug, Clone, Copy)]
pub enum Sees {
    /// This target.
    Target(&'static str),
    /// This body.
    Body(&'static [u8]),
    /// This field, once, with this value.
    Field(&'static str, &'static str),
    /// No such field.
    No(&'static str),
}

impl Case {
    /// A case whose upstream answers as usual.
    pub const fn new(name: &'static str, rfc: &'static str, input: &'static [Part], expect: Expect) -> Self {
        Self { name, rfc, input, answer: Answer::Usual, expect, inbound: None, why: "" }
    }

    /// With another answer of the upstream.
    pub const fn answer(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    /// With another expectation.
    pub const fn expecting(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }

    /// With another expectation at the inbound port.
    pub const fn inbound(self, expect: Expect) -> Self {
        Self { inbound: Some(expect), ..self }
    }

    /// With the reason for a difference from all peers.
    pub const fn because(self, why: &'static str) -> Self {
        Self { why, ..self }
    }

    /// What is expected at a port.
    pub fn expected(&self, inbound: bool) -> Expect {
        self.inbound.filter(|_| inbound).unwrap_or(self.expect)
    }
}

impl Part {
    /// All bytes of some parts, up to an end.
    pub fn bytes(parts: &[Self]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in parts {
            match part {
                Self::Raw(raw) => bytes.extend_from_slice(raw),
                Self::Times(raw, times) => bytes.extend(raw.repeat(*times)),
                Self::End => break,
            }
        }
        bytes
    }

    /// Whether the client's side ends after them.
    pub fn end(parts: &[Self]) -> bool {
        parts.iter().any(|part| matches!(part, Self::End))
    }
}

/// Refused with 400, and closed.
pub const REFUSED: Expect = Expect::Refused { status: &[400], closes: true };
/// One message reaches the backend.
pub const FORWARDED: Expect = forwarded(&[]);

/// One message reaches the backend, which finds these in it.
pub const fn forwarded(sees: &'static [Sees]) -> Expect {
    Expect::Forwarded { messages: 1, sees, closes: false }
}

/// Refused with one of these, and closed.
pub const fn refused(status: &'static [u16]) -> Expect {
    Expect::Refused { status, closes: true }
}
