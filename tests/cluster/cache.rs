//! Where the built control plane of the tests is kept: a folder outside `target`, one entry for each
//! state of the sources in this folder. Read by `xtask`, which builds it, and by the tests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The binary of the control plane for the sources in `folder` (built or not).
pub(crate) fn rig_binary(folder: &Path) -> io::Result<PathBuf> {
    Ok(cache_folder()?.join(key(folder)?).join("rig"))
}

/// A program that the module in `folder` pins as a tool (built or not).
pub(crate) fn tool_binary(folder: &Path, name: &str) -> io::Result<PathBuf> {
    Ok(cache_folder()?.join(key(folder)?).join(name))
}

/// `$FORESAIL_CLUSTER_CACHE`, else `$XDG_CACHE_HOME/foresail/cluster`, else
/// `~/.cache/foresail/cluster`.
pub(crate) fn cache_folder() -> io::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = variable("FORESAIL_CLUSTER_CACHE") {
        return Ok(folder.into());
    }
    let base = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let told = "no place for the test control plane: set FORESAIL_CLUSTER_CACHE to a folder";
    let base = base.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, told))?;
    Ok(base.join("foresail").join("cluster"))
}

/// A number of everything that goes into the binary: names and texts of the module's files.
fn key(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for place in [folder.to_path_buf(), folder.join("manifests")] {
        if !place.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&place)? {
            let path = entry?.path();
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
            if matches!(extension, "go" | "mod" | "sum" | "yaml") {
                files.push(path);
            }
        }
    }
    files.sort();
    // FNV-1a: the same on every machine and in every release of the standard library.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for file in files {
        let name = file.strip_prefix(folder).unwrap_or(&file);
        take(name.to_string_lossy().as_bytes());
        take(&[0]);
        take(&fs::read(&file)?);
        take(&[0]);
    }
    Ok(format!("{hash:016x}"))
}
