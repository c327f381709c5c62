//! `vhdkit rules`, `explain`, `completions`, `man`.

use super::Status;
use super::args::{Cli, Common, ExplainArgs, Format, RulesArgs};
use super::output;
use crate::bytes::printable;
use crate::report::{json, text};
use crate::rules::{RULES, find};
use anyhow::Context;
use clap::CommandFactory;

pub(super) fn list(args: &RulesArgs, common: &Common) -> anyhow::Result<Status> {
    match args.format {
        Format::Json => output::print_json(&json::rules(&RULES))?,
        Format::Text => output::print(&text::rules(&RULES, &output::look(common)))?,
    }
    Ok(Status::Ready)
}

pub(super) fn explain(args: &ExplainArgs, common: &Common) -> anyhow::Result<Status> {
    let unknown = || format!("there is no rule '{}'; 'vhdkit rules' lists codes, names and catalogue ids", printable(&args.code));
    let rule = find(&args.code).with_context(unknown)?;
    output::print(&text::explain(rule, &output::look(common)))?;
    Ok(Status::Ready)
}

pub(super) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Status> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vhdkit", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Status::Ready)
}

pub(super) fn man(command: Option<&str>) -> anyhow::Result<Status> {
    let mut cli = Cli::command();
    cli.build();
    let page = match command {
        None => cli,
        Some(name) => {
            let found = cli.find_subcommand(name).with_context(|| format!("there is no command '{}'", printable(name)))?;
            found.clone()
        }
    };
    let title = command.map_or_else(|| "vhdkit".to_owned(), |name| format!("vhdkit-{name}"));
    let mut text = Vec::new();
    clap_mangen::Man::new(page).title(title).render(&mut text).context("cannot make the man page")?;
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(Status::Ready)
}
