//! The classifier that a command asks: a file's, or the one that is shipped.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use foresail_models::classify::saved::{self, BYTES_MAX};
use foresail_models::classify::trained::{BoostedTrees, shipped};

use crate::forecast::stored;

/// Reads a classifier; without a file the shipped one.
///
/// # Errors
/// Where the file is not there or is refused; the text names the file and the mend.
pub(super) fn read(path: Option<&Path>) -> Result<BoostedTrees> {
    let Some(path) = path else {
        return shipped().map_err(|e| anyhow!("the shipped model: {e}"));
    };
    let name = || path.display().to_string();
    let bytes = stored::bytes(path, BYTES_MAX)?;
    let model = saved::read(&bytes).with_context(name)?;
    BoostedTrees::new(model).map_err(|why| anyhow!("{}: {why}; train it again", name()))
}
