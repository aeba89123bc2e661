//! What of a stream its readers may see: only what is durable, as in RabbitMQ. An offset that somebody has read must not hold
//! another message after a crash. Between the log, which says what is durable, and the consumers, which are woken.

use super::Vhost;
use crate::queue::{Contents, Queue};

impl Vhost {
    /// The log has written something: what is durable now may be read.
    pub(super) fn reveal_streams(&mut self) {
        let durable = self.store.durable();
        for id in std::mem::take(&mut self.growing) {
            let Some(queue) = self.queues.one_mut(id) else { continue };
            let Queue { contents: Contents::Stream(stream), index, .. } = queue else { continue };
            let revealed = stream.reveal(|seq| index.slot(seq).is_none_or(|slot| slot.position < durable));
            if stream.has_unsafe() {
                self.growing.push(id);
            }
            if revealed {
                queue.wake_readers();
                self.touch(id);
            }
        }
    }
}
