//! How the thread of a virtual host ends in order: clients are told, the log is closed.

use std::{rc::Rc, time::Duration};

use tokio::sync::mpsc;

use super::{Command, Host};
use crate::{amqp::reply::ReplyCode, log::writer::thread::Job, server::clock::now_ms};

/// How long a stop waits for clients to say goodbye, and then for the log.
const GOODBYE: Duration = Duration::from_secs(2);

impl Host {
    /// Ends in order: clients are told, the log is closed.
    pub(super) async fn stop(self: &Rc<Self>, commands: &mut mpsc::Receiver<Command>) {
        let ids = self.vhost().session_ids();
        for id in ids {
            let reason = "broker forced connection closure with reason 'shutdown'";
            self.vhost().force_close(id, ReplyCode::ConnectionForced, reason);
        }
        self.end_turn();
        let gone = async {
            while !self.wakers.borrow().is_empty() {
                tokio::select! {
                    // Completions matter as much as goodbyes: what is confirmed by them is still told.
                    biased;
                    Some(command) = commands.recv() => self.last(command),
                    () = self.left.notified() => {}
                }
            }
        };
        let _in_time = tokio::time::timeout(GOODBYE, gone).await;
        if self.is_broken.get() {
            return;
        }
        self.vhost().seal();
        let closed = async {
            while !self.vhost().is_sealed() {
                let group = self.vhost().take_group(now_ms());
                if let Some(group) = group {
                    self.job(Job::Group(group));
                }
                match commands.recv().await {
                    Some(command) => self.last(command),
                    None => return,
                }
            }
        };
        let _in_time = tokio::time::timeout(GOODBYE, closed).await;
        self.checkpoint();
        self.jobs.borrow_mut().take();
        self.reads.borrow_mut().take();
    }

    /// While it ends, only what the log says matters.
    fn last(&self, command: Command) {
        match command {
            Command::Completed(completion) => self.completed(completion),
            Command::Closed(segments) => self.job(Job::Remove(segments)),
            Command::Call(call) => call(&mut self.vhost()),
            Command::Connection(_) | Command::Loaded(..) | Command::Scanned(_) | Command::Stop => {}
        }
    }
}
