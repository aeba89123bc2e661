//! Runs cases against a place where a proxy listens in front of a backend.

use std::{net::SocketAddr, time::Duration};

use super::{
    Answer, Case, Expect, Part,
    backend::Backend,
    client::{self, Listen},
    h2,
    outcome::Outcome,
};

/// A plain request, between any two cases.
const PLAIN: &[Part] = &[Part::Raw(b"GET /plain HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n")];

/// A proxy, and the backend that it forwards to.
#[derive(Debug)]
pub struct Place<'a> {
    /// Where the proxy listens.
    pub address: SocketAddr,
    /// What stands behind it.
    pub backend: &'a Backend,
    /// How long it may take to answer, or to end a connection.
    pub patience: Duration,
    /// A peer's connection is left after its answer, though it was to be closed.
    pub is_peer: bool,
}

impl Place<'_> {
    /// Runs one case.
    ///
    /// # Errors
    /// When the proxy accepts no connection.
    pub async fn run(&self, case: &Case, expect: Expect) -> anyhow::Result<Outcome> {
        self.backend.begin(case.answer).await;
        let answers = due(expect).or(self.is_peer.then_some(1));
        let listen = Listen { answers, patience: self.patience };
        let heard = client::exchange(self.address, case.input, listen).await?;
        let patience = if matches!(case.answer, Answer::Keep(_)) { Duration::ZERO } else { self.patience };
        let seen = self.backend.seen(patience).await;
        self.backend.begin(Answer::Usual).await;
        let well_after = self.is_well().await?;
        Ok(Outcome { heard, seen, well_after })
    }

    /// Plays one HTTP/2 script.
    ///
    /// # Errors
    /// When the proxy accepts no connection.
    pub async fn play(&self, case: &h2::Case) -> anyhow::Result<h2::outcome::Outcome> {
        self.backend.begin(Answer::Usual).await;
        let heard = h2::client::play(self.address, case.script, case.expect, self.patience).await?;
        let seen = self.backend.seen(self.patience).await;
        self.backend.begin(Answer::Usual).await;
        let well_after = self.is_well_h2().await?;
        Ok(h2::outcome::Outcome { heard, seen, well_after })
    }

    async fn is_well_h2(&self) -> anyhow::Result<bool> {
        let script = [h2::Step::Begin, h2::Step::Head(h2::WHOLE, 1, h2::GET)];
        for _ in 0..2 {
            let expect = h2::Expect::Forwarded(1, &[]);
            let heard = h2::client::play(self.address, &script, expect, self.patience).await?;
            let answer = heard.streams.get(&1).cloned().unwrap_or_default();
            if answer.status == Some(200) {
                return Ok(answer.body == b"fine");
            }
        }
        Ok(false)
    }

    /// Whether a plain request is answered with what belongs to it. One failure is allowed to a connection that a
    /// case has spoilt.
    async fn is_well(&self) -> anyhow::Result<bool> {
        for _ in 0..2 {
            let listen = Listen { answers: None, patience: self.patience };
            let heard = client::exchange(self.address, PLAIN, listen).await?;
            match heard.answers.as_slice() {
                [answer] if answer.status() == 200 => {
                    return Ok(matches!(answer.body.as_slice(), b"fine" | b"next"));
                }
                [answer] if answer.status() >= 500 => {}
                _ => return Ok(false),
            }
        }
        Ok(false)
    }
}

/// How many answers an expectation comes with; `None`: as many as come before the end.
fn due(expect: Expect) -> Option<usize> {
    match expect {
        Expect::Refused { closes: true, .. } | Expect::Broken | Expect::Forwarded { closes: true, .. } => {
            None
        }
        Expect::Refused { .. } | Expect::BadAnswer | Expect::Passed { .. } => Some(1),
        Expect::Forwarded { messages, .. } => Some(messages),
    }
}
