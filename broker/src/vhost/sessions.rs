//! The connections of a virtual host, by a number that is never used again.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::session::{Session, SessionId};

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: HashMap<SessionId, Box<Session>, RandomState>,
    last: SessionId,
}

impl Sessions {
    pub(super) fn add(&mut self, session: Session) -> SessionId {
        // After four billion connections numbers come round; those that still live are passed over.
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.all.contains_key(&self.last) {
                self.all.insert(self.last, Box::new(session));
                return self.last;
            }
        }
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Box<Session>> {
        self.all.remove(&id)
    }

    pub(super) fn one(&self, id: SessionId) -> Option<&Session> {
        self.all.get(&id).map(Box::as_ref)
    }

    pub(super) fn one_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.all.get_mut(&id).map(Box::as_mut)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.all.iter().map(|(id, session)| (*id, session.as_ref()))
    }

    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.all.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}
