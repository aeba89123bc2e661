//! The fanout exchange: a message goes everywhere that is bound (AMQP 0-9-1, section 3.1.3.2). Keys are kept for the
//! listing and tell bindings apart, but do not choose.

use super::{
    bindings::{Binding, BindingId, Place},
    bucket::Bucket,
    message::Sink,
};

/// One bucket.
#[derive(Debug, Default)]
pub(super) struct Fanout(Bucket);

impl Fanout {
    pub(super) fn attach(&mut self, id: BindingId, binding: &Binding) -> Place {
        Place { bucket: 0, at: self.0.push(binding.destination, id) }
    }

    pub(super) fn detach(&mut self, binding: &Binding) -> Option<BindingId> {
        self.0.take(binding.place.at)
    }

    pub(super) fn route(&self, sink: &mut Sink) {
        sink.add_all(&self.0);
    }
}
