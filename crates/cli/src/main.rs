//! The `burnsight` tool: which pixels made the model say that — and should you believe the map?

mod arguments;
mod choice;
mod draw;
mod evaluate;
mod explain;
mod explainer;
mod inspect;
mod methods;
mod model;
mod output;
mod patterns;
mod settings;
mod setup;
mod tables;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command, ModelsCommand};

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Methods => tables::methods(),
        Command::Metrics => tables::metrics(),
        Command::Models { command: None | Some(ModelsCommand::List) } => tables::models(),
        Command::Models { command: Some(ModelsCommand::Fetch(arguments)) } => model::fetch(&arguments),
        Command::Models { command: Some(ModelsCommand::Inspect(arguments)) } => inspect::run(&arguments),
        Command::Models { command: Some(ModelsCommand::FitPatterns(arguments)) } => patterns::run(&arguments),
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
