//! The direct exchange: a message goes where its routing key is bound (AMQP 0-9-1, section 3.1.3.1).

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::{
    bindings::{Binding, BindingId, Place},
    bucket::Bucket,
    message::{Message, Sink},
};

/// Buckets by key: one look-up a key.
#[derive(Debug, Default)]
pub(super) struct Direct(HashMap<Arc<str>, Bucket, RandomState>);

impl Direct {
    /// The key as it is kept already, so that bindings of one key share its text.
    pub(super) fn kept(&self, key: &str) -> Option<Arc<str>> {
        self.0.get_key_value(key).map(|(key, _)| Arc::clone(key))
    }

    pub(super) fn attach(&mut self, id: BindingId, binding: &Binding) -> Place {
        let bucket = self.0.entry(Arc::clone(&binding.key)).or_default();
        Place { bucket: 0, at: bucket.push(binding.destination, id) }
    }

    pub(super) fn detach(&mut self, binding: &Binding) -> Option<BindingId> {
        let bucket = self.0.get_mut(&binding.key)?;
        let moved = bucket.take(binding.place.at);
        if bucket.is_empty() {
            self.0.remove(&binding.key);
        }
        moved
    }

    pub(super) fn route(&self, message: &Message<'_>, sink: &mut Sink) {
        for key in message.keys {
            if let Some(bucket) = self.0.get(*key) {
                sink.add_all(bucket);
            }
        }
    }
}
