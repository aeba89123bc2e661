//! The server's end of one stream: what its client subscribes to, what it is believed to hold, and what to
//! send next. There is no queue: a name is compared with the newest snapshot when the machine is polled.
//!
//! ```text
//!             poll: snapshot differs from belief
//!   settled ───────────────────────────────────▶ in flight (at most one response a kind)
//!      ▲                                            │ ACK: belief stands
//!      └────────────────────────────────────────────┘ NACK: belief of what is refused goes back, and that
//!                                                     version is not sent again
//! ```
//!
//! The stream is ordered, so a response in flight will be applied by the client *after* whatever the client
//! wrote before its ACK: a new subscription's `initial_versions` are overlaid with it (see `subscribe`).

mod interest;
mod subscription;

use std::sync::Arc;

pub use interest::Refusal;
use interest::{Change, Interest};
use subscription::Subscription;

use super::{
    Digest, HELD_MAX, Kind, NAMES_MAX, Nack, Request, Response, Snapshot, Version, group_of,
    per_kind::PerKind,
};

/// How a client wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Changes and removals.
    Delta,
    /// Everything of a kind in each response; what is missing is gone.
    StateOfTheWorld,
}

/// The stream must end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Too many names.
    #[error("more than {limit} names of one type are subscribed on one stream")]
    Names {
        /// The limit.
        limit: usize,
    },
    /// Too many resources.
    #[error("more than {limit} resources of one type are held on one stream")]
    Held {
        /// The limit.
        limit: usize,
    },
}

/// A request of the state-of-the-world variant: names are the whole subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldRequest {
    /// What it is about.
    pub kind: Kind,
    /// All names and patterns wanted from now on.
    pub names: Vec<Arc<str>>,
    /// The response that this answers; empty in the first.
    pub response_nonce: Arc<str>,
    /// Present when that response was refused, as a whole.
    pub error: Option<Arc<str>>,
}

/// What is subscribed of one group, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionView {
    /// The group's name.
    pub group: Arc<str>,
    /// Endpoints that the client holds.
    pub endpoints: usize,
    /// Resources about its calls that the client holds.
    pub traffic: usize,
    /// Over the endpoints and the service that it holds of the group; `None` before its set is closed.
    pub digest: Option<Digest>,
    /// Whether it has acknowledged all that was sent of the group.
    pub settled: bool,
    /// What it refuses: name, version, reason.
    pub refused: Vec<(Arc<str>, Refusal)>,
}

/// How a client stands to one version of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has it.
    Applied,
    /// It was not sent yet, or has not been answered.
    Pending,
    /// It will not have it, for this reason.
    Refused(Arc<str>),
}

/// One stream of one client.
#[derive(Debug)]
pub struct Server {
    mode: Mode,
    stream: u64,
    sent: u64,
    subscriptions: PerKind<Subscription>,
}

impl Server {
    /// `stream` tells its nonces from those of other streams.
    pub fn new(mode: Mode, stream: u64) -> Self {
        Self { mode, stream, sent: 0, subscriptions: PerKind::default() }
    }

    /// Takes a request of the delta variant.
    ///
    /// # Errors
    /// [`ServerError::Names`] over [`NAMES_MAX`], [`ServerError::Held`] over [`HELD_MAX`]: the stream is to
    /// end.
    pub fn on_request(&mut self, request: Request) -> Result<(), ServerError> {
        let subscription = self.subscriptions.of_mut(request.kind);
        subscription.answer(&request.response_nonce, request.error);
        for name in &request.unsubscribe {
            subscription.unsubscribe(name);
        }
        subscription.subscribe(&request.subscribe, &request.initial_versions);
        if subscription.names() > NAMES_MAX {
            Err(ServerError::Names { limit: NAMES_MAX })
        } else if subscription.beliefs() > HELD_MAX {
            Err(ServerError::Held { limit: HELD_MAX })
        } else {
            Ok(())
        }
    }

    /// Takes a request of the state-of-the-world variant. One that answers an older response is ignored, as
    /// the protocol wants it.
    ///
    /// # Errors
    /// [`ServerError::Names`] over [`NAMES_MAX`]: the stream is to end.
    pub fn on_world_request(&mut self, request: &WorldRequest) -> Result<(), ServerError> {
        let subscription = self.subscriptions.of_mut(request.kind);
        if !subscription.is_current(&request.response_nonce) {
            return Ok(());
        }
        match &request.error {
            Some(_) => subscription.refuse_world(&request.response_nonce),
            None => subscription.answer(&request.response_nonce, None),
        }
        subscription.replace(&request.names);
        if subscription.names() > NAMES_MAX { Err(ServerError::Names { limit: NAMES_MAX }) } else { Ok(()) }
    }

    /// The next response, if there is anything to say and nothing unacknowledged stands before it. Call it
    /// again until it returns `None`. With `hold_removals`, what the client brought along and is not there
    /// is kept: a control plane that has just started may not know of it yet.
    pub fn poll(&mut self, snapshot: &impl Snapshot, hold_removals: bool) -> Option<Response> {
        Kind::ORDER.into_iter().find_map(|kind| match self.mode {
            Mode::Delta => self.poll_delta(kind, snapshot, hold_removals),
            Mode::StateOfTheWorld => self.poll_world(kind, snapshot, hold_removals),
        })
    }

    /// Whether the client has acknowledged all that was sent.
    pub fn is_settled(&self) -> bool {
        !self.subscriptions.all().any(Subscription::is_in_flight)
    }

    /// The nonce of the last response of a kind that the client answered; empty before the first.
    pub fn answered(&self, kind: Kind) -> &str {
        self.subscriptions.of(kind).answered()
    }

    /// What the client is believed to hold of a group's endpoints and service; `None` when it does not
    /// subscribe to all of them.
    pub fn digest(&self, group: &str) -> Option<Digest> {
        let endpoints = self.subscriptions.endpoint.group(group).filter(|interest| interest.is_whole())?;
        let service = self.subscriptions.service.group(group)?;
        Some(endpoints.digest().and(service.digest()))
    }

    /// The same of a group's traffic.
    pub fn traffic_digest(&self, group: &str) -> Option<Digest> {
        let traffic = self.subscriptions.traffic.group(group).filter(|interest| interest.is_whole())?;
        Some(traffic.digest())
    }

    /// How the client stands to a version of a resource; `None` when it does not subscribe to it.
    pub fn standing(&self, kind: Kind, name: &str, version: Version) -> Option<Standing> {
        let subscription = self.subscriptions.of(kind);
        let interest = subscription.group(group_of(name)).filter(|interest| interest.wants(name))?;
        if let Some(refusal) = interest.refusal(name).filter(|refusal| refusal.version == version) {
            return Some(Standing::Refused(Arc::clone(&refusal.reason)));
        }
        let holds = interest.holds(name, version) && !subscription.is_unanswered_name(name);
        Some(if holds { Standing::Applied } else { Standing::Pending })
    }

    /// How many names are subscribed, over all kinds.
    pub fn names(&self) -> usize {
        self.subscriptions.all().map(Subscription::names).sum()
    }

    /// All that is subscribed, in the order of names.
    pub fn view(&self) -> Vec<SubscriptionView> {
        let groups = self.subscriptions.all().flat_map(Subscription::groups);
        let mut names: Vec<&Arc<str>> = groups.map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        names.into_iter().map(|group| self.view_of(group)).collect()
    }

    fn view_of(&self, group: &Arc<str>) -> SubscriptionView {
        let interests = || self.subscriptions.all().filter_map(|subscription| subscription.group(group));
        let held = |kind| self.subscriptions.of(kind).group(group).map_or(0, |one| one.held().count());
        let closed = self.subscriptions.service.group(group).is_some_and(Interest::has_any);
        SubscriptionView {
            group: Arc::clone(group),
            endpoints: held(Kind::Endpoint),
            traffic: held(Kind::Traffic),
            digest: self.digest(group).filter(|_| closed),
            settled: !self.subscriptions.all().any(|subscription| subscription.is_unanswered(group)),
            refused: interests()
                .flat_map(|interest| interest.refused())
                .map(|(name, refusal)| (Arc::clone(name), refusal.clone()))
                .collect(),
        }
    }

    fn poll_delta(&mut self, kind: Kind, snapshot: &impl Snapshot, hold: bool) -> Option<Response> {
        let PerKind { endpoint, traffic, service } = &mut self.subscriptions;
        let changes = match kind {
            Kind::Endpoint => endpoint.diff(kind, snapshot, hold, |_| true),
            Kind::Traffic => traffic.diff(kind, snapshot, hold, |_| true),
            // The service closes the set, so it waits until all of its endpoints and traffic are on the
            // stream: of what the client subscribes to.
            Kind::Service => service.diff(kind, snapshot, hold, |group| {
                let whole = |subscription: &Subscription, kind| {
                    let interest = subscription.group(group);
                    interest.is_none_or(|interest| interest.has_seen(snapshot.group(kind, group)))
                };
                whole(endpoint, Kind::Endpoint) && whole(traffic, Kind::Traffic)
            }),
        };
        if changes.is_empty() {
            return None;
        }
        let resources = changes.iter().filter_map(Change::resource).cloned().collect();
        let removed = changes.iter().filter_map(Change::removed).cloned().collect();
        let nonce = self.sent(kind, changes);
        Some(Response { kind, resources, removed, nonce, version: None })
    }

    fn poll_world(&mut self, kind: Kind, snapshot: &impl Snapshot, hold: bool) -> Option<Response> {
        let (changes, world) = self.subscriptions.of_mut(kind).diff_world(kind, snapshot, hold)?;
        let nonce = self.sent(kind, changes);
        let version = Some(Digest::of(world.iter().map(|one| (&*one.name, one.version))));
        Some(Response { kind, resources: world, removed: Vec::new(), nonce, version })
    }

    fn sent(&mut self, kind: Kind, changes: Vec<Change>) -> Arc<str> {
        self.sent += 1;
        let nonce: Arc<str> = format!("{:x}-{}", self.stream, self.sent).into();
        self.subscriptions.of_mut(kind).sent(Arc::clone(&nonce), changes);
        nonce
    }
}

/// The reason in a refusal of a whole response.
fn reason_of(nack: &Nack, name: &str) -> Option<Arc<str>> {
    match nack {
        Nack::Response(reason) => Some(Arc::clone(reason)),
        Nack::Resources(refused) => {
            refused.iter().find(|(refused, _)| **refused == *name).map(|(_, reason)| Arc::clone(reason))
        }
    }
}
