//! What is too old goes, and where all is too much, the oldest rows go first.
//!
//! Intents and snapshots stay: they are bounded by their number. What goes is looked for in a view
//! of the file beside the writer, and taken away in small batches, so that nobody waits long.

use std::collections::BTreeMap;

use foresail_core::quantity::time::{Span, Timestamp};
use redb::{ReadTransaction, ReadableTable, TableHandle};

use super::Store;
use super::blob;
use super::change::{Batch, Change};
use super::error::StoreError;
use super::keys;
use super::read::dated;
use super::record::{Compaction, Limits};
use super::tables::{DECISIONS, Definition, Failed, OF_OBJECTS, ROWS, damaged, readable};

/// Records that one batch takes away.
const KEYS_PER_BATCH: usize = 2000;

/// Bytes that the database needs beside key and value of a record, roughly.
const OVERHEAD_BYTES: u64 = 8;

/// What is to go, by table, and what is left then.
#[derive(Default)]
struct Sweep {
    old: Vec<(Definition, Vec<u8>)>,
    /// Blocks of rows that are not too old: begin of the block, its key, its size.
    blocks: BTreeMap<(Timestamp, Vec<u8>), u64>,
    bytes: u64,
}

impl Store {
    /// Takes away what is older than the limits allow at `now`, and the oldest rows of all where
    /// the records take more than [`Limits::bytes_max`].
    ///
    /// Units: bytes of keys and values as they lie in the file. The file itself does not shrink: its
    /// free pages are used again.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be read or written; what is gone by then stays gone.
    pub fn compact(&self, now: Timestamp) -> Result<Compaction, StoreError> {
        let limits = self.shared.limits;
        let mut sweep = self.read("a record", |read| Sweep::of(read, now, limits))?;
        let rows_cut_before = sweep.cut(limits.bytes_max);
        let compaction = Compaction {
            removed: sweep.old.len(),
            kept_bytes: sweep.bytes,
            rows_cut_before,
        };
        for part in sweep.old.chunks(KEYS_PER_BATCH) {
            self.commit(&removal(part))?;
        }
        Ok(compaction)
    }
}

fn removal(part: &[(Definition, Vec<u8>)]) -> Batch {
    let of = |table: Definition| {
        let of_table = part.iter().filter(|(t, _)| t.name() == table.name());
        of_table.map(|(_, key)| key.clone()).collect()
    };
    let mut batch = Batch::new();
    batch.changes.push(Change::Remove {
        decisions: of(DECISIONS),
        rows: of(ROWS),
    });
    batch
}

impl Sweep {
    /// Gives up the oldest blocks until the rest fits, those of one time together, so that no object
    /// keeps a longer past than another; tells where the rest begins.
    fn cut(&mut self, bytes_max: u64) -> Option<Timestamp> {
        let mut cut = None;
        while self.bytes > bytes_max
            && let Some(((oldest, _), _)) = self.blocks.first_key_value()
        {
            let oldest = *oldest;
            let after = (oldest + Span::from_nanos(1), Vec::new());
            let rest = self.blocks.split_off(&after);
            for ((_, key), size) in std::mem::replace(&mut self.blocks, rest) {
                self.bytes = self.bytes.saturating_sub(size);
                self.old.push((ROWS, key));
            }
            let begins = self.blocks.first_key_value().map(|((begin, _), _)| *begin);
            cut = Some(begins.unwrap_or(oldest));
        }
        cut
    }

    fn of(read: &ReadTransaction, now: Timestamp, limits: Limits) -> Result<Self, Failed> {
        let mut sweep = Self::default();
        for definition in OF_OBJECTS {
            let Some(table) = readable(read, definition)? else {
                continue;
            };
            for entry in table.iter()? {
                let (key, blob) = entry?;
                let size = (key.value().len() + blob.value().len()) as u64 + OVERHEAD_BYTES;
                sweep.see(definition, key.value(), blob.value(), size, (now, limits))?;
            }
        }
        Ok(sweep)
    }

    fn see(
        &mut self,
        definition: Definition,
        key: &[u8],
        blob: &[u8],
        size: u64,
        (now, limits): (Timestamp, Limits),
    ) -> Result<(), Failed> {
        if definition.name() == DECISIONS.name() {
            let record = blob::unseal(definition.name(), key, blob)
                .map_err(|error| damaged(definition, key, &error))?;
            if dated(&record)?.at < now - limits.decisions_age {
                self.old.push((definition, key.to_vec()));
                return Ok(());
            }
        }
        if definition.name() == ROWS.name()
            && let Some((kind, begin)) = keys::block_of(key)
        {
            if begin + kind.block() <= now - limits.rows_age {
                self.old.push((definition, key.to_vec()));
                return Ok(());
            }
            self.blocks.insert((begin, key.to_vec()), size);
        }
        self.bytes += size;
        Ok(())
    }
}
