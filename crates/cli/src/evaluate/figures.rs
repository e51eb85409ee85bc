use std::path::Path;

use anyhow::Result;

use super::report::Evaluation;

pub fn write(_: &Path, _: &Evaluation) -> Result<()> {
    Ok(())
}
