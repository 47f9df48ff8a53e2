//! The controller's own memory: one file that loses nothing that was acknowledged.
//!
//! Engines as they were saved with what they were fed since, decisions, intents, demand, and rows
//! for the score. Blobs only (`blob.rs`), written by one thread that commits in groups
//! (`writer.rs`), in two phases and durably, and checked as a whole when the file is opened
//! (`file.rs`). A caller is answered when his batch is on disk; the calls wait, so that they belong
//! on a blocking thread.
//!
//! Without the store nothing becomes unsafe: who cannot write here may still scale up.
//! Invariant: after any crash what was acknowledged is there, in order, once, and as it was; a file
//! that is not whole is put aside and told, never read.

mod blob;
mod block;
mod change;
mod compact;
mod error;
mod file;
mod keys;
mod medium;
mod read;
mod record;
mod tables;
mod writer;

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;

use redb::Database;

pub use blob::{FORM, RECORD_BYTES_MAX};
pub use change::Batch;
pub use error::{Refusal, StoreError};
pub use file::Opened;
pub use medium::{DiskFile, Medium};
pub use record::{Compaction, Dated, Flight, Intent, IntentState, Kind, Limits};

use crate::clock::Clock;
use writer::{Message, Writer};

/// Batches that wait for the writer; whoever comes then waits as well.
const WAITING_MAX: usize = 1024;

/// What became of the file while it was in use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// It failed and was closed, with the reason.
    Failed(String),
    /// It is open again, and nothing is lost.
    Back,
    /// It is open again, but what was in it is not there.
    Lost(Opened),
}

/// What went wrong, and what is to be told.
#[derive(Debug, Default)]
struct State {
    trouble: Option<String>,
    notices: Vec<Notice>,
    /// How often the file was opened.
    openings: u64,
    /// What was found last that is not ours or not whole: where it lies, and why.
    set_aside: Option<String>,
}

impl State {
    /// The file is open, and was found like this.
    fn opened(&mut self, opened: &Opened) {
        self.trouble = None;
        self.openings += 1;
        if let Opened::SetAside { to, why } = opened {
            self.set_aside = Some(format!("{to}: {why}"));
        }
    }
}

/// What the writer and those who read share.
#[derive(Debug)]
struct Shared {
    database: RwLock<Option<Database>>,
    state: Mutex<State>,
    medium: Box<dyn Medium>,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unusable(&self) -> StoreError {
        let trouble = self.state().trouble.clone();
        StoreError::Unusable {
            file: self.medium.name(),
            why: trouble.unwrap_or_else(|| "it is closed".to_owned()),
        }
    }

    fn tell_trouble(&self, why: String) {
        let mut state = self.state();
        if state.trouble.is_none() {
            state.notices.push(Notice::Failed(why.clone()));
        }
        state.trouble = Some(why);
    }
}

/// The store; a clone is the same store. The file is closed when the last one goes.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
    outbox: SyncSender<Message>,
}

/// The answer to a batch, once it is there.
#[derive(Debug)]
pub struct Receipt {
    answer: Receiver<Result<(), StoreError>>,
    gone: StoreError,
}

impl Receipt {
    /// Waits until the batch is on disk.
    ///
    /// # Errors
    /// [`StoreError`]: after [`StoreError::Refused`] and [`StoreError::Unusable`] nothing was
    /// written, after [`StoreError::Io`] that is not known.
    pub fn wait(self) -> Result<(), StoreError> {
        self.answer.recv().unwrap_or(Err(self.gone))
    }
}

impl Store {
    /// Opens what is there, or begins anew, and tells which.
    ///
    /// Where the system refuses (no space, an error of the disk), the store comes back unusable and
    /// tries by itself; [`Store::usable`] tells, and [`Opened`] is missing.
    ///
    /// # Errors
    /// [`StoreError::InUse`] and [`StoreError::Newer`], which somebody must mend.
    pub fn open(
        medium: impl Medium,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Option<Opened>), StoreError> {
        let io = |error: &StoreError| matches!(error, StoreError::Io { .. });
        Self::begin(medium, limits, clock, io)
    }

    /// As [`Store::open`], but where a newer version wrote the file the store comes back unusable
    /// too: not a byte of it is changed, and it is looked at again by itself.
    ///
    /// # Errors
    /// [`StoreError::InUse`].
    pub fn open_or_wait(
        medium: impl Medium,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Option<Opened>), StoreError> {
        let waits =
            |error: &StoreError| matches!(error, StoreError::Io { .. } | StoreError::Newer { .. });
        Self::begin(medium, limits, clock, waits)
    }

    /// Opens what is there; an error that is waited for leaves the store unusable.
    fn begin(
        medium: impl Medium,
        limits: Limits,
        clock: Arc<dyn Clock>,
        waits: impl Fn(&StoreError) -> bool,
    ) -> Result<(Self, Option<Opened>), StoreError> {
        let (database, opened, trouble) = match file::open(&medium, clock.wall()) {
            Ok((database, opened)) => (Some(database), Some(opened), None),
            Err(error) if waits(&error) => (None, None, Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let shared = Arc::new(Shared {
            database: RwLock::new(database),
            state: Mutex::default(),
            medium: Box::new(medium),
            clock,
            limits,
        });
        if let Some(why) = trouble {
            shared.tell_trouble(why);
        }
        if let Some(opened) = &opened {
            shared.state().opened(opened);
        }
        let (outbox, inbox) = mpsc::sync_channel(WAITING_MAX);
        let writer = Writer::new(Arc::clone(&shared), inbox);
        let spawned = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run());
        spawned.map_err(|error| StoreError::Io {
            file: shared.medium.name(),
            doing: "begin to write",
            why: error.to_string(),
        })?;
        Ok((Self { shared, outbox }, opened))
    }

    /// Hands a batch to the writer; the receipt tells when it is on disk.
    #[must_use = "only the receipt tells whether the batch is on disk"]
    pub fn post(&self, batch: &Batch) -> Receipt {
        let (reply, answer) = mpsc::sync_channel(1);
        // Where the writer is gone, the reply goes with the message, and the receipt tells.
        let _ = self.outbox.send(Message::Write(batch.clone(), reply));
        Receipt {
            answer,
            gone: self.shared.unusable(),
        }
    }

    /// Hands over a batch for which nobody waits: it is on disk a second later, or with the next one that
    /// somebody waits for. The order stays, so that what is on disk is always a beginning of what was
    /// handed over.
    pub fn post_later(&self, batch: Batch) {
        // Where the writer is gone, so is the store: `usable` tells.
        let _ = self.outbox.send(Message::Later(batch));
    }

    /// Writes a batch, and waits until it is on disk.
    ///
    /// # Errors
    /// As [`Receipt::wait`].
    pub fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.post(batch).wait()
    }

    /// `false` while nothing can be read or written.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.shared.lock_database().is_some()
    }

    /// Why nothing can be read or written, while that is so.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.shared.state().trouble.clone();
        trouble.filter(|_| !self.usable())
    }

    /// Where what was found last lies that was damaged or not ours, and what is wrong with it.
    #[must_use]
    pub fn set_aside(&self) -> Option<String> {
        self.shared.state().set_aside.clone()
    }

    /// How often the file was opened. Where this grew, what was handed in before and not
    /// acknowledged may be missing.
    #[must_use]
    pub fn openings(&self) -> u64 {
        self.shared.state().openings
    }

    /// What became of the file since this was asked last, in order.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.shared.state().notices)
    }

    /// Writes all that was handed in, and closes the file for every clone.
    ///
    /// # Errors
    /// [`StoreError::Io`] where closing fails; what was acknowledged is on disk nevertheless.
    pub fn close(self) -> Result<(), StoreError> {
        let (reply, answer) = mpsc::sync_channel(1);
        // Where the writer is gone, the file is closed.
        let _ = self.outbox.send(Message::Close(reply));
        answer.recv().unwrap_or(Ok(()))
    }
}
