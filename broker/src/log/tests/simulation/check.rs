//! Ends an owner and compares what the next one finds with the model.

use std::collections::BTreeMap;

use super::{QUEUES, World, body, open};
use crate::log::{
    position::Position,
    reader::{Wanted, read_run},
    recovery::Recovered,
    state::{Effect, QueueState, State},
};

impl World {
    /// Ends this owner, with or without the machine's power, and compares what the next one finds with the model.
    pub(super) fn reopen(&mut self, power: bool, closed: bool) {
        let durable = self.opened.appender.durable();
        if power {
            self.disk.crash();
        } else {
            self.disk.kill();
        }
        self.disk.set_room(None);
        self.opened = open(&self.disk).unwrap();
        let recovered = std::mem::take(&mut self.opened.recovered);
        assert_eq!(recovered.damage, [], "a crash is no damage");
        assert!(recovered.end >= durable, "durable {durable}, found {}", recovered.end);
        if closed {
            assert!(recovered.clean, "closed in order");
        }
        self.compare(&recovered);
        self.read_back(&recovered.state);
        self.base = recovered.state.clone();
        self.state = recovered.state;
        self.steps.clear();
        self.gathered.clear();
        self.held = None;
    }

    /// What was found is what all steps before its end amount to.
    fn compare(&self, recovered: &Recovered) {
        let mut model = self.base.clone();
        let mut gathered = Vec::new();
        for step in &self.steps {
            if step.end <= recovered.end {
                for effect in &step.effects {
                    model.apply(effect.clone());
                }
            } else {
                gathered.extend(&step.effects);
            }
        }
        assert_eq!(recovered.state.topology, model.topology);
        let settled = |queue: u32, seq: u64| {
            gathered.iter().any(|effect| {
                matches!(effect, Effect::Settle { queue: of, range }
                    if *of == queue && (range.first..=range.last).contains(&seq))
            })
        };
        for queue in 0..QUEUES {
            let found = messages(&recovered.state, queue);
            let mut expected = messages(&model, queue);
            // Of a group's settlements any part may be there without the rest: each queue has a record of its own.
            expected.retain(|seq, position| {
                assert!(found.get(seq).is_none_or(|at| at == position), "{seq} of {queue} moved");
                found.contains_key(seq) || !settled(queue, *seq)
            });
            assert_eq!(found, expected, "queue {queue}");
            marks(recovered.state.queues.get(&queue), model.queues.get(&queue));
        }
    }

    /// Every message comes back with its body.
    fn read_back(&mut self, state: &State) {
        let sums = self.opened.sums;
        for (queue, held) in &state.queues {
            let wanted: Vec<Wanted> = held
                .index
                .iter()
                .map(|(seq, slot)| Wanted { seq, position: slot.position, size: slot.size })
                .collect();
            let mut count = 0;
            read_run(self.opened.writer.disk(), sums, &wanted, |seq, message| {
                assert_eq!(message.unwrap().body, body(self.bodies[&(*queue, seq)]));
                count += 1;
            });
            assert_eq!(count, wanted.len());
        }
    }
}

/// What was delivered stays marked, what came back keeps its count, and no number is given twice.
fn marks(found: Option<&QueueState>, model: Option<&QueueState>) {
    let Some(model) = model else { return };
    let found = found.unwrap();
    assert!(found.delivered_up_to >= model.delivered_up_to);
    assert!(found.next_seq >= model.next_seq);
    for (seq, returned) in model.returned.iter().filter(|(seq, _)| found.index.slot(**seq).is_some()) {
        assert_eq!(found.returned.get(seq), Some(returned));
        assert_eq!(u32::from(found.index.slot(*seq).unwrap().aux.deliveries()), returned.count);
    }
}

fn messages(state: &State, queue: u32) -> BTreeMap<u64, Position> {
    let index = state.queues.get(&queue).map(|queue| &queue.index);
    index.into_iter().flat_map(|index| index.iter()).map(|(seq, slot)| (seq, slot.position)).collect()
}
