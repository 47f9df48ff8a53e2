//! A net of AQUATOPE's pools from its file, as commands that serve one take it.

use std::path::Path;

use anyhow::{Context, Result};
use foresail_models::forecast::pool_net::{BYTES_MAX, PoolNet, restore_net};

use super::stored;

/// Reads the file that `aquatope train-predictor` wrote: its bytes, and the net.
///
/// # Errors
/// Where it is not there, or is damaged, of another net, or a pickle; the text names the file.
pub fn read(path: &Path) -> Result<(Vec<u8>, PoolNet)> {
    stored::refuse_pickle(path)?;
    let bytes = stored::bytes(path, BYTES_MAX)?;
    let net = restore_net(&bytes).with_context(|| path.display().to_string())?;
    Ok((bytes, net))
}
