//! What became of an input, whether that is what was expected, and the one word for it that a table of proxies shows.

use std::fmt;

use super::{Case, Expect, Sees, backend::Seen, client::Heard, strict::Message};

/// All that is known of one run of a case.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// At the client.
    pub heard: Heard,
    /// At the backend.
    pub seen: Vec<Seen>,
    /// A plain request right after, on a connection of its own, was answered as any other.
    pub well_after: bool,
}

/// What a proxy did, for people to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It passed on what two readers could read differently, or took one message for another.
    Ambiguous(String),
    /// Nothing whole went on; the status, if there was one.
    Refused(Option<u16>),
    /// So many whole messages went on.
    Forwarded(usize),
    /// The upstream's answer went to the client whole.
    Passed(u16),
    /// The upstream's answer did not: the status in its place, if there was one.
    Answered(Option<u16>),
    /// The HTTP/2 connection ended: its code, if there was one.
    Connection(Option<u32>),
    /// The HTTP/2 stream was reset.
    Stream(u32),
    /// The HTTP/2 connection went on as if nothing had been.
    Alive,
}

impl Outcome {
    /// The whole messages at the backend.
    pub fn messages(&self) -> Vec<&Message> {
        self.seen.iter().flat_map(|seen| &seen.messages).collect()
    }

    /// What two readers could read differently, or a later request that was answered wrongly.
    pub fn ambiguity(&self) -> Option<String> {
        let forwarded = self.seen.iter().find_map(|seen| seen.ambiguity.clone());
        let passed = || self.heard.ambiguity.as_ref().map(|why| format!("to the client: {why}"));
        forwarded
            .or_else(passed)
            .or_else(|| (!self.well_after).then(|| "the next request suffers".to_owned()))
    }

    /// Its word.
    pub fn verdict(&self, case: &Case) -> Verdict {
        if let Some(why) = self.ambiguity() {
            return Verdict::Ambiguous(why);
        }
        let status = self.heard.answers.first().map(Message::status);
        match case.expect {
            Expect::BadAnswer => match status {
                Some(status) if status < 500 => Verdict::Passed(status),
                status => Verdict::Answered(status),
            },
            Expect::Passed { .. } => match status {
                Some(status @ (502..505)) => Verdict::Answered(Some(status)),
                Some(status) => Verdict::Passed(status),
                None => Verdict::Answered(None),
            },
            _ => match self.messages().len() {
                0 => Verdict::Refused(status),
                count => Verdict::Forwarded(count),
            },
        }
    }

    /// Whether it is as expected.
    ///
    /// # Errors
    /// What is not.
    pub fn check(&self, expect: Expect) -> Result<(), String> {
        if let Some(why) = self.ambiguity() {
            return Err(format!("ambiguous: {why}"));
        }
        let (messages, answers) = (self.messages().len(), &self.heard.answers);
        let status = answers.last().map(Message::status);
        match expect {
            Expect::Refused { status: allowed, closes } => {
                require(self.seen.is_empty(), || "something reached the backend".to_owned())?;
                match status {
                    Some(status) => {
                        require(answers.len() == 1 && allowed.contains(&status), || {
                            format!("answered {status}")
                        })?;
                    }
                    None => require(allowed.is_empty(), || "no answer".to_owned())?,
                }
                require(self.heard.closed || !closes, || "the connection stays open".to_owned())
            }
            Expect::Broken => {
                require(messages == 0, || format!("{messages} whole messages"))?;
                require(self.heard.closed, || "the connection stays open".to_owned())?;
                let is_good =
                    answers.len() <= 1 && status.is_none_or(|status| matches!(status, 400 | 413 | 431));
                require(is_good, || format!("answered {status:?}"))
            }
            Expect::Forwarded { messages: due, sees, closes } => {
                require(messages == due, || format!("{messages} messages, not {due}"))?;
                require(self.heard.closed || !closes, || "the connection stays open".to_owned())?;
                let first = self.messages();
                let first = first.first().ok_or("no message")?;
                sees.iter().try_for_each(|sees| sees.check(first))
            }
            Expect::BadAnswer => {
                let is_broken = status.is_none() && self.heard.closed;
                require(is_broken || status == Some(502), || format!("answered {status:?}"))
            }
            Expect::Passed { status: due, body } => {
                let answer = answers.first().ok_or("no answer")?;
                require(answer.status() == due, || format!("answered {}", answer.status()))?;
                require(answer.body == body, || format!("body `{}`", answer.body.escape_ascii()))
            }
        }
    }
}

impl Sees {
    pub(super) fn check(&self, message: &Message) -> Result<(), String> {
        let (good, found) = match self {
            Self::Target(target) => (message.word(1) == *target, message.start.clone()),
            Self::Body(body) => (message.body == *body, message.body.escape_ascii().to_string()),
            Self::Field(name, value) => {
                let found = message.field(name);
                (found == Some(value.as_bytes()), format!("{name}: {:?}", found.map(<[u8]>::escape_ascii)))
            }
            Self::No(name) => (message.count(name) == 0, format!("{name} is there")),
        };
        require(good, || format!("the backend does not see {self:?}: {found}"))
    }
}

impl Verdict {
    /// Whether another verdict comes to the same, whatever the status.
    pub fn is_like(&self, other: &Self) -> bool {
        self.kind() == other.kind()
            && !matches!((self, other), (Self::Forwarded(ours), Self::Forwarded(theirs)) if ours != theirs)
    }

    /// Ways to the same end are alike.
    fn kind(&self) -> u8 {
        match self {
            Self::Ambiguous(_) => 0,
            Self::Refused(_) | Self::Connection(_) | Self::Stream(_) => 1,
            Self::Forwarded(_) | Self::Alive => 2,
            Self::Passed(_) => 3,
            Self::Answered(_) => 4,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ambiguous(why) => write!(f, "**ambiguous**: {}", why.replace('|', "\\|")),
            Self::Refused(Some(status)) => write!(f, "refused {status}"),
            Self::Refused(None) => f.write_str("closed"),
            Self::Forwarded(1) => f.write_str("forwarded"),
            Self::Forwarded(count) => write!(f, "forwarded {count}"),
            Self::Passed(status) => write!(f, "passed {status}"),
            Self::Answered(Some(status)) => write!(f, "answered {status}"),
            Self::Answered(None) => f.write_str("broken off"),
            Self::Connection(Some(code)) => write!(f, "goaway {code}"),
            Self::Connection(None) => f.write_str("closed"),
            Self::Stream(code) => write!(f, "reset {code}"),
            Self::Alive => f.write_str("goes on"),
        }
    }
}

pub(super) fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
