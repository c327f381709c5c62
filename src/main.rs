//! The command: parse, run, exit status.

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use vhdkit::cli::{self, Cli, Status};

fn main() -> ExitCode {
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
