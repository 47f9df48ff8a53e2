//! Files and folders that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Marks a folder as results of ours, so that it may be replaced.
pub const MARKER: &str = "run.json";

/// How the marker of every version begins.
const MARKER_BEGINS: &[u8] = b"{\"v\":";

/// Every file that a results folder may hold; beside them there is only the folder of figures.
pub const FILES: [&str; 5] = [
    "index.html",
    MARKER,
    "summary.csv",
    "ticks.parquet",
    "hpa-best.yaml",
];

/// The folder of figures in a results folder, and what its files end in.
pub const FIGURES: (&str, [&str; 2]) = ("figures", ["svg", "png"]);

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The system refused.
    #[error("cannot write {path}: {cause}; nothing was left behind. {}", mend(.cause.kind()))]
    Io {
        /// Where.
        path: String,
        /// Why; the message holds it, so it is not told again as the error's cause.
        cause: io::Error,
    },
    /// The place holds something else.
    #[error(
        "{path} holds `{entry}`, which foresail did not write: give another folder with --out, or empty it"
    )]
    Foreign {
        /// Which folder.
        path: String,
        /// What in it.
        entry: String,
    },
    /// The place is a file.
    #[error("{path} is a file: give a folder with --out")]
    NotAFolder {
        /// Which file.
        path: String,
    },
}

fn mend(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "Free some space, or give another place"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "Give a place where you may write"
        }
        io::ErrorKind::NotFound => "Make the folder first, or give another place",
        _ => "Give another place",
    }
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
    move |cause| WriteError::Io { path, cause }
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

/// A file in the making, written over a long time: a sibling of the final one until
/// [`WholeFile::commit`].
#[derive(Debug)]
pub struct WholeFile {
    target: PathBuf,
    temporary: PathBuf,
    writer: Option<BufWriter<File>>,
}

impl WholeFile {
    /// Begins a file that will stand at `path`.
    ///
    /// # Errors
    /// [`WriteError::Io`] where the place cannot be written.
    pub fn begin(path: &Path) -> Result<Self, WriteError> {
        let temporary = beside(path);
        begin(&temporary);
        let created = File::create(&temporary).map_err(failed(path));
        if created.is_err() {
            end(&temporary);
        }
        Ok(Self {
            target: path.to_owned(),
            temporary,
            writer: Some(BufWriter::new(created?)),
        })
    }

    /// Puts the file in its place once all of it is on disk.
    ///
    /// # Errors
    /// [`WriteError::Io`] where anything fails; the file that was there before is then untouched.
    pub fn commit(mut self) -> Result<(), WriteError> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(());
        };
        let mut put = || -> io::Result<()> {
            writer.flush()?;
            writer.get_ref().sync_all()?;
            fs::rename(&self.temporary, &self.target)
        };
        put().map_err(failed(&self.target))
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.writer {
            Some(writer) => writer.write(bytes),
            None => Err(io::Error::other("the file is finished")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        // After a commit there is no such file any more.
        let _ = fs::remove_file(&self.temporary);
        end(&self.temporary);
    }
}

/// A results folder in the making: a sibling of the final one until [`ResultsFolder::commit`].
#[derive(Debug)]
pub struct ResultsFolder {
    target: PathBuf,
    staging: PathBuf,
    committed: bool,
}

impl ResultsFolder {
    /// Begins a folder that will stand at `target` and may hold [`FILES`].
    ///
    /// # Errors
    /// [`WriteError`] where the place cannot be written or holds foreign files.
    pub fn begin(target: &Path) -> Result<Self, WriteError> {
        Self::begin_of(target, &|name| FILES.contains(&name))
    }

    /// Begins a folder that will stand at `target` and may hold the files that `is_ours` knows by
    /// their names; the marker must be among them.
    ///
    /// # Errors
    /// [`WriteError`] where the place cannot be written or holds foreign files.
    pub fn begin_of(target: &Path, is_ours: &dyn Fn(&str) -> bool) -> Result<Self, WriteError> {
        let path = || target.display().to_string();
        if target.exists() && !target.is_dir() {
            return Err(WriteError::NotAFolder { path: path() });
        }
        if let Some(entry) = foreign_entry(target, is_ours).map_err(failed(target))? {
            return Err(WriteError::Foreign {
                path: path(),
                entry,
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

/// The first entry of a folder that is none of ours; of a folder without our marker, any entry.
fn foreign_entry(target: &Path, is_ours: &dyn Fn(&str) -> bool) -> io::Result<Option<String>> {
    if !target.exists() {
        return Ok(None);
    }
    let (figures, endings) = FIGURES;
    let ours = has_marker(target);
    for name in entries(target)? {
        if !ours || !(is_ours(&name) || name == figures) {
            return Ok(Some(name));
        }
    }
    let folder = target.join(figures);
    if !folder.exists() {
        return Ok(None);
    }
    let drawn = |name: &String| {
        let ending = Path::new(name).extension().and_then(|e| e.to_str());
        ending.is_some_and(|e| endings.contains(&e))
    };
    let other = entries(&folder)?.into_iter().find(|name| !drawn(name));
    Ok(other.map(|name| format!("{figures}/{name}")))
}

fn has_marker(target: &Path) -> bool {
    let mut begins = [0; MARKER_BEGINS.len()];
    let read = File::open(target.join(MARKER)).and_then(|mut f| f.read_exact(&mut begins));
    read.is_ok() && begins == MARKER_BEGINS
}

/// Names in a folder, sorted.
fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|e| e.file_name().to_string_lossy().into_owned())
    };
    let mut names = fs::read_dir(folder)?
        .map(name)
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
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
    fn a_file_is_there_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.jsonl");
        let mut file = WholeFile::begin(&path).unwrap();
        file.write_all(b"one").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        let mut given_up = WholeFile::begin(&path).unwrap();
        given_up.write_all(b"two").unwrap();
        drop(given_up);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_results_of_ours_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("report");
        for round in ["{\"v\":1}", "{\"v\":2}"] {
            let results = ResultsFolder::begin(&target).unwrap();
            results
                .write(MARKER, |w| w.write_all(round.as_bytes()))
                .unwrap();
            results.commit().unwrap();
            assert_eq!(fs::read_to_string(target.join(MARKER)).unwrap(), round);
        }
        let foreign = folder.path().join("photos");
        fs::create_dir(&foreign).unwrap();
        refused(&foreign, "cat.png");
        // Somebody else's marker, or something of the user's beside ours.
        let project = folder.path().join("project");
        fs::create_dir_all(project.join("src")).unwrap();
        fs::write(project.join(MARKER), b"{}").unwrap();
        refused(&project, "src/thesis.tex");
        refused(&target, "mine.txt");
        fs::remove_file(target.join("mine.txt")).unwrap();
        fs::create_dir(target.join("figures")).unwrap();
        refused(&target, "figures/sketch.odg");
    }

    /// Puts a file of the user's into a folder, which is then no place for results.
    fn refused(folder: &Path, name: &str) {
        fs::write(folder.join(name), b"mine").unwrap();
        let error = ResultsFolder::begin(folder).unwrap_err();
        assert!(matches!(error, WriteError::Foreign { .. }), "{error}");
        assert_eq!(fs::read(folder.join(name)).unwrap(), b"mine");
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
