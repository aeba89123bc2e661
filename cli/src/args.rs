//! The command line as it is typed: names, help, examples. What a command does is [`crate::commands`]'s.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, builder::FalseyValueParser};

mod broker;
mod observe;
mod resources;

pub use broker::{
    BindingsOptions, BrokerCommand, ConnectionsOptions, ConsumersOptions, Destination, ExchangesOptions,
    InspectOptions, ListOptions, Login, Management, PurgeOptions, QueuesCommand, QueuesOptions,
    RedriveOptions,
};
pub use observe::{ExplainOptions, Rows, Side, TapOptions, TopOptions};
pub use resources::{ApplyOptions, DeleteOptions, DiffOptions, GetOptions, ResourceFormat};

use crate::{
    demo,
    output::{Colour, Format},
    up,
};

/// `weft`.
#[derive(Debug, Parser)]
#[command(
    name = "weft",
    version,
    about = "Runs and looks into a Weft service mesh",
    long_about = "Runs and looks into a Weft service mesh: services find each other by name, calls go to \
                  healthy replicas, and nothing in them knows Weft.",
    after_help = "Exit codes: 0 = yes or done, 1 = no (nothing passes, no such key, a file is not valid), \
                  2 = it could not be found out (no control plane or broker, wrong arguments).\n\n\
                  Begin with:\n  weft up examples/gateway/weft.yaml   run a mesh of local processes\n  \
                  weft status                          what it looks like, from another terminal",
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Colours in output
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Colour,
    /// What the variable of that name says.
    #[arg(long, hide = true, global = true, env = "NO_COLOR", hide_env = true, value_parser = FalseyValueParser::new(), num_args = 0)]
    pub no_color: bool,
}

/// One of the commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole mesh of local processes, until Ctrl-C
    #[command(
        after_help = "Examples:\n  weft up                                   weft.yaml of this directory\n  \
                            weft up shop.yaml --control-plane-http 8500\n  \
                            weft up --status-file mesh.json           for scripts: it appears once all is up\n\n\
                            Every replica is a process with a sidecar beside it; its output has its name in front. \
                            What ends is started again as its `restart` says. \
                            Exit code: 0 after Ctrl-C or when every replica has ended well, 1 when all have ended and one has failed, 2 when nothing could be started."
    )]
    Up(up::Options),
    /// Check a weft.yaml; list all that is wrong with it
    #[command(after_help = "Examples:\n  weft check\n  weft check shop.yaml -o json\n\n\
                            Exit code: 0 = valid, 1 = not valid, 2 = not readable.")]
    Check(CheckOptions),
    /// How the mesh is, or one service of it
    #[command(
        after_help = "Examples:\n  weft status\n  weft status orders && echo 'orders can be called'\n  \
                            weft status orders.shop -o json\n\n\
                            Exit code: 0 = at least one replica passes, 1 = none, 2 = no control plane answers."
    )]
    Status(StatusOptions),
    /// All services with their replicas
    #[command(after_help = "Examples:\n  weft services\n  weft services -o json | jq -r '.[].service'")]
    Services(ViewOptions),
    /// The replicas of one service: where they are and how they are
    #[command(after_help = "Examples:\n  weft endpoints orders\n  weft endpoints orders -o wide\n\n\
                            Exit code: 0 = there are some, 1 = there is no such service, 2 = no control plane answers.")]
    Endpoints(EndpointsOptions),
    /// Write resources from files: routes, policies, rate limits
    #[command(after_help = "Examples:\n  weft apply -f orders.yaml\n  weft apply -f policies/ --wait\n  \
                            generate | weft apply -f - --dry-run\n\n\
                            All files are checked first: if one resource is not valid, none is written.\n\
                            Exit code: 0 = all were applied, 1 = one is not valid, was refused or (with --wait) \
                            not applied in time, 2 = no control plane answers.")]
    Apply(ApplyOptions),
    /// Show resources, and by how many sidecars each was applied
    #[command(after_help = "Examples:\n  weft get httproutes\n  weft get hr orders -o yaml\n  \
                            weft get servicepolicies -A -o wide\n\n\
                            Kinds: httproute (hr), grpcroute (gr), servicepolicy (sp), ratelimitpolicy (rlp).\n\
                            Exit code: 0 = found, 1 = there is no such resource, 2 = no control plane answers.")]
    Get(GetOptions),
    /// Delete resources
    #[command(after_help = "Examples:\n  weft delete httproute orders\n  weft delete hr/orders -n shop\n  \
                            weft delete -f policies/\n\n\
                            Exit code: 0 = deleted, 1 = one was not there, 2 = no control plane answers.")]
    Delete(DeleteOptions),
    /// Show what `weft apply` would change
    #[command(after_help = "Examples:\n  weft diff -f policies/ || weft apply -f policies/\n\n\
                            Exit code: 0 = nothing, 1 = something, or one is not valid, 2 = no control plane answers.")]
    Diff(DiffOptions),
    /// What became of a request: rule, endpoints, attempts, times, at each sidecar that it crossed
    #[command(after_help = "Examples:\n  weft explain 3f2504e04f8941d39a0c0305e82c3301\n  \
                            weft explain 3f2504e04f8941d39a0c0305e82c3301 -o json\n\n\
                            The id is what `x-request-id` says; each sidecar gives one to a request without, and writes it to its access log. \
                            Sidecars keep their last requests only, and those that failed for longer. \
                            Exit code: 0 = found, 1 = no sidecar knows it, 2 = no control plane answers.")]
    Explain(ExplainOptions),
    /// Requests to a service as they end, until Ctrl-C
    #[command(after_help = "Examples:\n  weft tap orders\n  weft tap orders --errors --limit 10\n  \
                      weft tap orders --method POST --path /v1/ --status 5xx -o json")]
    Tap(TapOptions),
    /// Rates, success and latency of services, again each second, until Ctrl-C
    #[command(
        after_help = "Examples:\n  weft top\n  weft top orders --by endpoint\n  weft top orders --by route\n  weft top --once -o json\n\n\
                            Percentiles are those of histograms: exact to a bucket. \
                            Exit code with --once: 0 = there were requests, 1 = none, 2 = no control plane answers."
    )]
    Top(TopOptions),
    /// The message broker's.
    #[command(flatten)]
    Broker(BrokerCommand),
    /// Read and write the key-value store
    #[command(
        subcommand,
        after_help = "Examples:\n  weft kv put feature/x on\n  weft kv get feature/x\n  \
                            weft kv watch --recurse feature/"
    )]
    Kv(KvCommand),
    /// Move a control plane's data between machines and backends, while it is stopped
    #[command(
        subcommand,
        after_help = "Examples:\n  weft store export --data-dir /var/lib/weft > weft.jsonl\n  \
                            weft store import --data-dir /srv/weft < weft.jsonl"
    )]
    Store(StoreCommand),
    /// Run the gateway example under load, and show what happens when parts of it die
    #[command(
        after_help = "With a terminal it goes on with a live view until Ctrl-C; with --seconds, or without \
                            a terminal, it ends by itself. Exit code: 0 = every request succeeded, 1 = one failed."
    )]
    Demo(demo::Options),
    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  weft completions bash > ~/.local/share/bash-completion/completions/weft\n  \
                            weft completions zsh > ~/.zfunc/_weft"
    )]
    Completions {
        /// Which
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Becomes another program that dies with us.
    #[command(name = up::shim::SUBCOMMAND, hide = true)]
    ExecSupervised(up::shim::Options),
}

/// How a result looks.
#[derive(Debug, Clone, Args)]
pub struct Output {
    /// How the result looks
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t)]
    pub format: Format,
}

/// Which control plane.
#[derive(Debug, Clone, Args)]
pub struct Connection {
    /// The control plane's HTTP address [default: that of the last `weft up` here, else http://127.0.0.1:8500]
    #[arg(long, env = "WEFT_HTTP_ADDR", hide_env_values = true, value_name = "URL")]
    pub address: Option<String>,
}

/// `weft check`.
#[derive(Debug, Clone, Args)]
pub struct CheckOptions {
    /// The mesh's file
    #[arg(default_value = "weft.yaml", value_name = "FILE")]
    pub file: PathBuf,
    /// How the result looks.
    #[command(flatten)]
    pub output: Output,
}

/// `weft status`.
#[derive(Debug, Clone, Args)]
pub struct StatusOptions {
    /// Only this service: `orders` or `orders.shop`
    pub service: Option<String>,
    /// How the result looks.
    #[command(flatten)]
    pub output: Output,
    /// Which control plane.
    #[command(flatten)]
    pub connection: Connection,
}

/// `weft services`.
#[derive(Debug, Clone, Args)]
pub struct ViewOptions {
    /// How the result looks.
    #[command(flatten)]
    pub output: Output,
    /// Which control plane.
    #[command(flatten)]
    pub connection: Connection,
}

/// `weft endpoints`.
#[derive(Debug, Clone, Args)]
pub struct EndpointsOptions {
    /// `orders` or `orders.shop`
    pub service: String,
    /// How the result looks.
    #[command(flatten)]
    pub output: Output,
    /// Which control plane.
    #[command(flatten)]
    pub connection: Connection,
}

/// `weft kv …`.
#[derive(Debug, Subcommand)]
pub enum KvCommand {
    /// Print a value; with --recurse all pairs under a prefix
    #[command(after_help = "Exit code: 0 = found, 1 = there is no such key, 2 = no control plane answers.")]
    Get {
        /// A key, or with --recurse a prefix
        key: String,
        /// Everything that begins so
        #[arg(long)]
        recurse: bool,
        /// How the result looks.
        #[command(flatten)]
        output: Output,
        /// Which control plane.
        #[command(flatten)]
        connection: Connection,
    },
    /// Write a value
    #[command(after_help = "Examples:\n  weft kv put motd 'hello'\n  weft kv put config @config.json\n  \
                            date | weft kv put now -\n  weft kv put lock me --cas 0     only if it is not there\n\n\
                            Exit code: 0 = written, 1 = --cas did not hold, 2 = no control plane answers.")]
    Put {
        /// The key
        key: String,
        /// The value; `@FILE` reads a file, `-` standard input
        value: String,
        /// Only if the last write of the key was at this index; 0 = only if it is not there
        #[arg(long, value_name = "INDEX")]
        cas: Option<u64>,
        /// A number kept beside the value
        #[arg(long, value_name = "N")]
        flags: Option<u64>,
        /// Which control plane.
        #[command(flatten)]
        connection: Connection,
    },
    /// Remove a key, or with --recurse all under a prefix
    #[command(
        after_help = "Exit code: 0 = removed or not there, 1 = --cas did not hold, 2 = no control plane answers."
    )]
    Delete {
        /// A key, or with --recurse a prefix
        key: String,
        /// Everything that begins so
        #[arg(long)]
        recurse: bool,
        /// Only if the last write of the key was at this index
        #[arg(long, value_name = "INDEX", conflicts_with = "recurse")]
        cas: Option<u64>,
        /// Which control plane.
        #[command(flatten)]
        connection: Connection,
    },
    /// Print the value now and after each change, until Ctrl-C
    #[command(after_help = "Changes that follow each other at once may be shown as one. \
                            While the control plane is away the watch waits for it.")]
    Watch {
        /// A key, or with --recurse a prefix
        key: String,
        /// Everything that begins so
        #[arg(long)]
        recurse: bool,
        /// End after so many prints
        #[arg(long, value_name = "N")]
        count: Option<u64>,
        /// How the result looks; JSON is one line a change.
        #[command(flatten)]
        output: Output,
        /// Which control plane.
        #[command(flatten)]
        connection: Connection,
    },
}

/// `weft store …`.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Write everything as JSON lines to standard output, or to a file
    Export {
        /// That of weft-control-plane, which must be stopped
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// Instead of standard output
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Put an export into an empty store, from standard input or a file
    Import {
        /// That of weft-control-plane, which must be stopped
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// Instead of standard input
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
}
