//! A broker of one's own: a queue host without a control plane, its data in a folder of the test. It can be killed
//! and started again on the same data and at the same addresses. It knows no AMQP; what is said to it is for clients.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use crate::{
    mesh::{ANY_PORT, Sidecar},
    process::Process,
};

/// Its name among the logs of a test, and the folder of its data.
const NAME: &str = "broker";

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    sidecar: Sidecar,
    dir: PathBuf,
    arguments: Vec<String>,
    /// Where AMQP is spoken; user `guest`, password `guest`.
    pub amqp: SocketAddr,
    /// The management API, for the same user.
    pub management: SocketAddr,
}

impl Broker {
    /// Starts one with its data in `<dir>/broker`, at ports of the system's choice.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start(dir: &Path) -> anyhow::Result<Self> {
        Self::start_with(dir, &[]).await
    }

    /// The same, with more arguments for the sidecar.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start_with(dir: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let arguments = arguments.iter().map(|one| (*one).to_owned()).collect();
        Self::launch(dir.to_owned(), ANY_PORT.to_owned(), ANY_PORT.to_owned(), arguments).await
    }

    async fn launch(
        dir: PathBuf,
        amqp: String,
        management: String,
        arguments: Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut all = vec!["--queue-host", "--amqp", &amqp, "--management", &management];
        all.extend(arguments.iter().map(String::as_str));
        let sidecar = Sidecar::start(&dir, NAME, &all).await?;
        let (amqp, management) = (address(&sidecar, "amqp")?, address(&sidecar, "management")?);
        Ok(Self { sidecar, dir, arguments, amqp, management })
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.sidecar.process().kill()
    }

    /// Starts it again, on its data and at its addresses. It must have ended.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        let (amqp, management) = (self.amqp.to_string(), self.management.to_string());
        *self = Self::launch(self.dir.clone(), amqp, management, self.arguments.clone()).await?;
        Ok(())
    }

    /// The folder of its data.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join(NAME)
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        self.sidecar.process()
    }

    /// What it has printed.
    pub fn output(&self) -> String {
        self.sidecar.output()
    }

    /// Says to a script of `tests/interop/amqp` where it is.
    pub fn tell(&self, command: &mut Command) {
        command.args(["--amqp", &self.amqp.to_string(), "--management", &self.management.to_string()]);
    }
}

fn address(sidecar: &Sidecar, name: &str) -> anyhow::Result<SocketAddr> {
    let text = sidecar.ports[name].as_str().with_context(|| format!("no {name} in {}", sidecar.ports))?;
    Ok(text.parse()?)
}
