//! The broker as it runs: listeners, threads, and how they start and end.
//!
//! ```text
//!  weft-amqp (one thread)      accepts, logs in, management
//!        │ a logged-in socket
//!        ▼
//!  weft-vhost-… (one each)     connections, state        ──▶ weft-log-…  (writes, syncs)
//!                                                        ◀──▶ weft-read-… (reads back)
//! ```

use std::{
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    thread::JoinHandle,
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    access::{
        Access,
        store::{self, StoreError},
    },
    amqp::{
        handshake::{Product, Tuning, sasl::Mechanism, server::ServerConfig, server_properties},
        reply::ReplyCode,
    },
    log::{
        appender::Options,
        disk::FileDisk,
        lock::Lock,
        open::{self, OpenError, Opened},
        writer::thread as log_thread,
    },
    vhost::{RecoverError, Vhost, VhostLimits},
};

pub(crate) mod clock;
mod connection;
mod counts;
mod descriptors;
mod front;
mod handle;
mod host;
mod limits;
mod reader;
pub(crate) mod salt;
mod shared;
#[cfg(test)]
mod tests;
mod watermarks;

pub use handle::{Ending, VhostHandle};
pub use host::Call;
pub use limits::{CONNECTIONS_MAX, HANDSHAKE_TIMEOUT};
pub use shared::{Facts, Shared};
pub use watermarks::{Alarms, Usage, Watermarks};

use host::{COMMANDS_MAX, Command, Host};

/// Users, permissions and virtual hosts, below the data directory. No virtual host's directory has a dot in its name.
pub(crate) const ACCESS_FILE: &str = "mq/access.json";

/// How a broker is to run.
#[derive(Debug)]
pub struct BrokerConfig {
    /// Holds `mq/`.
    pub data_dir: PathBuf,
    /// Where AMQP clients arrive.
    pub amqp: TcpListener,
    /// The management API.
    pub management: Option<TcpListener>,
    /// As RabbitMQ's `rabbit@host`.
    pub node: String,
    /// For clients: the version that runs.
    pub version: String,
    /// What a virtual host may use.
    pub limits: VhostLimits,
    /// When publishers wait.
    pub watermarks: Watermarks,
}

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Users and permissions.
    #[error(transparent)]
    Access(#[from] StoreError),
    /// The log of a virtual host.
    #[error("virtual host `{vhost}`: {source}")]
    Open {
        /// Which.
        vhost: String,
        /// Why.
        source: Box<OpenError>,
    },
    /// What the log of a virtual host holds.
    #[error("virtual host `{vhost}`: {source}")]
    Recover {
        /// Which.
        vhost: String,
        /// Why.
        source: RecoverError,
    },
    /// A thread or a socket.
    #[error("cannot start {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// From the system.
        source: io::Error,
    },
}

/// A broker that runs.
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    front: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Broker {
    /// Opens all virtual hosts and begins to listen.
    ///
    /// # Errors
    /// When something cannot be opened; nothing runs then.
    pub fn start(config: BrokerConfig) -> Result<Self, StartError> {
        let BrokerConfig { data_dir, amqp, management, node, version, limits, watermarks } = config;
        let access = load_access(&data_dir)?;
        let names: Vec<String> = access.vhosts().map(|vhost| vhost.name.to_string()).collect();
        let facts = Facts {
            connections_max: descriptors::connections_max(names.len()),
            version: version.clone(),
            amqp: amqp.local_addr().ok(),
            management: management.as_ref().and_then(|listener| listener.local_addr().ok()),
            watermarks,
            started_at_ms: clock::now_ms(),
        };
        let shared = Arc::new(Shared::new(data_dir, node, facts, limits, access));
        for name in names {
            shared.open_vhost(&name)?;
        }
        let product = Product {
            product: "RabbitMQ",
            version: crate::RABBITMQ_VERSION,
            platform: &format!("Weft {version}"),
            copyright: "The authors of Weft",
            information: "Licensed under the Apache License 2.0",
            cluster_name: &shared.node,
        };
        let mechanisms = [Mechanism::AmqPlain, Mechanism::Plain];
        let handshake =
            Arc::new(ServerConfig::new(&server_properties(&product), &mechanisms, Tuning::default()));
        let (stop, stopped) = oneshot::channel();
        let front = spawn_front(Arc::clone(&shared), handshake, (amqp, management), watermarks, stopped)?;
        Ok(Self { shared, front: Some(front), stop: Some(stop) })
    }

    /// What its parts share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Ends in order: no new clients, goodbye to those that are there, logs closed. Blocks for some seconds at most.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(front) = self.front.take()
            && front.join().is_err()
        {
            tracing::error!("the broker's front ended by a panic");
        }
        self.shared.close_all();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

/// What was written, or what a new broker begins with.
fn load_access(data_dir: &Path) -> Result<Access, StartError> {
    let path = data_dir.join(ACCESS_FILE);
    if let Some(access) = store::load(&path)? {
        return Ok(access);
    }
    let directory = data_dir.join("mq");
    std::fs::create_dir_all(&directory)
        .map_err(|source| StartError::System { what: "the data directory", source })?;
    let access = Access::initial(salt::salt());
    store::save(&path, &access)?;
    Ok(access)
}

fn spawn_front(
    shared: Arc<Shared>,
    handshake: Arc<ServerConfig>,
    (amqp, management): (TcpListener, Option<TcpListener>),
    watermarks: Watermarks,
    stopped: oneshot::Receiver<()>,
) -> Result<JoinHandle<()>, StartError> {
    let failed = |source| StartError::System { what: "the broker's front", source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let thread = std::thread::Builder::new().name("weft-amqp".to_owned());
    let amqp = {
        let _in_runtime = runtime.enter();
        tokio::net::TcpListener::from_std(amqp).map_err(failed)?
    };
    let most = shared.facts.connections_max;
    let run = move || {
        runtime.block_on(async move {
            tokio::spawn(front::accept(amqp, handshake, Arc::clone(&shared), most));
            tokio::spawn(watermarks::watch(watermarks, Arc::clone(&shared)));
            if let Some(management) = management {
                tokio::spawn(crate::management::serve(management, shared));
            }
            let _told_or_dropped = stopped.await;
        });
    };
    thread.spawn(run).map_err(failed)
}

impl Shared {
    /// Opens the log of a virtual host and starts its threads; nothing where it runs already. Blocks.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_vhost(&self, name: &str) -> Result<(), StartError> {
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.vhost(name).is_some() {
            return Ok(());
        }
        // One that broke: its log is let go of when its thread has ended.
        let broken = self.state().threads.remove(name);
        join(name, broken);
        let (commands, orders) = mpsc::channel(COMMANDS_MAX);
        let (log_id, fencing, thread) = self.spawn_host(name, commands.clone(), orders)?;
        let mut state = self.state();
        let handle = VhostHandle { name: name.into(), commands, log_id: log_id.into(), fencing };
        state.threads.insert(Arc::clone(&handle.name), thread);
        state.vhosts.insert(Arc::clone(&handle.name), handle);
        Ok(())
    }

    fn spawn_host(
        &self,
        name: &str,
        commands: mpsc::Sender<Command>,
        orders: mpsc::Receiver<Command>,
    ) -> Result<(String, u64, JoinHandle<()>), StartError> {
        let (lock, opened) = open_log(&self.data_dir, name)?;
        let Opened { identity, recovered, appender, writer, sums } = opened;
        let failed = |source| StartError::System { what: "the threads of a virtual host", source };
        let directory = open::directory(&self.data_dir, name);
        let (reads, reader) = reader::spawn(name, &directory, sums, commands.clone()).map_err(failed)?;
        let on = Box::new(move |completion| {
            // The host has gone: nobody is there to be told.
            let _ = commands.blocking_send(Command::Completed(completion));
        });
        let (jobs, log) = log_thread::spawn(name, writer, on).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let thread = std::thread::Builder::new().name(format!("weft-vhost-{name}"));
        let (vhost, limits, standing) = (name.to_owned(), self.limits, self.standing());
        let log_id = identity.log;
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let run = move || {
            let (state, access) = (recovered.state, Arc::clone(&standing.borrow().access));
            match Vhost::recover(&vhost, state, appender, access, limits, clock::now_ms()) {
                Ok(state) => {
                    let _starter_waits = tell.send(Ok(()));
                    host::run(&runtime, Host::new(state, log_id, jobs, reads), orders, standing);
                }
                Err(error) => {
                    let _starter_waits = tell.send(Err(error));
                    drop((jobs, reads, orders));
                }
            }
            join(&vhost, [log, reader]);
            drop(lock);
        };
        let handle = thread.spawn(run).map_err(failed)?;
        match told.recv() {
            Ok(Ok(())) => Ok((log_id.to_string(), identity.fencing, handle)),
            Ok(Err(source)) => Err(StartError::Recover { vhost: name.to_owned(), source }),
            Err(_) => Err(failed(io::Error::other("its thread ended at once"))),
        }
    }

    /// Ends a virtual host, waits for its threads, and removes its directory with all that is in it. Blocks.
    ///
    /// # Errors
    /// When the directory cannot be removed.
    pub fn remove_vhost(&self, name: &str) -> io::Result<()> {
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let (handle, thread) = {
            let mut state = self.state();
            (state.vhosts.remove(name), state.threads.remove(name))
        };
        if let Some(handle) = handle {
            let deleted = format!("vhost '{name}' is deleted");
            let _ended_already = handle.commands.blocking_send(close_all_with(deleted));
            let _ended_already = handle.commands.blocking_send(Command::Stop);
        }
        join(name, thread);
        match std::fs::remove_dir_all(open::directory(&self.data_dir, name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn close_all(&self) {
        let (handles, threads) = {
            let mut state = self.state();
            let handles: Vec<_> = state.vhosts.drain().map(|(_, handle)| handle).collect();
            (handles, std::mem::take(&mut state.threads))
        };
        // On a thread of its own: whoever drops a broker may stand in a runtime, where waiting for a channel is refused.
        let told = std::thread::spawn(move || {
            for handle in handles {
                let _ended_already = handle.commands.blocking_send(Command::Stop);
            }
        });
        if told.join().is_err() {
            tracing::error!("the virtual hosts could not be told to stop");
        }
        for (name, thread) in threads {
            join(&name, [thread]);
        }
    }
}

fn open_log(data_dir: &Path, vhost: &str) -> Result<(Lock, Opened<FileDisk>), StartError> {
    let opened = open::open(data_dir, vhost, Options::default());
    let (lock, opened) =
        opened.map_err(|source| StartError::Open { vhost: vhost.to_owned(), source: Box::new(source) })?;
    for damage in &opened.recovered.damage {
        tracing::error!(vhost, %damage, "the log is damaged; what follows is kept");
    }
    Ok((lock, opened))
}

fn join(vhost: &str, threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!(vhost, "a thread of a virtual host ended by a panic");
        }
    }
}

/// Closes every connection of a virtual host with these words, before it ends.
fn close_all_with(reason: String) -> Command {
    Command::Call(Box::new(move |vhost| {
        for id in vhost.session_ids() {
            vhost.force_close(id, ReplyCode::ConnectionForced, &reason);
        }
    }))
}
