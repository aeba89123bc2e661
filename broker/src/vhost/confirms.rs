//! Publisher confirms of a channel: which tags wait for which position of the log, and what may be said when.

use std::collections::VecDeque;

use crate::log::position::Position;

/// What is to be sent: `basic.ack`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Confirmation {
    /// The highest tag of it.
    pub(super) tag: u64,
    /// Whether those before it are meant, too.
    pub(super) multiple: bool,
    /// How many publishes it confirms.
    pub(super) count: u64,
}

/// A channel's confirms, in the order of its publishes.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    last: u64,
    waiting: VecDeque<(u64, Position)>,
}

impl Confirms {
    /// The next publish's tag.
    pub(super) fn next_tag(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// `tag` is done once the log is durable up to `position`; `None` is done already.
    pub(super) fn wait(&mut self, tag: u64, position: Option<Position>) {
        let before = self.waiting.back().map_or(Position::default(), |(_, position)| *position);
        self.waiting.push_back((tag, position.unwrap_or(before).max(before)));
    }

    /// What may be confirmed now.
    pub(super) fn durable(&mut self, up_to: Position) -> Option<Confirmation> {
        let mut confirmation: Option<Confirmation> = None;
        while let Some((tag, _)) = self.waiting.front().filter(|(_, position)| *position <= up_to).copied() {
            self.waiting.pop_front();
            let count = confirmation.map_or(0, |before| before.count) + 1;
            confirmation = Some(Confirmation { tag, multiple: count > 1, count });
        }
        confirmation
    }

    /// All that wait, none of which can be promised any more.
    pub(super) fn fail(&mut self) -> impl Iterator<Item = u64> {
        self.waiting.drain(..).map(|(tag, _)| tag)
    }

    /// How many publishes wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none does.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(raw: u64) -> Position {
        Position::from_raw(raw)
    }

    #[test]
    fn they_are_told_in_order_and_together() {
        let mut confirms = Confirms::default();
        for position in [Some(at(10)), None, Some(at(20)), None] {
            let tag = confirms.next_tag();
            confirms.wait(tag, position);
        }
        assert_eq!(confirms.durable(at(9)), None);
        assert_eq!(confirms.durable(at(10)), Some(Confirmation { tag: 2, multiple: true, count: 2 }));
        assert_eq!(confirms.durable(at(20)), Some(Confirmation { tag: 4, multiple: true, count: 2 }));
        let tag = confirms.next_tag();
        confirms.wait(tag, None);
        assert_eq!(confirms.durable(at(20)), Some(Confirmation { tag: 5, multiple: false, count: 1 }));
        assert!(confirms.is_empty());
    }
}
