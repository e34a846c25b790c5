//! How long an adapter is.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The lines of a crate's sources, all of them.
pub(super) fn of(crate_name: &str) -> Result<usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has no folder")?;
    lines(&root.join(crate_name).join("src"))
}

fn lines(folder: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            count += lines(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            count += fs::read_to_string(&path)?.lines().count();
        }
    }
    Ok(count)
}
