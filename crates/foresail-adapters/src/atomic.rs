//! Files and folders that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Marks a folder as results of ours, so that it may be replaced.
pub const MARKER: &str = "run.json";

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The system refused.
    #[error(
        "cannot write {path}: {source}; nothing was left behind. Free some space, or give another place"
    )]
    Io {
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The folder holds something else.
    #[error(
        "{path} holds files that are no results of foresail (no {MARKER} in it); give another folder with --out, or empty it"
    )]
    Foreign {
        /// Which folder.
        path: String,
    },
}

/// What is half written at present, so that an interrupted run can take it away.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn begin(path: &Path) {
    if let Ok(mut all) = UNFINISHED.lock() {
        all.push(path.to_owned());
    }
}

fn end(path: &Path) {
    if let Ok(mut all) = UNFINISHED.lock() {
        all.retain(|p| p != path);
    }
}

/// Takes away everything that is half written; for the handler of an interrupt.
pub fn abandon() {
    let all = UNFINISHED
        .lock()
        .map(|mut all| std::mem::take(&mut *all))
        .unwrap_or_default();
    for path in all {
        // It may be a file or a folder, or be gone already.
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir_all(&path);
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> WriteError + use<> {
    let path = path.display().to_string();
    move |source| WriteError::Io { path, source }
}

/// A name beside `path` that no other run uses.
fn beside(path: &Path) -> PathBuf {
    let name = path
        .file_name()
        .map_or_else(|| "out".into(), |n| n.to_string_lossy().into_owned());
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

/// Writes a file through `fill`; it appears under its name only once it is whole and on disk.
///
/// # Errors
/// [`WriteError::Io`] where anything fails; the file that was there before is then untouched.
pub fn write_file(
    path: &Path,
    fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> Result<(), WriteError> {
    let temporary = beside(path);
    begin(&temporary);
    let write = || -> io::Result<()> {
        let mut writer = BufWriter::new(File::create(&temporary)?);
        fill(&mut writer)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        drop(writer);
        fs::rename(&temporary, path)
    };
    let written = write();
    if written.is_err() {
        // What is half written is of no use; that it may not exist is no error.
        let _ = fs::remove_file(&temporary);
    }
    end(&temporary);
    written.map_err(failed(path))
}

/// A results folder in the making: a sibling of the final one until [`ResultsFolder::commit`].
#[derive(Debug)]
pub struct ResultsFolder {
    target: PathBuf,
    staging: PathBuf,
    committed: bool,
}

impl ResultsFolder {
    /// Begins a folder that will stand at `target`.
    ///
    /// # Errors
    /// [`WriteError`] where the place cannot be written or holds foreign files.
    pub fn begin(target: &Path) -> Result<Self, WriteError> {
        if holds_foreign_files(target).map_err(failed(target))? {
            return Err(WriteError::Foreign {
                path: target.display().to_string(),
            });
        }
        let staging = beside(target);
        if let Some(parent) = target.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(failed(target))?;
        }
        if staging.exists() {
            fs::remove_dir_all(&staging).map_err(failed(target))?;
        }
        fs::create_dir(&staging).map_err(failed(target))?;
        begin(&staging);
        Ok(Self {
            target: target.to_owned(),
            staging,
            committed: false,
        })
    }

    /// Writes one file of the folder; `name` may have folders in it.
    ///
    /// # Errors
    /// [`WriteError::Io`] where anything fails.
    pub fn write(
        &self,
        name: &str,
        fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
    ) -> Result<(), WriteError> {
        let path = self.staging.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed(&path))?;
        }
        write_file(&path, fill)
    }

    /// Puts the folder in its place, in that of older results where there are any.
    ///
    /// # Errors
    /// [`WriteError::Io`] where it cannot be moved; older results are then still there.
    pub fn commit(mut self) -> Result<(), WriteError> {
        let old = beside(&self.target).with_extension("old");
        let had_old = self.target.exists();
        if had_old {
            fs::rename(&self.target, &old).map_err(failed(&self.target))?;
        }
        if let Err(error) = fs::rename(&self.staging, &self.target) {
            if had_old {
                let _ = fs::rename(&old, &self.target);
            }
            return Err(failed(&self.target)(error));
        }
        self.committed = true;
        if had_old {
            let _ = fs::remove_dir_all(&old);
        }
        Ok(())
    }
}

impl Drop for ResultsFolder {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_dir_all(&self.staging);
        }
        end(&self.staging);
    }
}

/// `true` for a folder with content that we did not write, and for a file.
fn holds_foreign_files(target: &Path) -> io::Result<bool> {
    if !target.exists() {
        return Ok(false);
    }
    if !target.is_dir() {
        return Ok(true);
    }
    Ok(fs::read_dir(target)?.next().is_some() && !target.join(MARKER).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        write_file(&path, |w| w.write_all(b"old")).unwrap();
        let full = write_file(&path, |w| {
            w.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert!(
            full.unwrap_err()
                .to_string()
                .contains("nothing was left behind")
        );
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_results_of_ours_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("report");
        for round in ["first", "second"] {
            let results = ResultsFolder::begin(&target).unwrap();
            results
                .write(MARKER, |w| w.write_all(round.as_bytes()))
                .unwrap();
            results.commit().unwrap();
            assert_eq!(fs::read_to_string(target.join(MARKER)).unwrap(), round);
        }
        let foreign = folder.path().join("photos");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("cat.png"), b"").unwrap();
        assert!(matches!(
            ResultsFolder::begin(&foreign),
            Err(WriteError::Foreign { .. })
        ));
        assert!(foreign.join("cat.png").exists());
    }

    #[test]
    fn results_that_are_not_finished_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let results = ResultsFolder::begin(&folder.path().join("report")).unwrap();
        results
            .write("figures/a.svg", |w| w.write_all(b"<svg/>"))
            .unwrap();
        drop(results);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
