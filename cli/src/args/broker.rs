//! The commands about the message broker as they are typed.

use std::{convert::Infallible, fmt, num::NonZeroU32, path::PathBuf, str::FromStr};

use clap::{Args, Subcommand};

use super::ResourceFormat;
use crate::broker::filter::Filter;

/// The user where nobody says: RabbitMQ's, from loopback only.
const USER_DEFAULT: &str = "guest";
/// The virtual host where one is needed and nobody says which.
const VHOST_DEFAULT: &str = "/";

/// The commands about the message broker.
#[derive(Debug, Subcommand)]
pub enum BrokerCommand {
    /// The queues of the message broker, or one of them; or read them from its files
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  weft queues\n  weft queues orders -V shop\n  weft queues -o wide\n  \
                      weft queues -o json | jq -r '.[] | select(.messages_ready > 1000).name'\n  \
                      weft queues inspect ./mq                 offline, from the files\n\n\
                      A queue that is called `inspect`: weft queues -- inspect\n\
                      Exit code: 0 = found, 1 = there is no such queue or virtual host, 2 = no message broker answers."
    )]
    Queues(QueuesOptions),
    /// The exchanges of the message broker
    #[command(after_help = "Examples:\n  weft exchanges\n  weft exchanges -V / -o wide\n\n\
                            Exit code: 0 = listed, 1 = there is no such virtual host, 2 = no message broker answers.")]
    Exchanges(ExchangesOptions),
    /// What leads from exchanges to queues and to other exchanges
    #[command(
        after_help = "Examples:\n  weft bindings\n  weft bindings --queue orders\n  weft bindings --exchange jobs -o json\n\n\
                      Those of the default exchange, one for each queue, are shown with --queue, `--exchange ''`, and in other formats than the table.\n\
                      Exit code: 0 = listed, 1 = there is no such virtual host, 2 = no message broker answers."
    )]
    Bindings(BindingsOptions),
    /// Who consumes from which queue
    #[command(after_help = "Examples:\n  weft consumers\n  weft consumers --queue orders -o wide\n\n\
                            Exit code: 0 = listed, 1 = there is no such virtual host, 2 = no message broker answers.")]
    Consumers(ConsumersOptions),
    /// The connections to the message broker
    #[command(after_help = "Examples:\n  weft connections\n  weft connections -o wide\n\n\
                            Exit code: 0 = listed, 1 = there is no such virtual host, 2 = no message broker answers.")]
    Connections(ConnectionsOptions),
    /// Take all waiting messages out of a queue, for ever
    #[command(after_help = "Examples:\n  weft purge orders\n  weft purge orders -V shop --yes\n\n\
                            Messages that consumers have not acknowledged yet are not taken.\n\
                            Exit code: 0 = purged, 1 = there is no such queue, or you said no, 2 = no message broker answers.")]
    Purge(PurgeOptions),
    /// Put dead letters back to where they came from
    #[command(
        after_help = "Examples:\n  weft redrive orders.dead --dry-run           how many would go where\n  \
                      weft redrive orders.dead --rate 100\n  \
                      weft redrive weft.parked --to queue --filter queue=orders --filter reason=delivery_limit\n  \
                      weft redrive orders.dead --filter routing-key=eu.# --filter tenant=acme --limit 10\n\n\
                      Where a message came from is the first entry of its header `x-death`. \
                      It goes back to that exchange with those routing keys, so that every queue bound there gets it; with `--to queue` to the queue alone in which it died. \
                      It leaves the queue of dead letters only after the broker has confirmed it: none is lost, and if this or the broker dies meanwhile, some may come twice. \
                      What no queue takes, what the broker refuses, and what does not say where it came from stays, is counted, and keeps its place. \
                      Only messages that are there at the beginning are taken.\n\n\
                      What is changed in a message: entries of `x-death` of the queue where it died are removed, and `x-first-death-…` and `x-last-death-…` that name it, so that the next death counts as its first and not as a cycle; \
                      so is `x-delivery-count`. `x-deduplication-header` becomes `x-redriven-deduplication-header`, or a queue that has seen it would leave it out. \
                      `user-id` is dropped if it is another user's. A time to live that it lost when it died stays lost.\n\n\
                      A look at a message counts as a delivery where the queue has a delivery limit: so none is returned more than ten times without --force.\n\
                      Ctrl-C ends it in order. \
                      Exit code: 0 = all that the filters let through went back, 1 = some stay, or there is no such queue, 2 = no message broker answers, or it refuses."
    )]
    Redrive(RedriveOptions),
}

/// Who asks.
#[derive(Debug, Clone, Args)]
pub struct Login {
    /// The user
    #[arg(long, env = "WEFT_BROKER_USER", hide_env_values = true, value_name = "USER", default_value = USER_DEFAULT)]
    pub user: String,
    /// The password; better in the variable, which other users of the machine cannot see [default: guest]
    #[arg(long, env = "WEFT_BROKER_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    password: Option<Password>,
}

/// Which broker, by its management API.
#[derive(Debug, Clone, Args)]
pub struct Management {
    /// The management API's address [default: http://127.0.0.1:15672]
    #[arg(long = "management", env = "WEFT_MANAGEMENT_ADDR", hide_env_values = true, value_name = "URL")]
    pub address: Option<String>,
    /// Who asks.
    #[command(flatten)]
    pub login: Login,
}

/// What is not shown.
#[derive(Clone)]
struct Password(String);

/// What every list has.
#[derive(Debug, Clone, Args)]
pub struct ListOptions {
    /// Only in this virtual host [default: all]
    #[arg(short = 'V', long, value_name = "VHOST")]
    pub vhost: Option<String>,
    /// How the result looks; JSON and YAML are the management API's own objects
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t)]
    pub format: ResourceFormat,
    /// Which broker.
    #[command(flatten)]
    pub management: Management,
}

/// `weft queues`.
#[derive(Debug, Clone, Args)]
pub struct QueuesOptions {
    /// Only this one, in detail; of the virtual host `/` if --vhost does not say otherwise
    pub name: Option<String>,
    /// What every list has.
    #[command(flatten)]
    pub list: ListOptions,
    /// Something other than a list.
    #[command(subcommand)]
    pub command: Option<QueuesCommand>,
}

/// `weft queues …`.
#[derive(Debug, Clone, Subcommand)]
pub enum QueuesCommand {
    /// Read the queues of a data directory from its files, without a broker
    #[command(
        after_help = "Examples:\n  weft queues inspect ./mq\n  weft queues inspect ./mq/mq/%2F --queue orders --records\n  \
                      weft queues inspect ./mq -o json\n\n\
                      It takes no lock and writes nothing. A broker that is running writes meanwhile, so that the last of it may be missing. \
                      Exit code: 0 = whole, 1 = damaged, or no such queue, 2 = no log, or not readable."
    )]
    Inspect(InspectOptions),
}

/// `weft queues inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectOptions {
    /// The broker's --data-dir, or the directory of one virtual host in it
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Every record of the log as well; JSON and YAML are then one JSON object a line
    #[arg(long)]
    pub records: bool,
    /// Only this queue: its name, or its number in the log
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,
    /// How the result looks
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t)]
    pub format: ResourceFormat,
}

/// `weft exchanges`.
#[derive(Debug, Clone, Args)]
pub struct ExchangesOptions {
    /// What every list has.
    #[command(flatten)]
    pub list: ListOptions,
}

/// `weft bindings`.
#[derive(Debug, Clone, Args)]
pub struct BindingsOptions {
    /// Only those from this exchange
    #[arg(long, value_name = "EXCHANGE")]
    pub exchange: Option<String>,
    /// Only those to this queue
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,
    /// What every list has.
    #[command(flatten)]
    pub list: ListOptions,
}

/// `weft consumers`.
#[derive(Debug, Clone, Args)]
pub struct ConsumersOptions {
    /// Only those of this queue
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,
    /// What every list has.
    #[command(flatten)]
    pub list: ListOptions,
}

/// `weft connections`.
#[derive(Debug, Clone, Args)]
pub struct ConnectionsOptions {
    /// What every list has.
    #[command(flatten)]
    pub list: ListOptions,
}

/// `weft purge`.
#[derive(Debug, Clone, Args)]
pub struct PurgeOptions {
    /// The queue
    pub queue: String,
    /// Do not ask
    #[arg(short = 'y', long)]
    pub yes: bool,
    /// Its virtual host
    #[arg(short = 'V', long, value_name = "VHOST", default_value = VHOST_DEFAULT)]
    pub vhost: String,
    /// Which broker.
    #[command(flatten)]
    pub management: Management,
}

/// `weft redrive`.
#[derive(Debug, Clone, Args)]
pub struct RedriveOptions {
    /// The queue of dead letters: one that a dead-letter exchange leads to, or `weft.parked`
    pub queue: String,
    /// Where messages go
    #[arg(long, value_name = "WHERE", value_enum, default_value_t)]
    pub to: Destination,
    /// Only messages that this holds for: `reason=rejected`, `queue=orders`, `routing-key=eu.#`, or a header and its value, as `tenant=acme`; repeatable, then all must hold
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    pub filters: Vec<Filter>,
    /// So many messages a second at most
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU32>,
    /// End after so many messages
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Count what would go where, and leave all of it
    #[arg(long)]
    pub dry_run: bool,
    /// Go on although messages have come back so often that a delivery limit of the queue may take them out
    #[arg(long)]
    pub force: bool,
    /// Its virtual host
    #[arg(short = 'V', long, value_name = "VHOST", default_value = VHOST_DEFAULT)]
    pub vhost: String,
    /// How the result looks
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t)]
    pub format: ResourceFormat,
    /// The broker's AMQP address [default: 127.0.0.1:5672]
    #[arg(long, env = "WEFT_AMQP_ADDR", hide_env_values = true, value_name = "HOST:PORT")]
    pub amqp: Option<String>,
    /// Who asks.
    #[command(flatten)]
    pub login: Login,
}

/// Where redriven messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Destination {
    /// To the exchange that they were published to, with their routing keys; all queues bound to it get them.
    #[default]
    Exchange,
    /// To the queue alone in which they died.
    Queue,
}

impl QueuesOptions {
    /// The virtual host of the one queue.
    pub fn vhost_of_one(&self) -> &str {
        self.list.vhost.as_deref().unwrap_or(VHOST_DEFAULT)
    }
}

impl Login {
    /// The password.
    pub fn password(&self) -> &str {
        let given = self.password.as_ref().map(|password| password.0.as_str());
        given.filter(|password| !password.is_empty()).unwrap_or(USER_DEFAULT)
    }
}

impl FromStr for Password {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        login: Login,
    }

    #[test]
    fn a_password_is_taken_and_not_shown() {
        let line = Line::parse_from(["x", "--user", "ops", "--password", "hunter2"]);
        assert_eq!((line.login.user.as_str(), line.login.password()), ("ops", "hunter2"));
        assert!(!format!("{line:?}").contains("hunter2"));
    }
}
