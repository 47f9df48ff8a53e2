//! The tables, and what one change does to them.

use redb::{
    AccessGuard, Database, Durability, ReadOnlyTable, ReadTransaction, ReadableTable, Table,
    TableDefinition, TableError, TableHandle, WriteTransaction,
};

use super::blob::{self, BlobError, Packed};
use super::keys;

/// Keys and values of every table are bare bytes.
pub(super) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// A table that is read.
pub(super) type Readable = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A key and the record that lies there.
pub(super) type Found = (Vec<u8>, Vec<u8>);

/// What form the file has.
pub(super) const META: Definition = TableDefinition::new("meta");
/// The only key of [`META`].
pub(super) const META_KEY: &[u8] = b"form";
/// Engines as they were saved, one an object.
pub(super) const SNAPSHOTS: Definition = TableDefinition::new("snapshots");
/// What an engine was fed since, counted.
pub(super) const INPUTS: Definition = TableDefinition::new("inputs");
/// Decisions, counted.
pub(super) const DECISIONS: Definition = TableDefinition::new("decisions");
/// Intents, by epoch and number.
pub(super) const INTENTS: Definition = TableDefinition::new("intents");
/// Blocks of rows, by kind and time.
pub(super) const ROWS: Definition = TableDefinition::new("rows");

/// All that belongs to objects.
pub(super) const OF_OBJECTS: [Definition; 5] = [SNAPSHOTS, INPUTS, DECISIONS, INTENTS, ROWS];

/// A failure of the database in a transaction.
pub(super) type Failed = redb::Error;

/// A blob of a table is not what was written.
pub(super) fn damaged(table: Definition, key: &[u8], error: &BlobError) -> Failed {
    let object = keys::object(key).unwrap_or("an unknown object");
    Failed::Corrupted(format!("{} of {object}: {error}", table.name()))
}

/// Writes in one transaction that is on disk when this returns.
///
/// # Errors
/// What the database says; whether anything was written is then not known.
pub(super) fn commit<T>(
    database: &Database,
    work: impl FnOnce(&WriteTransaction) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let mut transaction = database.begin_write()?;
    // One phase may take a torn page for a whole commit if an adversary wrote it; two never do.
    transaction.set_two_phase_commit(true);
    transaction.set_durability(Durability::Immediate)?;
    let worked = work(&transaction)?;
    transaction.commit()?;
    Ok(worked)
}

/// A table that is being written, with its name for the sums.
pub(super) struct Open<'t> {
    definition: Definition,
    table: Table<'t, &'static [u8], &'static [u8]>,
}

impl<'t> Open<'t> {
    pub(super) fn new(tx: &'t WriteTransaction, definition: Definition) -> Result<Self, Failed> {
        Ok(Self {
            definition,
            table: tx.open_table(definition)?,
        })
    }

    pub(super) fn put(&mut self, key: &[u8], record: &Packed) -> Result<(), Failed> {
        let blob = blob::seal(self.definition.name(), key, record);
        self.table.insert(key, blob.as_slice())?;
        Ok(())
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        let found = self.table.get(key)?;
        found
            .map(|blob| open_blob(self.definition, key, &blob))
            .transpose()
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Result<(), Failed> {
        self.table.remove(key)?;
        Ok(())
    }

    /// The last key that begins with `prefix` and comes before `below`.
    pub(super) fn last_key(
        &self,
        prefix: &[u8],
        below: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, Failed> {
        let (first, last) = keys::span(prefix);
        let mut range = match below {
            Some(below) => self.table.range(first.as_slice()..below)?,
            None => self.table.range(first.as_slice()..=last.as_slice())?,
        };
        let found = range.next_back().transpose()?;
        Ok(found.map(|(key, _)| key.value().to_vec()))
    }

    /// The first key that begins with `prefix`.
    pub(super) fn first_key(&self, prefix: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        let (first, last) = keys::span(prefix);
        let found = self.table.range(first.as_slice()..=last.as_slice())?.next();
        Ok(found.transpose()?.map(|(key, _)| key.value().to_vec()))
    }

    /// All records whose keys begin with `prefix`.
    pub(super) fn all(&self, prefix: &[u8]) -> Result<Vec<Found>, Failed> {
        all(self.definition, &self.table, prefix)
    }

    /// Takes away all records whose keys begin with `prefix`.
    pub(super) fn remove_all(&mut self, prefix: &[u8]) -> Result<(), Failed> {
        let (first, last) = keys::span(prefix);
        self.table
            .retain_in(first.as_slice()..=last.as_slice(), |_, _| false)?;
        Ok(())
    }
}

fn open_blob(
    definition: Definition,
    key: &[u8],
    blob: &AccessGuard<'_, &'static [u8]>,
) -> Result<Vec<u8>, Failed> {
    blob::unseal(definition.name(), key, blob.value()).map_err(|e| damaged(definition, key, &e))
}

/// Records of a table whose keys begin with `prefix`, in the keys' order.
pub(super) fn all(
    definition: Definition,
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    prefix: &[u8],
) -> Result<Vec<Found>, Failed> {
    let (first, last) = keys::span(prefix);
    between(definition, table, &first, &last)
}

/// Records of a table from one key to another, both included.
pub(super) fn between(
    definition: Definition,
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    first: &[u8],
    last: &[u8],
) -> Result<Vec<Found>, Failed> {
    let mut found = Vec::new();
    for entry in table.range(first..=last)? {
        let (key, blob) = entry?;
        let record = open_blob(definition, key.value(), &blob)?;
        found.push((key.value().to_vec(), record));
    }
    Ok(found)
}

/// A table for reading; `None` where nothing was ever written to it.
pub(super) fn readable(
    read: &ReadTransaction,
    definition: Definition,
) -> Result<Option<Readable>, Failed> {
    match read.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
