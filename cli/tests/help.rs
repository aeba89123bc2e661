//! What `--help` says, kept as a golden file: people and scripts learn the command line from it, so a change
//! of it is a change that somebody has to look at. `INSTA_UPDATE=always cargo test -p weft` writes it anew.

use clap::CommandFactory;
use weft::args::Arguments;

/// Wide enough that no line depends on the terminal.
const WIDTH: usize = 100;

#[test]
fn help_is_as_it_was() {
    let mut command = Arguments::command().term_width(WIDTH);
    command.build();
    let mut text = String::new();
    collect(&mut command, "weft", &mut text);
    insta::assert_snapshot!("help", text);
}

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

fn collect(command: &mut clap::Command, path: &str, text: &mut String) {
    text.push_str(&format!("━━ {path} --help\n{}\n", command.render_long_help()));
    for subcommand in command.get_subcommands_mut().filter(|subcommand| !subcommand.is_hide_set()) {
        let path = format!("{path} {}", subcommand.get_name());
        collect(subcommand, &path, text);
    }
}
