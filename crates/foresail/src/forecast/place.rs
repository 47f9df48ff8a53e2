//! Places of single files: only what is of the same kind is written over.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Refuses a place that holds something else than `kind`, a file that begins in one of the ways of
/// `begins`; an empty file holds nothing that would be lost.
///
/// # Errors
/// Where it does, is a folder or no file at all, or cannot be read; the text names the mend.
pub fn refuse_foreign(path: &Path, kind: &str, begins: &[&[u8]]) -> Result<()> {
    refuse_foreign_at("--out", path, kind, begins)
}

/// As [`refuse_foreign`], where another flag than `--out` names the place.
///
/// # Errors
/// As [`refuse_foreign`].
pub fn refuse_foreign_at(flag: &str, path: &Path, kind: &str, begins: &[&[u8]]) -> Result<()> {
    let name = path.display();
    let Ok(there) = fs::metadata(path) else {
        return Ok(());
    };
    if !there.is_file() {
        bail!("{name} is there and is no file: give another place with {flag}");
    }
    let longest = begins.iter().map(|b| b.len()).max().unwrap_or(0);
    let mut first = Vec::new();
    File::open(path)
        .and_then(|file| file.take(longest as u64).read_to_end(&mut first))
        .with_context(|| name.to_string())?;
    if first.is_empty() || begins.iter().any(|b| first.starts_with(b)) {
        return Ok(());
    }
    bail!("{name} is there and is no {kind}: give another name with {flag}, or move it away")
}
