//! One value for each kind of resource: what is done for all kinds is done in one place, and a new kind is one
//! field.

use super::Kind;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct PerKind<T> {
    pub(super) endpoint: T,
    pub(super) traffic: T,
    pub(super) service: T,
}

impl<T> PerKind<T> {
    /// That of one kind.
    pub(super) const fn of(&self, kind: Kind) -> &T {
        match kind {
            Kind::Endpoint => &self.endpoint,
            Kind::Traffic => &self.traffic,
            Kind::Service => &self.service,
        }
    }

    /// That of one kind, to be changed.
    pub(super) const fn of_mut(&mut self, kind: Kind) -> &mut T {
        match kind {
            Kind::Endpoint => &mut self.endpoint,
            Kind::Traffic => &mut self.traffic,
            Kind::Service => &mut self.service,
        }
    }

    /// In the order of [`Kind::ORDER`].
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        [&self.endpoint, &self.traffic, &self.service].into_iter()
    }

    /// In the order of [`Kind::ORDER`], to be changed.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut T> {
        [&mut self.endpoint, &mut self.traffic, &mut self.service].into_iter()
    }
}
