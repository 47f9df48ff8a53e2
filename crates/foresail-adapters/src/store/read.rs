//! What is read back: every record is checked against its sum before it is handed out.

use foresail_core::quantity::time::Timestamp;
use redb::{ReadTransaction, ReadableDatabase};

use super::Store;
use super::change::{read_block, read_intent};
use super::error::StoreError;
use super::file::guarded;
use super::keys;
use super::record::{Dated, Flight, Intent, Kind};
use super::tables::{
    DECISIONS, Failed, INPUTS, INTENTS, OF_OBJECTS, ROWS, SNAPSHOTS, all, between, readable,
};

impl Store {
    /// Reads in one view of the file.
    pub(super) fn read<T>(
        &self,
        what: &str,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Failed>,
    ) -> Result<T, StoreError> {
        let database = self.shared.lock_database();
        let Some(database) = database.as_ref() else {
            return Err(self.shared.unusable());
        };
        let file = || self.shared.medium.name();
        let damaged = |why| StoreError::Damaged {
            file: file(),
            what: what.to_owned(),
            why,
        };
        match guarded(|| work(&database.begin_read()?)) {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(Failed::Corrupted(why))) | Err(why) => Err(damaged(why)),
            Ok(Err(error)) => Err(StoreError::Io {
                file: file(),
                doing: "read",
                why: error.to_string(),
            }),
        }
    }

    /// The engine of an object as it was saved last, and what it was fed since.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be read or is damaged.
    pub fn flight(&self, uid: &str) -> Result<Flight, StoreError> {
        keys::check_uid(uid)?;
        let prefix = keys::of_object(uid);
        self.read("the engine", |read| {
            let mut flight = Flight::default();
            if let Some(table) = readable(read, SNAPSHOTS)? {
                // The key of a snapshot is the bare prefix, with nothing after it.
                let found = between(SNAPSHOTS, &table, &prefix, &prefix)?;
                flight.snapshot = found.into_iter().next().map(|(_, bytes)| bytes);
            }
            if let Some(table) = readable(read, INPUTS)? {
                let found = all(INPUTS, &table, &prefix)?;
                flight.inputs = found.into_iter().map(|(_, bytes)| bytes).collect();
            }
            Ok(flight)
        })
    }

    /// The last decisions of an object, newest last.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read or one is damaged.
    pub fn decisions(&self, uid: &str, most: usize) -> Result<Vec<Dated>, StoreError> {
        keys::check_uid(uid)?;
        let prefix = keys::of_object(uid);
        self.read("a decision", |read| {
            let Some(table) = readable(read, DECISIONS)? else {
                return Ok(Vec::new());
            };
            let found = all(DECISIONS, &table, &prefix)?;
            let skipped = found.len().saturating_sub(most);
            found
                .iter()
                .skip(skipped)
                .map(|(_, record)| dated(record))
                .collect()
        })
    }

    /// The intents of all objects that have no outcome yet.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read or one is damaged.
    pub fn open_intents(&self) -> Result<Vec<Intent>, StoreError> {
        let mut intents = self.intents_from(&[])?;
        intents.retain(|intent| intent.state.is_open());
        Ok(intents)
    }

    /// The intents of one object in the order of epoch and number.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read or one is damaged.
    pub fn intents(&self, uid: &str) -> Result<Vec<Intent>, StoreError> {
        keys::check_uid(uid)?;
        self.intents_from(&keys::of_object(uid))
    }

    fn intents_from(&self, prefix: &[u8]) -> Result<Vec<Intent>, StoreError> {
        self.read("an intent", |read| {
            let Some(table) = readable(read, INTENTS)? else {
                return Ok(Vec::new());
            };
            let found = all(INTENTS, &table, prefix)?;
            found
                .iter()
                .map(|(_, record)| read_intent(record))
                .collect()
        })
    }

    /// The rows of an object from one time to before another, in order.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read or a block is damaged.
    pub fn rows(
        &self,
        uid: &str,
        kind: Kind,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Dated>, StoreError> {
        keys::check_uid(uid)?;
        if from >= to {
            return Ok(Vec::new());
        }
        let (first, last) = (keys::block(uid, kind, from), keys::block(uid, kind, to));
        self.read("rows", |read| {
            let mut rows = Vec::new();
            let Some(table) = readable(read, ROWS)? else {
                return Ok(rows);
            };
            for (key, record) in between(ROWS, &table, &first, &last)? {
                let begin = keys::block_of(&key).map_or(from, |(_, begin)| begin);
                let block = read_block(&key, begin, Some(&record))?;
                let wanted = block.into_iter().filter(|(at, _)| (from..to).contains(at));
                rows.extend(wanted.map(|(at, bytes)| Dated { at, bytes }));
            }
            Ok(rows)
        })
    }

    /// Points of demand from one time to before another; gaps are points that are not there.
    ///
    /// # Errors
    /// As [`Store::rows`].
    pub fn demand(
        &self,
        uid: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Timestamp, f64)>, StoreError> {
        let rows = self.rows(uid, Kind::Demand, from, to)?;
        let point = |row: Dated| {
            let bytes: [u8; 4] = row.bytes.try_into().ok()?;
            Some((row.at, f64::from(f32::from_le_bytes(bytes))))
        };
        let damaged = || StoreError::Damaged {
            file: self.shared.medium.name(),
            what: "a point of demand".to_owned(),
            why: "it is no number".to_owned(),
        };
        let points: Option<Vec<_>> = rows.into_iter().map(point).collect();
        points.ok_or_else(damaged)
    }

    /// Every object of which anything is kept, sorted.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn uids(&self) -> Result<Vec<String>, StoreError> {
        self.read("a key", |read| {
            let mut uids = Vec::new();
            for definition in OF_OBJECTS {
                let Some(table) = readable(read, definition)? else {
                    continue;
                };
                // From one object to the next, past all of its records.
                let mut from = Vec::new();
                while let Some(entry) = table.range(from.as_slice()..)?.next() {
                    let (key, _) = entry?;
                    let Some(uid) = keys::object(key.value()) else {
                        return Err(Failed::Corrupted("it has no object".to_owned()));
                    };
                    uids.push(uid.to_owned());
                    from = keys::span(&keys::of_object(uid)).1;
                }
            }
            uids.sort();
            uids.dedup();
            Ok(uids)
        })
    }
}

/// A record with its time in front.
pub(super) fn dated(record: &[u8]) -> Result<Dated, Failed> {
    let Some((at, bytes)) = record.split_first_chunk::<8>() else {
        return Err(Failed::Corrupted("it has no time".to_owned()));
    };
    Ok(Dated {
        at: Timestamp::from_nanos(i64::from_le_bytes(*at)),
        bytes: bytes.to_vec(),
    })
}
