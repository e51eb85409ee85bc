//! What has been measured already: a file that grows line by line, so that an evaluation that was stopped goes on.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result};
use burnsight::evaluation::Reading;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The file's name in the output folder.
pub const FILE: &str = "evaluation.progress.jsonl";

/// One method's readings by one metric on one picture.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    key: Key,
    readings: Vec<Reading>,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    pub method: String,
    pub metric: String,
    /// The metric's settings, as JSON.
    pub parameters: String,
    pub picture: String,
}

/// Readings by what was measured, in memory and in the file.
pub struct Ledger {
    known: HashMap<Key, Vec<Reading>>,
    file: BufWriter<File>,
}

impl Ledger {
    /// Opens the file in `folder`. What is in it counts if it was made with the same settings; else it starts anew. Returns
    /// also how many of its lines count.
    pub fn open(folder: &Path, settings: &Value) -> Result<(Self, usize)> {
        let path = folder.join(FILE);
        let context = || format!("cannot write {}", path.display());
        let mut known = HashMap::new();
        let earlier = fs::read_to_string(&path).unwrap_or_default();
        let mut lines = earlier.lines();
        let is_same = lines.next().and_then(|line| serde_json::from_str::<Value>(line).ok()).as_ref() == Some(settings);
        if is_same {
            // A line that was cut off by whatever stopped the evaluation is measured again.
            let whole = lines.filter_map(|line| serde_json::from_str::<Line>(line).ok());
            known.extend(whole.map(|line| (line.key, line.readings)));
        }
        let count = known.len();
        let file = match is_same {
            true => OpenOptions::new().append(true).open(&path),
            false => File::create(&path),
        };
        let mut file = BufWriter::new(file.with_context(context)?);
        match is_same {
            // A line that was cut off must not swallow the next one.
            true if !earlier.ends_with('\n') => writeln!(file).with_context(context)?,
            true => {}
            false => writeln!(file, "{settings}").with_context(context)?,
        }
        file.flush().with_context(context)?;
        Ok((Self { known, file }, count))
    }

    pub fn get(&self, key: &Key) -> Option<&Vec<Reading>> {
        self.known.get(key)
    }

    /// Notes a measurement. It is in the file when this returns.
    pub fn add(&mut self, key: Key, readings: Vec<Reading>) -> Result<()> {
        let line = Line { key, readings };
        serde_json::to_writer(&mut self.file, &line)?;
        writeln!(self.file)?;
        self.file.flush()?;
        self.known.insert(line.key, line.readings);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burnsight::evaluation::Direction;
    use serde_json::json;

    use super::*;

    fn key(picture: &str) -> Key {
        let (method, metric) = ("grad-cam".into(), "deletion".into());
        Key { method, metric, parameters: "{}".into(), picture: picture.into() }
    }

    fn readings(value: f64) -> Vec<Reading> {
        vec![Reading::new("deletion", Direction::Lower, vec![Some(value), None])]
    }

    #[test]
    fn goes_on_after_a_line_that_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let settings = json!({"seed": 0});
        let (mut ledger, known) = Ledger::open(folder.path(), &settings).unwrap();
        assert_eq!(known, 0);
        ledger.add(key("a"), readings(0.1)).unwrap();
        ledger.add(key("b"), readings(1.0 / 3.0)).unwrap();
        drop(ledger);
        let path = folder.path().join(FILE);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let (mut ledger, known) = Ledger::open(folder.path(), &settings).unwrap();
        assert_eq!((known, ledger.get(&key("a")), ledger.get(&key("b"))), (1, Some(&readings(0.1)), None));
        ledger.add(key("b"), readings(1.0 / 3.0)).unwrap();
        drop(ledger);
        let (ledger, known) = Ledger::open(folder.path(), &settings).unwrap();
        assert_eq!((known, ledger.get(&key("b"))), (2, Some(&readings(1.0 / 3.0))));
    }

    #[test]
    fn other_settings_start_anew() {
        let folder = tempfile::tempdir().unwrap();
        Ledger::open(folder.path(), &json!({"seed": 0})).unwrap().0.add(key("a"), readings(0.1)).unwrap();
        let (ledger, known) = Ledger::open(folder.path(), &json!({"seed": 1})).unwrap();
        assert_eq!((known, ledger.get(&key("a"))), (0, None));
    }
}
