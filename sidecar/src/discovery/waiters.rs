//! First dials that wait for an answer of the control plane. Bounded; who has gone is forgotten.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::oneshot;

use crate::table::{DEMANDS_WAITING_MAX, Demanded};

/// By service.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: HashMap<Arc<str>, Vec<oneshot::Sender<Demanded>>>,
    count: usize,
}

impl Waiters {
    /// Keeps a dial until its service is known; over the limit it is answered at once.
    pub(super) fn wait(&mut self, service: &Arc<str>, reply: oneshot::Sender<Demanded>) {
        if self.count >= DEMANDS_WAITING_MAX {
            self.forget_gone();
        }
        if self.count >= DEMANDS_WAITING_MAX {
            answer(reply, Demanded::Timeout);
            return;
        }
        self.waiting.entry(Arc::clone(service)).or_default().push(reply);
        self.count += 1;
    }

    /// Answers all that wait for a service.
    pub(super) fn resolve(&mut self, service: &str, demanded: Demanded) {
        for reply in self.waiting.remove(service).into_iter().flatten() {
            self.count -= 1;
            answer(reply, demanded);
        }
    }

    /// Drops those whose dial has timed out.
    pub(super) fn forget_gone(&mut self) {
        self.waiting.retain(|_, replies| {
            replies.retain(|reply| !reply.is_closed());
            !replies.is_empty()
        });
        self.count = self.waiting.values().map(Vec::len).sum();
    }
}

/// Answers a dial; whoever asked may have gone.
pub(super) fn answer(reply: oneshot::Sender<Demanded>, demanded: Demanded) {
    let _ = reply.send(demanded);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dials_that_have_gone_make_room_for_others() {
        let (mut waiters, name) = (Waiters::default(), Arc::from("orders.default"));
        let mut gone = Vec::new();
        for _ in 0..DEMANDS_WAITING_MAX {
            let (reply, answer) = oneshot::channel();
            waiters.wait(&name, reply);
            gone.push(answer);
        }
        let (reply, mut refused) = oneshot::channel();
        waiters.wait(&name, reply);
        assert_eq!(refused.try_recv().unwrap(), Demanded::Timeout);
        gone.clear();
        let (reply, mut waiting) = oneshot::channel();
        waiters.wait(&name, reply);
        waiters.resolve(&name, Demanded::Known);
        assert_eq!(waiting.try_recv().unwrap(), Demanded::Known);
        assert_eq!(waiters.count, 0);
    }
}
