//! `tx.…` and `confirm.select`: the modes of a channel.

use crate::{
    amqp::{
        method::{
            Tx,
            tx::{CommitOk, RollbackOk, SelectOk},
        },
        properties,
        reply::ReplyCode,
        table::RawTable,
    },
    queue::Address,
    vhost::{
        Vhost,
        channel::Mode,
        confirms::Confirms,
        publish::Outgoing,
        refuse::{self, Refusal},
        tx::{Settlement, Transaction},
    },
};

impl Vhost {
    pub(super) fn select_confirms(&mut self, at: Address) -> Result<(), Refusal> {
        let Some(channel) = self.channel_mut(at) else { return Ok(()) };
        match channel.mode {
            Mode::Plain => channel.mode = Mode::Confirm(Confirms::default()),
            Mode::Confirm(_) => {}
            Mode::Transaction(_) => {
                let text = "cannot switch from tx to confirm mode";
                return Err(Refusal::new(ReplyCode::PreconditionFailed, text));
            }
        }
        Ok(())
    }

    pub(super) fn tx_method(&mut self, at: Address, method: &Tx) -> Result<(), Refusal> {
        match method {
            Tx::Select(_) => {
                self.select_transactions(at)?;
                self.answer(at, |number, out| SelectOk {}.encode(number, out));
                Ok(())
            }
            Tx::Commit(_) => self.commit(at),
            Tx::Rollback(_) => self.rollback(at),
            Tx::SelectOk(_) | Tx::CommitOk(_) | Tx::RollbackOk(_) => Err(refuse::unimplemented()),
        }
    }

    fn select_transactions(&mut self, at: Address) -> Result<(), Refusal> {
        let Some(channel) = self.channel_mut(at) else { return Ok(()) };
        match channel.mode {
            Mode::Plain => channel.mode = Mode::Transaction(Transaction::default()),
            Mode::Transaction(_) => {}
            Mode::Confirm(_) => {
                let text = "cannot switch from confirm to tx mode";
                return Err(Refusal::new(ReplyCode::PreconditionFailed, text));
            }
        }
        Ok(())
    }

    fn transaction(&mut self, at: Address) -> Result<Transaction, Refusal> {
        let Some(Mode::Transaction(transaction)) = self.channel_mut(at).map(|channel| &mut channel.mode)
        else {
            return Err(Refusal::new(ReplyCode::PreconditionFailed, "channel is not transactional"));
        };
        let transaction = std::mem::take(transaction);
        self.let_go(at.session, transaction.bytes());
        Ok(transaction)
    }

    /// All of it is one atomic step of the log, and answered when that is safe.
    fn commit(&mut self, at: Address) -> Result<(), Refusal> {
        let transaction = self.transaction(at)?;
        if self.is_poisoned() {
            return Err(Refusal::new(ReplyCode::InternalError, "the message log failed"));
        }
        self.store.begin_chain();
        for outgoing in transaction.publishes {
            self.place_outgoing(at, &outgoing);
        }
        for settlement in transaction.settlements {
            match settlement {
                Settlement::Ack(deliveries) => self.ack_all(at, &deliveries),
                Settlement::Return(deliveries, requeue) => self.return_all(at, deliveries, requeue),
            }
        }
        // What was rejected goes where dead letters go with the rest.
        self.bury_all();
        self.store.end_chain();
        self.store.request_sync();
        let end = self.store.end();
        if end <= self.store.durable() {
            self.answer(at, |number, out| CommitOk {}.encode(number, out));
        } else {
            self.commits.push_back((end, at));
        }
        Ok(())
    }

    fn place_outgoing(&mut self, at: Address, outgoing: &Outgoing) {
        let published = &outgoing.message;
        if self.answers_directly(published.exchange(), published.routing_key(), published) {
            return;
        }
        let view = properties::PropertiesView::parse(published.properties()).unwrap_or_default();
        let headers = outgoing.headers.as_deref().map(RawTable::new).or(view.headers);
        self.route_raw(outgoing.exchange, published.routing_key(), &outgoing.keys, headers);
        let fate = self.place(published, headers);
        self.settle_publish(at, None, fate, outgoing.mandatory, published);
    }

    /// Commits whose log is safe are answered.
    pub(in crate::vhost) fn answer_commits(&mut self) {
        let durable = self.store.durable();
        while let Some((_, at)) = self.commits.front().filter(|(end, _)| *end <= durable).copied() {
            self.commits.pop_front();
            self.answer(at, |number, out| CommitOk {}.encode(number, out));
        }
    }

    fn rollback(&mut self, at: Address) -> Result<(), Refusal> {
        let transaction = self.transaction(at)?;
        let Some(channel) = self.channel_mut(at) else { return Ok(()) };
        for settlement in transaction.settlements.into_iter().rev() {
            let (Settlement::Ack(deliveries) | Settlement::Return(deliveries, _)) = settlement;
            channel.unacked.put_back(deliveries);
        }
        self.answer(at, |number, out| RollbackOk {}.encode(number, out));
        Ok(())
    }
}
