//! Whether what came of a script is what was expected, and its one word for the table.

use super::{Case, Expect, client::Heard, code};
use crate::hostile::{
    backend::Seen,
    outcome::{Verdict, require},
    strict::Message,
};

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

impl Expect {
    /// Whether more listening cannot change the verdict. What is to end is waited for.
    pub fn is_settled(self, heard: &Heard) -> bool {
        match self {
            Self::Connection(_) => heard.goaway.is_some_and(|code| code != 0),
            Self::Stream(stream, _) | Self::Refused(stream) | Self::Forwarded(stream, _) => {
                heard.is_over(stream) && (heard.is_alive || heard.goaway.is_some())
            }
            Self::Alive | Self::Bounded => heard.is_alive,
        }
    }
}

impl Outcome {
    fn messages(&self) -> Vec<&Message> {
        self.seen.iter().flat_map(|seen| &seen.messages).collect()
    }

    fn ambiguity(&self) -> Option<String> {
        let forwarded = self.seen.iter().find_map(|seen| seen.ambiguity.clone());
        forwarded
            .or_else(|| self.heard.ambiguity.clone())
            .or_else(|| (!self.well_after).then(|| "the next request suffers".to_owned()))
    }

    /// The code that ended the connection, where one did; no code is as good as any.
    fn connection_error(&self) -> Option<Option<u32>> {
        match (self.heard.goaway, self.heard.closed) {
            (Some(code @ 1..), _) => Some(Some(code)),
            (_, true) => Some(None),
            _ => None,
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
        let ended = self.connection_error();
        let on = |stream| self.heard.streams.get(&stream).cloned().unwrap_or_default();
        match expect {
            Expect::Connection(codes) => match ended {
                Some(code) => {
                    require(code.is_none_or(|code| codes.contains(&code)), || format!("code {code:?}"))
                }
                None => Err("the connection goes on".to_owned()),
            },
            Expect::Stream(stream, codes) => match (on(stream).reset, ended) {
                (Some(code), _) => require(codes.contains(&code), || format!("stream code {code}")),
                (None, Some(code)) => {
                    require(code.is_none_or(|code| codes.contains(&code)), || format!("code {code:?}"))
                }
                (None, None) => Err("neither stream nor connection ends".to_owned()),
            },
            Expect::Refused(stream) => {
                require(self.messages().is_empty(), || "something whole reached the backend".to_owned())?;
                let status = on(stream).status.filter(|status| (400..500).contains(status));
                let reset = on(stream).reset.filter(|code| *code != code::CALM);
                require(status.is_some() || reset.is_some() || ended.is_some(), || {
                    "it is not refused".to_owned()
                })
            }
            Expect::Forwarded(stream, sees) => {
                require(on(stream).status == Some(200), || format!("answered {:?}", on(stream)))?;
                let messages = self.messages();
                let first = messages.first().ok_or("nothing at the backend")?;
                sees.iter().try_for_each(|sees| sees.check(first))
            }
            Expect::Alive => {
                require(self.heard.is_alive && ended.is_none(), || format!("it ended: {ended:?}"))?;
                let reset = self.heard.streams.iter().find(|(_, stream)| stream.reset.is_some());
                require(reset.is_none(), || format!("reset: {reset:?}"))
            }
            Expect::Bounded => {
                require(self.heard.is_alive || ended.is_some(), || "neither lives nor ends".to_owned())
            }
        }
    }

    /// Its word.
    pub fn verdict(&self, case: &Case) -> Verdict {
        if let Some(why) = self.ambiguity() {
            return Verdict::Ambiguous(why);
        }
        let stream = match case.expect {
            Expect::Stream(stream, _) | Expect::Refused(stream) | Expect::Forwarded(stream, _) => stream,
            _ => 1,
        };
        let on = self.heard.streams.get(&stream).cloned().unwrap_or_default();
        match (self.connection_error(), on.reset, on.status) {
            (Some(code), ..) => Verdict::Connection(code),
            (None, Some(code), _) => Verdict::Stream(code),
            (None, None, Some(status)) if self.messages().is_empty() => Verdict::Refused(Some(status)),
            (None, None, Some(_)) => Verdict::Forwarded(self.messages().len()),
            (None, None, None) => Verdict::Alive,
        }
    }
}
