//! The command: parse, run, exit status.

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use vhdkit::bytes::{printable, printable_lines};
use vhdkit::cli::{self, Cli, Status};
use vhdkit::fs::edit::is_guarded;

fn main() -> ExitCode {
    silence_guarded();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    match cli::run(&cli) {
        Ok(status) => status.into(),
        // A reader that has seen enough, such as `head`, is not a failure.
        Err(error) if cli::is_broken_pipe(&error) => Status::Ready.into(),
        Err(error) => {
            // Where even standard error is gone, the status still says it.
            writeln!(std::io::stderr().lock(), "vhdkit: {}", printable(&format!("{error:#}"))).ok();
            Status::Failed.into()
        }
    }
}

/// Tells what is wrong with the arguments, or prints the help that was asked for. Arguments may be names of strangers' files, by way of
/// a shell's `*`.
fn refused(error: &clap::Error) -> ExitCode {
    let plain = error.render().to_string();
    let safe = printable_lines(&plain);
    if safe == plain {
        error.print().ok();
    } else {
        write!(std::io::stderr().lock(), "{safe}").ok();
    }
    if error.use_stderr() { Status::Failed.into() } else { Status::Ready.into() }
}

/// Says nothing of panics that are caught and told as errors.
fn silence_guarded() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_guarded() {
            told(panic);
        }
    }));
}
