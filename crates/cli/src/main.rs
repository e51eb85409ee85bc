//! The `burnsight` tool: which pixels made the model say that — and should you believe the map?

mod arguments;
mod explain;
mod methods;
mod output;
mod tables;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Methods => tables::methods(),
        Command::Models => tables::models(),
        Command::Devices => tables::devices(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
