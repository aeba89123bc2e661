//! What a panic of a task does: the state may be half changed, so nothing of it is to be used or written any more. What
//! the log holds is whole; the virtual host can be opened again from there.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

use tokio::{
    runtime::Runtime,
    sync::{mpsc, watch},
};

use super::{Command, Ended, Host, serve};
use crate::server::shared::Standing;

/// Serves a virtual host on this thread until it is told to stop, or breaks. A panic ends here, so that who called can
/// close the log.
pub(in crate::server) fn run(
    runtime: &Runtime,
    host: Rc<Host>,
    orders: mpsc::Receiver<Command>,
    standing: watch::Receiver<Standing>,
) {
    let vhost = host.vhost().name().to_owned();
    let ended = catch_unwind(AssertUnwindSafe(move || serve(runtime, &host, orders, standing)));
    if !matches!(ended, Ok(Ended::InOrder)) {
        tracing::error!(vhost, "a virtual host ended by a panic: it is down until it is started");
    }
}

/// Blows where what holds it panics.
struct Fuse(Rc<Host>);

impl Drop for Fuse {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.is_broken.set(true);
            self.0.broken.notify_one();
        }
    }
}

impl Host {
    /// Starts a task of this thread. If it panics, the virtual host ends.
    pub(in crate::server) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let fuse = Fuse(Rc::clone(self));
        tokio::task::spawn_local(async move {
            // Held in here: it is dropped while the panic unwinds.
            let _fuse = fuse;
            task.await;
        });
    }
}
