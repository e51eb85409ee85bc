//! Names on the command line that mean an entry of a table.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burnsight::Error;

/// An entry of a table of methods or metrics.
pub trait Named {
    fn name(&self) -> &'static str;
    /// Whether it is chosen when nothing is named.
    fn by_default(&self) -> bool;
}

/// The entries that were asked for with `--<flag>`, and paths that stand behind it by mistake.
///
/// The flags take several names, so in `explain --method grad-cam photo.jpg` the picture looks like one more.
pub fn choose<T: Named>(flag: &str, names: &[String], table: &'static [T]) -> Result<(Vec<&'static T>, Vec<PathBuf>)> {
    let mut chosen: Vec<&'static T> = Vec::new();
    let mut stray = Vec::new();
    for name in names {
        match table.iter().find(|entry| entry.name() == name) {
            Some(entry) if chosen.iter().all(|other| other.name() != name) => chosen.push(entry),
            Some(_) => {}
            None if name == "all" => chosen = table.iter().collect(),
            None if Path::new(name).exists() => stray.push(name.into()),
            None => {
                let known: Vec<&str> = table.iter().map(Named::name).collect();
                let likeness = |known: &str| strsim::jaro_winkler(known, name);
                let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
                let nearest = nearest.map_or_else(String::new, |nearest| format!(", did you mean {nearest}?"));
                let requirement = format!("no such {flag}{nearest} There are {} and all", known.join(", "));
                return Err(Error::parameter(flag, name, &requirement).into());
            }
        }
    }
    if chosen.is_empty() {
        chosen = table.iter().filter(|entry| entry.by_default()).collect();
    }
    Ok((chosen, stray))
}
