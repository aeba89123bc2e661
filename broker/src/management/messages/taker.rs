//! A visitor that takes messages with `basic.get`, one after the other; what is on the disk is waited for. All of them
//! are settled at the end, so that what nobody was answered is not lost.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    Then,
    reply::{Got, Reply, read},
};
use crate::{
    amqp::{
        method::{Basic, Method as Amqp, basic},
        reply::Refusal,
    },
    management::{
        answer::Failure,
        visit::{Visitor, say},
    },
    server::{VhostHandle, clock::now_ms},
    vhost::SessionId,
};

/// How long a message may take that has to be read from the disk.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How long messages are taken for one request, which ends before it is given up.
const TAKING_MAX: Duration = Duration::from_secs(30);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(2);

/// A visitor that takes messages; whatever happens, it goes.
pub(super) struct Taker {
    vhost: VhostHandle,
    id: Option<SessionId>,
    replies: Vec<u8>,
    last_tag: u64,
    until: Instant,
}

impl Taker {
    pub(super) async fn enter(vhost: VhostHandle, visitor: Visitor) -> Result<Self, Failure> {
        // Apart from who asks, who may go at any moment: whoever has entered leaves.
        let entering = tokio::spawn(async move {
            let id = vhost.with(move |vhost| visitor.enter(vhost)).await??;
            let until = Instant::now() + TAKING_MAX;
            Ok(Self { vhost, id: Some(id), replies: Vec::new(), last_tag: 0, until })
        });
        entering.await.map_err(|error| Failure::Internal(error.to_string()))?
    }

    /// Whether another message may be taken.
    pub(super) fn has_time(&self) -> bool {
        Instant::now() < self.until
    }

    /// The next message; none where there is none.
    pub(super) async fn take(&mut self, queue: &str) -> Result<Option<Got>, Failure> {
        let Some(id) = self.id else { return Ok(None) };
        let queue = queue.to_owned();
        let asked = self.vhost.with(move |vhost| {
            let get = basic::Get { queue: &queue, no_ack: false };
            say(vhost, id, &Amqp::Basic(Basic::Get(get)))?;
            Ok::<_, Refusal>(vhost.take_replies(id))
        });
        let mut fresh = asked.await??;
        let until = Instant::now() + WAIT_MAX;
        loop {
            self.replies.append(&mut fresh);
            match read(&self.replies)? {
                Some(Reply::Empty) => return Ok(None),
                Some(Reply::Message(got)) => {
                    self.replies.clear();
                    self.last_tag = got.tag;
                    return Ok(Some(*got));
                }
                None if Instant::now() > until => {
                    return Err(Failure::Unavailable("a message cannot be read in time".to_owned()));
                }
                None => sleep(LOOK).await,
            }
            fresh = self.vhost.with(move |vhost| vhost.take_replies(id)).await?;
        }
    }

    /// Settles what was taken, and goes.
    pub(super) async fn finish(self, then: Then) -> Result<(), Failure> {
        let finishing = tokio::spawn(self.settle(then));
        finishing.await.map_err(|error| Failure::Internal(error.to_string()))?
    }

    async fn settle(mut self, then: Then) -> Result<(), Failure> {
        let Some(id) = self.id.take() else { return Ok(()) };
        let tag = self.last_tag;
        let settled = self.vhost.change(move |vhost| {
            let settled = match then {
                Then::Gone if tag > 0 => {
                    let ack = basic::Ack { delivery_tag: tag, multiple: true };
                    say(vhost, id, &Amqp::Basic(Basic::Ack(ack)))
                }
                Then::Rejected if tag > 0 => {
                    let nack = basic::Nack { delivery_tag: tag, multiple: true, requeue: false };
                    say(vhost, id, &Amqp::Basic(Basic::Nack(nack)))
                }
                // What nobody has acknowledged goes back when the visitor leaves.
                Then::Rejected | Then::Gone | Then::Back => Ok(()),
            };
            vhost.leave(id, now_ms());
            settled
        });
        settled.await?.map_err(Failure::from)
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let vhost = self.vhost.clone();
            runtime.spawn(async move { vhost.with(move |vhost| vhost.leave(id, now_ms())).await });
        }
    }
}
