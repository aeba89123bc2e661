//! Where hyper's own tasks run: on the data thread that owns the connection. Nothing crosses threads, so
//! nothing has to be `Send`.

use std::future::Future;

/// Spawns onto the thread's runtime.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalExec;

impl<F> hyper::rt::Executor<F> for LocalExec
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
