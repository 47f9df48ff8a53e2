//! Where the database lies: a file, or what a test puts in its place.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use foresail_core::quantity::time::Timestamp;
use redb::{Builder, Database, DatabaseError, ReadOnlyDatabase};

/// Where the database lies.
pub trait Medium: Debug + Send + Sync + 'static {
    /// How it is called in messages.
    fn name(&self) -> String;

    /// Whether there is anything.
    ///
    /// # Errors
    /// Where that cannot be told.
    fn is_there(&self) -> io::Result<bool>;

    /// Opens it for reading alone, so that nothing is written.
    ///
    /// # Errors
    /// Where that is not possible, as after a crash.
    fn look(&self, builder: &Builder) -> Result<ReadOnlyDatabase, DatabaseError>;

    /// Opens it, or begins it where there is nothing.
    ///
    /// # Errors
    /// Those of the database.
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError>;

    /// Puts what is there aside under another name, which it tells.
    ///
    /// # Errors
    /// Where that is not possible; it is then still in its place.
    fn set_aside(&self, at: Timestamp) -> io::Result<String>;
}

/// A file of the system.
#[derive(Clone, Debug)]
pub struct DiskFile {
    path: PathBuf,
}

impl DiskFile {
    /// The file at `path`; its folder must be there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes names in the folder durable, which the database does not do for its own.
    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

impl Medium for DiskFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn is_there(&self) -> io::Result<bool> {
        match fs::metadata(&self.path) {
            Ok(found) => Ok(found.len() > 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn look(&self, builder: &Builder) -> Result<ReadOnlyDatabase, DatabaseError> {
        builder.open_read_only(&self.path)
    }

    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        let is_new = !self.path.exists();
        let database = builder.create(&self.path)?;
        if is_new {
            self.sync_folder()?;
        }
        Ok(database)
    }

    fn set_aside(&self, at: Timestamp) -> io::Result<String> {
        // Colons stand in no file name of some systems.
        let stamp: String = at
            .to_string()
            .split('.')
            .next()
            .unwrap_or_default()
            .replace([':', '-'], "");
        let stamp = stamp.trim_end_matches('Z');
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".corrupt-{stamp}Z"));
        let mut free = PathBuf::from(&aside);
        for number in 2..1000 {
            if !free.exists() {
                break;
            }
            let mut next = aside.clone();
            next.push(format!("-{number}"));
            free = PathBuf::from(next);
        }
        fs::rename(&self.path, &free)?;
        self.sync_folder()?;
        Ok(free.display().to_string())
    }
}
