//! `weft redrive` against a broker: carries out what [`job`] decides, over three channels of one connection. One gets and
//! settles, one publishes with confirms, one asks whether an exchange is there, since publishing to one that is not
//! closes its channel.

use std::{
    collections::HashMap,
    pin::pin,
    time::{Duration, Instant},
};

use weft_broker::amqp::{
    method::{Basic, Confirm, Exchange, Method, Queue, basic, confirm, exchange, queue},
    table::RawTable,
};

use super::amqp::{Amqp, AmqpError, Event};

pub mod job;
pub mod tally;

use job::{Halt, Job, Plan, Publication};

/// Where messages are got and settled.
const GETS: u16 = 1;
/// Where they are published.
const PUBLISHES: u16 = 2;
/// Where it is asked what there is.
const QUESTIONS: u16 = 3;
/// The reply code of what is not there.
const NOT_FOUND: u16 = 404;
/// Between two looks at the rate, and at the progress.
const TICK: Duration = Duration::from_millis(50);
/// How long messages that stay are held at most: brokers close a channel that does not settle within half an hour
/// (RabbitMQ, "Delivery Acknowledgement Timeout").
const HOLD_MAX: Duration = Duration::from_secs(25 * 60);
/// Answers about what there is that are remembered.
const ANSWERS_MAX: usize = 10_000;

/// Why messages cannot be redriven, or no further.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The connection.
    #[error(transparent)]
    Amqp(#[from] AmqpError),
    /// The broker refuses a step.
    #[error("the broker refuses {what}: {code} {text}; {remedy}")]
    Refused {
        /// What.
        what: String,
        /// The reply code.
        code: u16,
        /// Its words.
        text: String,
        /// What can be done.
        remedy: &'static str,
    },
}

/// What a person sees meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Messages that were there at the beginning.
    pub waiting: u64,
    /// The state.
    pub job: &'a Job,
    /// Why the broker lets publishers wait, if it does.
    pub blocked: Option<&'a str>,
}

/// Redrives a queue's messages, until there is none left of those at the beginning, or `interrupted` is done. `None`:
/// there is no such queue.
///
/// # Errors
/// When the broker goes away or refuses a step. What was not confirmed is then still in its queue.
pub async fn run(
    amqp: Amqp,
    plan: Plan,
    interrupted: impl Future<Output = ()>,
    mut progress: impl FnMut(&Progress<'_>),
) -> Result<Option<Job>, RedriveError> {
    let Some(mut redrive) = Redrive::begin(amqp, plan).await? else { return Ok(None) };
    let mut interrupted = pin!(interrupted);
    let mut can_stop = true;
    while !redrive.job.is_done() {
        redrive.ask();
        tokio::select! {
            // An interruption is not to wait behind a full queue of events.
            biased;
            () = &mut interrupted, if can_stop => {
                redrive.job.stop(Halt::Interrupted);
                can_stop = false;
            }
            event = redrive.amqp.next() => redrive.handle(event?).await?,
            () = tokio::time::sleep(TICK) => {}
        }
        progress(&redrive.progress());
    }
    redrive.end().await.map(Some)
}

struct Redrive {
    amqp: Amqp,
    job: Job,
    waiting: u64,
    began: Instant,
    held_since: Option<Instant>,
    /// What there is, by exchange and queue.
    known: HashMap<(String, String), bool>,
    has_questions: bool,
    blocked: Option<String>,
}

impl Redrive {
    async fn begin(mut amqp: Amqp, plan: Plan) -> Result<Option<Self>, RedriveError> {
        amqp.open_channel(GETS).await?;
        let waiting = match amqp.call(GETS, &passive_queue(&plan.queue)).await? {
            Event::Queue { messages } => messages,
            Event::ChannelClosed { code: NOT_FOUND, .. } => return Ok(None),
            event => return Err(refused(format!("a look at queue {}", plan.queue), event, RIGHTS)),
        };
        amqp.open_channel(PUBLISHES).await?;
        let select = Method::Confirm(Confirm::Select(confirm::Select { no_wait: false }));
        match amqp.call(PUBLISHES, &select).await? {
            Event::Done(_) => {}
            event => return Err(refused("confirms".to_owned(), event, RIGHTS)),
        }
        let job = Job::new(plan, waiting);
        Ok(Some(Self {
            amqp,
            job,
            waiting,
            began: Instant::now(),
            held_since: None,
            known: HashMap::new(),
            has_questions: false,
            blocked: None,
        }))
    }

    /// Asks for as many messages as may come now.
    fn ask(&mut self) {
        if self.held_since.is_some_and(|since| since.elapsed() > HOLD_MAX) {
            self.job.stop(Halt::HeldTooLong);
        }
        let count = self.job.ask(self.began.elapsed());
        let get = basic::Get { queue: &self.job.plan().queue, no_ack: false };
        for _ in 0..count {
            self.amqp.send(GETS, &Method::Basic(Basic::Get(get)));
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), RedriveError> {
        match event {
            Event::Got { tag, message } => {
                if let Some(publication) = self.job.got(tag, message) {
                    self.send_back(publication).await?;
                }
                if self.job.held() > 0 {
                    self.held_since.get_or_insert_with(Instant::now);
                }
            }
            Event::Empty => self.job.empty(),
            Event::Returned(message) => self.job.returned(&message),
            Event::Settled { tag, multiple, taken } => {
                for delivery_tag in self.job.settled(tag, multiple, taken) {
                    let ack = basic::Ack { delivery_tag, multiple: false };
                    self.amqp.send(GETS, &Method::Basic(Basic::Ack(ack)));
                }
            }
            Event::Blocked(reason) => self.blocked = Some(reason),
            Event::Unblocked => self.blocked = None,
            Event::ChannelClosed { channel: GETS, .. } => {
                return Err(refused(format!("to give messages of {}", self.job.plan().queue), event, RIGHTS));
            }
            Event::ChannelClosed { .. } => {
                return Err(refused("a message on its way back".to_owned(), event, OTHER_TARGET));
            }
            Event::Queue { .. } | Event::Done(_) | Event::Closed => {}
        }
        Ok(())
    }

    async fn send_back(&mut self, publication: Publication) -> Result<(), RedriveError> {
        if !self.is_there(&publication).await? {
            self.job.has_no_target(publication);
        } else if self.job.plan().dry_run {
            self.job.would_send(publication);
        } else {
            let Publication { exchange, routing_key, properties, body, .. } = &publication;
            let publish = basic::Publish { exchange, routing_key, mandatory: true, immediate: false };
            self.amqp.publish(PUBLISHES, &publish, properties, body);
            self.job.sent(&publication);
        }
        Ok(())
    }

    /// Whether its exchange is there. Whether a queue takes it, the broker says when it is published; of a dry run,
    /// whether the queue is there that the default exchange would put it into.
    async fn is_there(&mut self, publication: &Publication) -> Result<bool, RedriveError> {
        let (exchange, routing_key) = (publication.exchange.as_str(), publication.routing_key.as_str());
        let question = match (exchange, self.job.plan().dry_run) {
            ("", false) => return Ok(true),
            ("", true) => passive_queue(routing_key),
            _ => passive_exchange(exchange),
        };
        let queue = if exchange.is_empty() { routing_key } else { "" };
        let key = (exchange.to_owned(), queue.to_owned());
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        if !self.has_questions {
            self.amqp.open_channel(QUESTIONS).await?;
            self.has_questions = true;
        }
        let is_there = match self.amqp.call(QUESTIONS, &question).await? {
            Event::ChannelClosed { code: NOT_FOUND, .. } => {
                self.has_questions = false;
                false
            }
            event @ Event::ChannelClosed { .. } => {
                return Err(refused(format!("a look at {exchange}{queue}"), event, RIGHTS));
            }
            _ => true,
        };
        if self.known.len() >= ANSWERS_MAX {
            self.known.clear();
        }
        self.known.insert(key, is_there);
        Ok(is_there)
    }

    fn progress(&self) -> Progress<'_> {
        Progress { waiting: self.waiting, job: &self.job, blocked: self.blocked.as_deref() }
    }

    /// What stays goes back to its place in the queue.
    async fn end(mut self) -> Result<Job, RedriveError> {
        if self.job.held() > 0 {
            // 0 with `multiple` is all that is not settled (AMQP 0-9-1, basic.ack; RabbitMQ, "Negative Acknowledgements").
            let nack = basic::Nack { delivery_tag: 0, multiple: true, requeue: true };
            self.amqp.send(GETS, &Method::Basic(Basic::Nack(nack)));
        }
        self.amqp.close().await?;
        Ok(self.job)
    }
}

const RIGHTS: &str = "the user needs the rights to read the queue and to write to where messages go";
const OTHER_TARGET: &str =
    "what was not confirmed is still in its queue; `--to queue` goes past the exchange";

fn passive_queue(name: &str) -> Method<'_> {
    let arguments = RawTable::EMPTY;
    let (passive, durable, exclusive, auto_delete, no_wait) = (true, false, false, false, false);
    let declare =
        queue::Declare { queue: name, passive, durable, exclusive, auto_delete, no_wait, arguments };
    Method::Queue(Queue::Declare(declare))
}

fn passive_exchange(name: &str) -> Method<'_> {
    let arguments = RawTable::EMPTY;
    let (passive, durable, auto_delete, internal, no_wait) = (true, false, false, false, false);
    let kind = "direct";
    let declare = exchange::Declare {
        exchange: name,
        kind,
        passive,
        durable,
        auto_delete,
        internal,
        no_wait,
        arguments,
    };
    Method::Exchange(Exchange::Declare(declare))
}

fn refused(what: String, event: Event, remedy: &'static str) -> RedriveError {
    match event {
        Event::ChannelClosed { code, text, .. } => RedriveError::Refused { what, code, text, remedy },
        other => RedriveError::Refused { what, code: 0, text: format!("{other:?}"), remedy },
    }
}
