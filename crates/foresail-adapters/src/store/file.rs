//! Opening: what is there is whole and ours, or it is put aside and the caller is told.
//!
//! Every page is checked when the file is opened, since the database trusts a file that was closed
//! well: of files with a few flipped bits nearly all were read without a word. What cannot be read
//! because the system refuses is no damage: the file then stays where it is.

use std::any::Any;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use foresail_core::quantity::time::Timestamp;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, StorageError, TableError, TableHandle,
};

use super::blob::{self, BlobError, FORM, Packed};
use super::error::StoreError;
use super::medium::Medium;
use super::tables::{META, META_KEY, commit};

/// Memory for pages. The store is small and mostly written; the database's own default is 1 GiB.
const CACHE_BYTES: usize = 16 << 20;

/// How the file was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opened {
    /// There was nothing; it begins empty.
    New,
    /// All that was acknowledged is there.
    Kept,
    /// What was there is damaged or not ours: it lies aside, and the store begins empty.
    SetAside {
        /// Where it lies.
        to: String,
        /// What is wrong with it.
        why: String,
    },
}

/// What kept the file from being opened.
pub(super) enum Hindered {
    /// It is damaged, or a file of something else.
    Damaged(String),
    /// It cannot be had at present, or not by this version.
    Refused(StoreError),
}

/// Runs what must not take the process down: the database may panic on a damaged file.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| told(payload.as_ref()))
}

fn told(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!(
        "the database stopped at it: {}",
        text.unwrap_or("no reason")
    )
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true);
    builder
}

/// Opens what is there, or begins anew.
///
/// # Errors
/// [`StoreError::InUse`], [`StoreError::Newer`] and [`StoreError::Io`]; what is there is then
/// untouched.
pub(super) fn open(medium: &dyn Medium, now: Timestamp) -> Result<(Database, Opened), StoreError> {
    let io = |doing, error: std::io::Error| StoreError::Io {
        file: medium.name(),
        doing,
        why: error.to_string(),
    };
    if medium.is_there().map_err(|e| io("open", e))? {
        refuse_newer(medium)?;
    }
    let why = match try_open(medium) {
        Ok(opened) => return Ok(opened),
        Err(Hindered::Refused(error)) => return Err(error),
        Err(Hindered::Damaged(why)) => why,
    };
    let to = medium.set_aside(now).map_err(|e| io("put aside", e))?;
    match try_open(medium) {
        Ok((database, _)) => Ok((database, Opened::SetAside { to, why })),
        Err(Hindered::Refused(error)) => Err(error),
        Err(Hindered::Damaged(why)) => Err(StoreError::Io {
            file: medium.name(),
            doing: "begin",
            why,
        }),
    }
}

/// A look that writes nothing; a file that cannot be looked at is judged when it is opened.
fn refuse_newer(medium: &dyn Medium) -> Result<(), StoreError> {
    let form = guarded(|| {
        let database = medium.look(&builder()).ok()?;
        form_of(&database)
    });
    match form {
        Ok(Some(Err(BlobError::Form(found)))) => Err(newer(medium, found)),
        _ => Ok(()),
    }
}

fn newer(medium: &dyn Medium, found: u16) -> StoreError {
    StoreError::Newer {
        file: medium.name(),
        found,
        known: FORM,
    }
}

/// What the blob of the form says; `None` where there is none that can be read.
fn form_of(database: &impl ReadableDatabase) -> Option<Result<Vec<u8>, BlobError>> {
    let table = database.begin_read().ok()?.open_table(META).ok()?;
    let found = redb::ReadableTable::get(&table, META_KEY).ok()??;
    Some(blob::unseal(META.name(), META_KEY, found.value()))
}

fn try_open(medium: &dyn Medium) -> Result<(Database, Opened), Hindered> {
    let opened = guarded(|| medium.open(&builder())).map_err(Hindered::Damaged)?;
    let database = opened.map_err(|error| hindrance(medium, error))?;
    let opened = guarded(|| settle_form(medium, &database)).map_err(Hindered::Damaged)??;
    Ok((database, opened))
}

/// Finds out whose file it is, and makes an empty one ours.
fn settle_form(medium: &dyn Medium, database: &Database) -> Result<Opened, Hindered> {
    let foreign = || Hindered::Damaged("it is a database, but not foresail's".to_owned());
    let failed = |error: redb::Error| match error {
        redb::Error::Corrupted(why) => Hindered::Damaged(why),
        other => Hindered::Refused(StoreError::Io {
            file: medium.name(),
            doing: "read",
            why: other.to_string(),
        }),
    };
    let read = database.begin_read().map_err(|e| failed(e.into()))?;
    match read.open_table(META) {
        Ok(table) => {
            let found = redb::ReadableTable::get(&table, META_KEY).map_err(|e| failed(e.into()))?;
            let found = found.ok_or_else(foreign)?;
            match blob::unseal(META.name(), META_KEY, found.value()) {
                Ok(_) => Ok(Opened::Kept),
                Err(BlobError::Form(found)) if found > FORM => {
                    Err(Hindered::Refused(newer(medium, found)))
                }
                Err(error) => Err(Hindered::Damaged(error.to_string())),
            }
        }
        Err(TableError::TableDoesNotExist(_)) => {
            let mut tables = read.list_tables().map_err(|e| failed(e.into()))?;
            if tables.next().is_some() {
                return Err(foreign());
            }
            let blob = blob::seal(META.name(), META_KEY, &Packed::plain(b"foresail"));
            let begin = |tx: &redb::WriteTransaction| {
                tx.open_table(META)?.insert(META_KEY, blob.as_slice())?;
                Ok(())
            };
            commit(database, begin).map_err(failed)?;
            Ok(Opened::New)
        }
        Err(TableError::Storage(error)) => Err(failed(error.into())),
        Err(_) => Err(foreign()),
    }
}

/// Damage, or a system that refuses?
fn hindrance(medium: &dyn Medium, error: DatabaseError) -> Hindered {
    let file = medium.name();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            Hindered::Refused(StoreError::InUse { file })
        }
        DatabaseError::Storage(StorageError::Corrupted(why)) => Hindered::Damaged(why),
        // Neither a foreign file nor one that is cut short is an error of the disk.
        DatabaseError::Storage(StorageError::Io(error))
            if matches!(
                error.kind(),
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof
            ) =>
        {
            Hindered::Damaged(error.to_string())
        }
        DatabaseError::UpgradeRequired(form) => {
            Hindered::Damaged(format!("it is a database of the old form {form}"))
        }
        other => Hindered::Refused(StoreError::Io {
            file,
            doing: "open",
            why: other.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::medium::DiskFile;
    use super::super::{Batch, Limits, Store};
    use super::*;
    use crate::clock::SystemClock;

    /// A file whose form is sealed as `form`, closed well.
    fn file_of(form: u16, path: &std::path::Path) {
        let database = Database::create(path).unwrap();
        let blob = blob::seal_as(form, META.name(), META_KEY, &Packed::plain(b"foresail"));
        let begin = |tx: &redb::WriteTransaction| {
            tx.open_table(META)?.insert(META_KEY, blob.as_slice())?;
            Ok(())
        };
        commit(&database, begin).unwrap();
        database.close().unwrap();
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused_and_not_a_byte_of_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        file_of(FORM + 1, &path);
        let before = std::fs::read(&path).unwrap();
        for _ in 0..2 {
            let error = open(&DiskFile::new(&path), Timestamp::EPOCH).err().unwrap();
            assert!(matches!(error, StoreError::Newer { found, .. } if found == FORM + 1));
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn whoever_waits_for_another_version_goes_on_without_the_file_until_it_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        file_of(FORM + 1, &path);
        let before = std::fs::read(&path).unwrap();
        let begun = Store::open_or_wait(
            DiskFile::new(&path),
            Limits::default(),
            Arc::new(SystemClock),
        );
        let (store, opened) = begun.unwrap();
        assert_eq!((opened, store.usable(), store.openings()), (None, false, 0));
        assert!(store.trouble().unwrap().contains("a newer foresail"));
        assert!(store.commit(&Batch::new()).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
        std::fs::remove_file(&path).unwrap();
        file_of(FORM, &path);
        let back = (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            store.usable()
        });
        assert!(back, "{:?}", store.trouble());
        assert_eq!((store.trouble(), store.openings()), (None, 1));
        store.close().unwrap();
    }

    #[test]
    fn a_file_of_this_version_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        file_of(FORM, &path);
        let (_, opened) = open(&DiskFile::new(&path), Timestamp::EPOCH).unwrap();
        assert_eq!(opened, Opened::Kept);
    }
}
