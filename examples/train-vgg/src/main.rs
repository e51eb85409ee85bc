//! Trains the built-in model's architecture on a folder of class folders, and writes weights and a card.

mod augmentation;
mod average;
mod checkpoint;
mod data;
mod evaluation;
mod export;
mod model;
mod randomness;
mod settings;
#[cfg(test)]
mod tests;
mod training;

use std::{
    fs,
    io::{Write, stdout},
};

use anyhow::{Context, Result, ensure};
use burnsight::device;
use clap::Parser;

use checkpoint::write_whole;
use data::Data;
use settings::Arguments;
use training::{Row, Run};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    arguments.check()?;
    // Burn panics where it cannot go on.
    device::guarded(|| train(&arguments))?
}

fn train(arguments: &Arguments) -> Result<()> {
    let Arguments { out, settings, .. } = arguments;
    let device = device::open(&arguments.device)?;
    let checkpoint = out.join("checkpoint");
    ensure!(
        arguments.resume || !checkpoint.exists(),
        "{} exists: go on with `--resume`, or choose another `--out`",
        checkpoint.display()
    );
    let data = Data::open(&arguments.data, settings)?;
    let mut print = stdout();
    let megabytes = (data.train.bytes() + data.val.bytes()) as f64 / 1e6;
    let (train, val, classes) = (data.train.len(), data.val.len(), data.classes.len());
    writeln!(
        print,
        "{train} training and {val} validation pictures of {classes} classes; {megabytes:.0} MB in memory"
    )?;
    let mut run = match arguments.resume {
        true => Run::resume(&data, settings.clone(), &device, &checkpoint)?,
        false => Run::new(&data, settings.clone(), &device)?,
    };
    fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;

    while !run.finished() {
        let Row { epoch, learning_rate, train_loss, train_accuracy, val_loss, val_accuracy, seconds } = run.epoch()?;
        run.save(&checkpoint)?;
        write_whole(&out.join("curve.csv"), curve(&run.curve).as_bytes())?;
        writeln!(
            print,
            "epoch {epoch:3} of {}  rate {learning_rate:.5}  train loss {train_loss:.4}, {:5.2} % right  \
             val loss {val_loss:.4}, {:5.2} % right  {seconds:.1} s",
            settings.epochs,
            100.0 * train_accuracy,
            100.0 * val_accuracy
        )?;
    }

    let command: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("train-vgg {}", command.join(" "));
    let ([weights, card], accuracy) = export::export(&run, out, arguments.name(), &command)?;
    writeln!(print, "wrote {} and {}: {:.2} % right", weights.display(), card.display(), 100.0 * accuracy)?;
    Ok(())
}

fn curve(rows: &[Row]) -> String {
    let mut text = "epoch,learning rate,train loss,train accuracy,val loss,val accuracy,seconds\n".to_string();
    for Row { epoch, learning_rate, train_loss, train_accuracy, val_loss, val_accuracy, seconds } in rows {
        text += &format!(
            "{epoch},{learning_rate:.6},{train_loss:.4},{train_accuracy:.4},{val_loss:.4},{val_accuracy:.4},{seconds:.1}\n"
        );
    }
    text
}
