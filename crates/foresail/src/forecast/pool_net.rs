//! A net of AQUATOPE's pools from its file, as commands that serve one take it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use foresail_models::forecast::pool_net::{BYTES_MAX, PoolNet, restore_net};

use super::stored::refuse_pickle;

/// Reads the file that `aquatope train-predictor` wrote: its bytes, and the net.
///
/// # Errors
/// Where it is not there, or is damaged, of another net, or a pickle; the text names the file.
pub fn read(path: &Path) -> Result<(Vec<u8>, PoolNet)> {
    refuse_pickle(path)?;
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    // One byte more than is allowed tells that it is too long.
    let file = File::open(path).with_context(name)?;
    file.take(BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(name)?;
    let net = restore_net(&bytes).with_context(name)?;
    Ok((bytes, net))
}
