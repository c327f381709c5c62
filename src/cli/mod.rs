//! Words in, words out, exit status.

mod args;
mod changes;
mod check;
mod choices;
mod config;
mod disks;
mod files;
mod formats;
mod generalize;
mod image;
mod inspect;
mod interrupt;
mod many;
mod nearest;
mod output;
mod prepare;
mod progress;
mod recipe;
mod rules;
mod status;
mod stream;
mod verify;
mod writing;

pub use args::Cli;
pub use status::Status;

use args::{CheckArgs, Command, PrepareArgs};
use std::io;

/// Runs a command.
///
/// # Errors
///
/// Whatever keeps it from being done: status 2. A broken pipe is one too, and no failure ([`is_broken_pipe`]).
pub fn run(cli: &Cli) -> anyhow::Result<Status> {
    interrupt::install()?;
    let ended = command(cli);
    let left = crate::prepare::take_left();
    let left = left.iter().map(|path| format!("'{}' could not be removed again", disks::shown(path)));
    match ended {
        Err(error) if !is_broken_pipe(&error) => {
            let all: Vec<String> = std::iter::once(format!("{error:#}")).chain(left).collect();
            Err(if all.len() == 1 { error } else { anyhow::Error::msg(all.join("; ")) })
        }
        other => {
            left.for_each(|text| output::complain(&text));
            other
        }
    }
}

fn command(cli: &Cli) -> anyhow::Result<Status> {
    let common = &cli.common;
    match &cli.command {
        Command::Inspect(args) => inspect::run(args, common),
        Command::Check(args) => {
            let asking = config::settle(&args.asking, args.wanted, args.disks.first())?;
            check::run(&CheckArgs { asking, ..args.clone() }, common)
        }
        Command::Prepare(args) => {
            let asking = config::settle(&args.asking, args.wanted, Some(&args.disk))?;
            prepare::run(&PrepareArgs { asking, ..args.clone() }.implied(), common)
        }
        Command::Generalize(args) => generalize::run(args, common),
        Command::Verify(args) => verify::run(args, common),
        Command::Recipe(args) => recipe::run(args),
        Command::Ls(args) => files::ls(args, common),
        Command::Cat(args) => files::cat(args),
        Command::Rules(args) => rules::list(args, common),
        Command::Explain(args) => rules::explain(args, common),
        Command::Completions { shell } => rules::completions(*shell),
        Command::Man { command } => rules::man(command.as_deref()),
    }
}

/// Whether an error comes down to a reader that has gone away, such as `head`.
#[must_use]
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}
