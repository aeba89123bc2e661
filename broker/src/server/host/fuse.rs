//! What a panic of a task does: the state may be half changed, so nothing of it is to be used or written any more. What
//! the log holds is whole; the virtual host can be opened again from there.

use std::rc::Rc;

use super::Host;

/// Blows where what holds it panics.
struct Fuse(Rc<Host>);

impl Drop for Fuse {
    fn drop(&mut self) {
        if std::thread::panicking() {
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
