//! Which brokers are compared, and how each is started: on loopback, at its defaults, its data in a folder of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::process;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
pub enum Peer {
    /// What is held against the others.
    Weft,
    /// Of Debian, without plugins.
    Rabbitmq,
    /// NATS of Debian with JetStream.
    Nats,
}

/// What a load speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// AMQP 0-9-1, by lapin.
    Amqp,
    /// NATS with JetStream, by async-nats.
    Jetstream,
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `weft-sidecar`.
    pub weft: PathBuf,
    /// The script that starts RabbitMQ in the foreground.
    pub rabbitmq: PathBuf,
    /// Where Debian's packages were unpacked.
    pub root: PathBuf,
}

impl Peer {
    /// Those of a run in which nobody says otherwise.
    pub const ALL: [Self; 3] = [Self::Weft, Self::Rabbitmq, Self::Nats];

    /// In tables and file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weft => "Weft",
            Self::Rabbitmq => "RabbitMQ",
            Self::Nats => "NATS JetStream",
        }
    }

    /// What it is spoken to in.
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Weft | Self::Rabbitmq => Protocol::Amqp,
            Self::Nats => Protocol::Jetstream,
        }
    }

    /// How it is started on this core, with its data in `dir`, listening on this port of 127.0.0.1.
    pub fn command(self, programs: &Programs, core: usize, dir: &Path, port: u16) -> Command {
        let address = format!("127.0.0.1:{port}");
        match self {
            Self::Weft => {
                let mut command = process::on_core(core, &programs.weft);
                command.args(["run", "--queue-host", "--data-dir"]).arg(dir.join("data"));
                command.args(["--amqp", &address, "--management", "127.0.0.1:0"]);
                command
            }
            Self::Rabbitmq => {
                let mut command = process::on_core(core, &programs.rabbitmq);
                command.arg(&programs.root).arg(dir).arg(port.to_string());
                command
            }
            Self::Nats => {
                let mut command = process::on_core(core, &programs.nats());
                command.args([
                    "--addr",
                    "127.0.0.1",
                    "--port",
                    &port.to_string(),
                    "--jetstream",
                    "--store_dir",
                ]);
                command.arg(dir.join("data"));
                command
            }
        }
    }

    /// What was measured, for the report.
    pub fn version(self, programs: &Programs) -> String {
        match self {
            Self::Weft => process::version(&programs.weft, "--version"),
            Self::Rabbitmq => programs.rabbitmq_version().unwrap_or_else(|| "unknown".to_owned()),
            Self::Nats => process::version(&programs.nats(), "--version"),
        }
    }
}

impl Programs {
    fn nats(&self) -> PathBuf {
        self.root.join("usr/sbin/nats-server")
    }

    /// From the name of its folder: asking the program would start a node.
    fn rabbitmq_version(&self) -> Option<String> {
        let entries = self.root.join("usr/lib/rabbitmq/lib").read_dir().ok()?;
        entries.flatten().find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix("rabbitmq_server-").map(|version| format!("RabbitMQ {version}"))
        })
    }
}
