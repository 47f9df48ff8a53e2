//! A disk of a test's own: it can lose what was not synced, run full, fail, and be damaged.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses a part of it"
)]

use std::collections::BTreeMap;
use std::io::{self, Error, ErrorKind};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use foresail_adapters::store::Medium;
use foresail_core::quantity::time::Timestamp;
use redb::{BackendError, Builder, Database, DatabaseError, ReadOnlyDatabase, StorageBackend};

/// Bytes that a disk writes at once.
const SECTOR: usize = 512;

/// What the disk holds and does.
#[derive(Clone, Debug, Default)]
pub struct Plate {
    /// What is read at present.
    pub bytes: Vec<u8>,
    /// What would be there after a loss of power, if nothing since were kept.
    pub synced: Vec<u8>,
    /// Writes since the last sync, in order: where and what; a length alone is a cut or a growth.
    unsynced: Vec<(usize, Vec<u8>, usize)>,
    /// Writes, cuts and syncs so far.
    pub operations: u64,
    /// The operation before which the power goes.
    pub power_until: Option<u64>,
    /// The most bytes; beyond, there is no space.
    pub space: Option<usize>,
    /// Everything that writes fails with this.
    pub broken: Option<i32>,
    /// Syncs say that they are done and are not.
    pub lying: bool,
    /// What was put aside.
    pub aside: BTreeMap<String, Vec<u8>>,
    locked: bool,
}

/// A disk; a clone is the same one.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Plate>>);

impl Disk {
    pub fn holding(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.plate().synced.clone_from(&bytes);
        disk.plate().bytes = bytes;
        disk
    }

    pub fn plate(&self) -> MutexGuard<'_, Plate> {
        self.0.lock().unwrap()
    }

    /// What is there after the power came back: of what was not synced any part, sector by sector,
    /// as `keep` chooses.
    pub fn after_power_loss(&self, mut keep: impl FnMut() -> bool) -> Self {
        let plate = self.plate();
        let mut bytes = plate.synced.clone();
        for (offset, data, length) in &plate.unsynced {
            if keep() {
                bytes.resize(*length, 0);
            }
            for (i, sector) in data.chunks(SECTOR).enumerate() {
                let from = offset + i * SECTOR;
                if keep() {
                    bytes.resize(bytes.len().max(from + sector.len()), 0);
                    bytes[from..from + sector.len()].copy_from_slice(sector);
                }
            }
        }
        Self::holding(bytes)
    }
}

impl Plate {
    fn operate(&mut self) -> io::Result<()> {
        if self.power_until.is_some_and(|last| self.operations >= last) {
            return Err(Error::other("the power is gone"));
        }
        self.operations += 1;
        self.broken
            .map_or(Ok(()), |code| Err(Error::from_raw_os_error(code)))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.plate().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let plate = self.plate();
        let offset = offset as usize;
        let found = plate.bytes.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut plate = self.plate();
        plate.operate()?;
        let len = len as usize;
        if plate.space.is_some_and(|space| len > space) {
            return Err(Error::from_raw_os_error(28));
        }
        plate.bytes.resize(len, 0);
        plate.unsynced.push((0, Vec::new(), len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut plate = self.plate();
        plate.operate()?;
        if !plate.lying {
            plate.synced = plate.bytes.clone();
            plate.unsynced.clear();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut plate = self.plate();
        plate.operate()?;
        let offset = offset as usize;
        if plate.space.is_some_and(|space| offset + data.len() > space) {
            return Err(Error::from_raw_os_error(28));
        }
        let length = plate.bytes.len().max(offset + data.len());
        plate.bytes.resize(length, 0);
        plate.bytes[offset..offset + data.len()].copy_from_slice(data);
        plate.unsynced.push((offset, data.to_vec(), length));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.plate().locked = false;
        Ok(())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Err(BackendError::Unsupported)
    }
}

impl Medium for Disk {
    fn name(&self) -> String {
        "the disk".to_owned()
    }

    fn is_there(&self) -> io::Result<bool> {
        Ok(!self.plate().bytes.is_empty())
    }

    fn look(&self, builder: &Builder) -> Result<ReadOnlyDatabase, DatabaseError> {
        builder.open_read_only_with_backend(self.clone())
    }

    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create_with_backend(self.clone())
    }

    fn set_aside(&self, at: Timestamp) -> io::Result<String> {
        let mut plate = self.plate();
        plate.operate()?;
        let name = format!("the disk.corrupt-{at}");
        let bytes = std::mem::take(&mut plate.bytes);
        plate.synced.clear();
        plate.unsynced.clear();
        plate.aside.insert(name.clone(), bytes);
        Ok(name)
    }
}

/// Chance that is the same in every run: SplitMix64.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, most: u64) -> u64 {
        self.roll() % most.max(1)
    }
}
