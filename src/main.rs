//! The command: parse, run, exit status.

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use vhdkit::cli::{self, Cli, Status};
use vhdkit::fs::edit::is_guarded;

fn main() -> ExitCode {
    silence_guarded();
    match cli::run(&Cli::parse()) {
        Ok(status) => status.into(),
        // A reader that has seen enough, such as `head`, is not a failure.
        Err(error) if cli::is_broken_pipe(&error) => Status::Ready.into(),
        Err(error) => {
            // Where even standard error is gone, the status still says it.
            writeln!(std::io::stderr().lock(), "vhdkit: {error:#}").ok();
            Status::Failed.into()
        }
    }
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
