//! What each command does. Every one gives an exit code that scripts can rely on: see [`Answer`].

use std::process::ExitCode;

use clap::CommandFactory;

use crate::{
    args::{Arguments, Command, Connection},
    client::{Address, Client},
    demo, environment,
    up::{self, state_dir},
};

mod broker;
mod check;
mod explain;
mod kv;
mod resources;
mod store;
mod tap;
mod top;
mod views;

/// What was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Exit code 0.
    Yes,
    /// Exit code 1.
    No,
}

/// Does what was typed.
///
/// # Errors
/// When it could not be found out or done: exit code 2.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let colour = arguments.color.applies(arguments.no_color);
    let answer = match arguments.command {
        Command::Up(options) => return up::run(&options, colour).await,
        Command::Demo(options) => return demo::run(&options, colour).await,
        Command::ExecSupervised(options) => {
            up::shim::run(&options)?;
            Answer::Yes
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "weft", &mut std::io::stdout());
            Answer::Yes
        }
        Command::Check(options) => check::run(&options)?,
        Command::Status(options) => {
            let client = connect(&options.connection)?;
            views::status(&client, options.service.as_deref(), options.output.format).await?
        }
        Command::Services(options) => {
            views::services(&connect(&options.connection)?, options.output.format).await?
        }
        Command::Endpoints(options) => {
            let client = connect(&options.connection)?;
            views::endpoints(&client, &options.service, options.output.format).await?
        }
        Command::Apply(options) => resources::apply(&options).await?,
        Command::Get(options) => resources::get(&options).await?,
        Command::Delete(options) => resources::delete(&options).await?,
        Command::Diff(options) => resources::diff(&options).await?,
        Command::Explain(options) => {
            explain::run(&connect(&options.connection)?, &options.id, options.output.format).await?
        }
        Command::Tap(options) => tap::run(&connect(&options.connection)?, &options).await?,
        Command::Top(options) => top::run(&connect(&options.connection)?, &options).await?,
        Command::Broker(command) => broker::run(command).await?,
        Command::Kv(command) => kv::run(command).await?,
        Command::Store(command) => store::run(command).await?,
    };
    Ok(answer.into())
}

fn connect(connection: &Connection) -> anyhow::Result<Client> {
    let pointer = state_dir::find_pointer(&environment::working_dir()?);
    Ok(Client::new(Address::find(connection.address.as_deref(), pointer)))
}

impl From<bool> for Answer {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => Self::SUCCESS,
            Answer::No => Self::from(1),
        }
    }
}
