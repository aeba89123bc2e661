//! The control plane as this sidecar sees it: delta discovery, `Attach`, the snapshot on disk. It writes the
//! endpoint table and runs apart from the data threads, which never wait for it but at a first dial.
//!
//! ```text
//!  control plane ◀──ADS──▶ agent (machine, table, first dials) ──▶ keeper (disk)
//!        ▲                   ▲ digests, resync
//!        └──────Attach──▶ attach (lease, health, deregistration)
//! ```
//!
//! Losing a stream never empties a table: both tasks try again for ever, and what is known serves on.

mod agent;
mod attach;
mod convert;
mod convert_traffic;
mod keeper;
mod link;
#[cfg(test)]
pub(crate) mod tests;
mod usage;
mod waiters;
mod wire;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::transport::{Channel, Endpoint as Target};
use weft_runtime::drain;

use crate::{
    config::SidecarConfig,
    run::AppHealth,
    table::{Demand, Publisher},
};

/// How long [`DiscoveryHandle::deregister`] waits for the control plane.
const DEREGISTER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A control plane that answers no HTTP/2 ping is gone after interval and timeout.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// Commands waiting for the agent, at most: the attach task and the admin server send them, one at a time.
const COMMANDS_WAITING_MAX: usize = 16;

/// What the discovery client is given beside the configuration.
#[derive(Debug)]
pub struct Inputs {
    /// Its URL, `http://host:port`.
    pub control_plane: String,
    /// The table's writing side.
    pub publisher: Publisher,
    /// First dials.
    pub demands: mpsc::Receiver<Demand>,
    /// What the sidecar's own checks say of the application.
    pub health: watch::Receiver<AppHealth>,
    /// What other sidecars are told to dial.
    pub advertise: SocketAddr,
    /// The admin listener, bound.
    pub admin: SocketAddr,
    /// The tasks end when it begins; the last state goes to disk first.
    pub drain: drain::Watch,
}

/// Why the discovery client cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not an address.
    #[error("--control-plane `{url}` is not a URL such as http://127.0.0.1:8502")]
    ControlPlane {
        /// What was given.
        url: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
}

/// How things stand with the control plane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The discovery stream is there.
    pub connected: bool,
    /// The `Attach` stream is there.
    pub attached: bool,
    /// Of the control plane that was last heard; empty before.
    pub store_id: Arc<str>,
    /// Why the last stream ended, or was refused; empty while all is well.
    pub trouble: Arc<str>,
}

/// What the sidecar knows, for `/config_dump`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Dump {
    /// How things stand.
    pub status: Status,
    /// What is subscribed.
    pub services: Vec<ServiceDump>,
    /// Resources that were refused: name and reason.
    pub refused: Vec<(String, String)>,
}

/// One subscribed service.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceDump {
    /// `orders.default`.
    pub name: String,
    /// `unknown`, `closed` or `absent`.
    pub presence: &'static str,
    /// How many endpoints are held.
    pub endpoints: usize,
    /// The resources that say something about its calls: `httproute.default.orders`.
    pub traffic: Vec<String>,
}

/// The running discovery client; clones are cheap. Dropping it changes nothing; its tasks end with the drain.
#[derive(Debug, Clone)]
pub struct DiscoveryHandle {
    status: watch::Receiver<Status>,
    commands: mpsc::Sender<Command>,
    leave: Arc<watch::Sender<bool>>,
    left: watch::Receiver<bool>,
}

/// What others want of the agent.
#[derive(Debug)]
enum Command {
    /// What is held, to be compared.
    Digests(oneshot::Sender<weft_proto::weft::v1::Heartbeat>),
    /// Ask for these services anew.
    Resync(Vec<String>),
    /// The control plane said who it is.
    Store(Arc<str>),
    /// For people.
    Dump(oneshot::Sender<Dump>),
}

/// Starts the tasks, inside a runtime. A snapshot on disk is in the table when this returns.
///
/// # Errors
/// When the control plane's URL is none.
pub fn start(config: &SidecarConfig, inputs: Inputs) -> Result<DiscoveryHandle, StartError> {
    let channel = target(&inputs.control_plane)?.connect_lazy();
    let (handle, agent, attach) = tasks(config, inputs, channel);
    tokio::spawn(agent);
    tokio::spawn(attach);
    Ok(handle)
}

/// The handle, and the two tasks that are to run: the agent's and that of the attach stream. A snapshot on disk is in
/// the table when this returns.
pub(crate) fn tasks(
    config: &SidecarConfig,
    inputs: Inputs,
    channel: Channel,
) -> (DiscoveryHandle, impl Future<Output = ()> + Send + use<>, impl Future<Output = ()> + Send + use<>) {
    let (status_sender, status) = watch::channel(Status::default());
    let (commands, commanded) = mpsc::channel(COMMANDS_WAITING_MAX);
    let (leave, leaving) = watch::channel(false);
    // Without an instance there is nothing that has to leave.
    let (left_sender, left) = watch::channel(config.instance.is_none());
    let identity = attach::Identity::new(config, inputs.advertise, inputs.admin);
    let status_sender = Arc::new(status_sender);
    let agent = agent::Agent::new(agent::Setup {
        config,
        node: identity.node(),
        channel: channel.clone(),
        publisher: inputs.publisher,
        status: Arc::clone(&status_sender),
    });
    let agent = agent.run(commanded, inputs.demands, inputs.drain.clone());
    let attach = attach::Attach {
        identity,
        channel,
        health: inputs.health,
        commands: commands.clone(),
        status: status_sender,
        leaving,
        left: left_sender,
    };
    let attach = async move {
        inputs.drain.unless_draining(attach.run()).await;
    };
    (DiscoveryHandle { status, commands, leave: Arc::new(leave), left }, agent, attach)
}

impl Status {
    /// A stream is well again: its own trouble, which begins with `stream`, is over; the other's is not.
    fn over(&mut self, stream: &str) {
        if self.trouble.starts_with(stream) {
            self.trouble = "".into();
        }
    }
}

impl DiscoveryHandle {
    /// Now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Now and all that comes.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Ends when the control plane has taken this sidecar in.
    pub async fn attached(&self) {
        // The sender ends with the tasks: then nobody waits any more.
        let _ = self.status.clone().wait_for(|status| status.attached).await;
    }

    /// Takes the instance out of the registry and keeps it out. Waits a short while for the control plane to
    /// have done so; without one, the lease runs out instead.
    pub async fn deregister(&self) {
        self.leave.send_replace(true);
        let mut left = self.left.clone();
        let done = tokio::time::timeout(DEREGISTER_TIMEOUT, left.wait_for(|left| *left)).await;
        if done.is_err() {
            tracing::warn!("the control plane did not answer in time: the lease will run out");
        }
    }

    /// What is known, for people; empty when the client has ended.
    pub async fn dump(&self) -> Dump {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Dump(reply)).await.is_err() {
            return Dump { status: self.status(), ..Dump::default() };
        }
        answer.await.unwrap_or_default()
    }
}

/// Where the control plane is, and how a connection to it is kept: it comes about at the first call, and anew at
/// each call after it was lost.
pub(crate) fn target(url: &str) -> Result<Target, StartError> {
    let target = Target::from_shared(url.to_owned())
        .map_err(|source| StartError::ControlPlane { url: url.to_owned(), source })?;
    Ok(target
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}
