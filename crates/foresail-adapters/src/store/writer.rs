//! The one thread that writes: it gathers what comes in and commits it together.
//!
//! A commit waits for the disk twice, so that 20 of them a second are the most; whoever asked is
//! answered only once his batch is on disk. After a failure the database refuses everything until it
//! is closed: it is closed, and opened again after a while, by itself.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, PoisonError, RwLockReadGuard};
use std::time::Duration;

use redb::Database;

use super::change::{Batch, Tables};
use super::error::StoreError;
use super::file::{self, Opened, guarded};
use super::tables::{Failed, commit};
use super::{Notice, Shared};

/// The least time from one commit to the next.
const COMMIT_EVERY: Duration = Duration::from_millis(50);

/// How long batches wait for company for which nobody waits: a commit costs the same for one and for many.
const LATER: Duration = Duration::from_secs(1);

/// Batches of one commit.
const GROUP_MAX: usize = 1024;

/// How long an unusable store is left alone at first; twice as long after each try.
const REOPEN_FIRST: Duration = Duration::from_millis(500);

/// The longest time between two tries, so that it is back within 30 s after the cause is gone.
const REOPEN_MAX: Duration = Duration::from_secs(15);

/// Whoever waits for an answer.
pub(super) type Reply = SyncSender<Result<(), StoreError>>;

/// A batch, and whoever waits for it.
type Waiting = (Batch, Option<Reply>);

/// What the writer is asked for.
pub(super) enum Message {
    /// Write this.
    Write(Batch, Reply),
    /// Write this within a second.
    Later(Batch),
    /// Write what came before, close the file, and end.
    Close(Reply),
}

/// The writer's own state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    inbox: Receiver<Message>,
    /// When the last commit began.
    committed: Option<Duration>,
    /// When an unusable store is tried again, and how long after that.
    again: Option<(Duration, Duration)>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, inbox: Receiver<Message>) -> Self {
        let now = shared.clock.mono();
        let is_open = shared.lock_database().is_some();
        Self {
            shared,
            inbox,
            committed: None,
            again: (!is_open).then_some((now + REOPEN_FIRST, REOPEN_FIRST)),
        }
    }

    /// Writes until everybody is gone or one says so.
    pub(super) fn run(mut self) {
        let closing = loop {
            let first = match self.next() {
                Ok(Message::Write(batch, reply)) => (batch, Some(reply)),
                Ok(Message::Later(batch)) => (batch, None),
                Ok(Message::Close(reply)) => break Some(reply),
                Err(RecvTimeoutError::Timeout) => {
                    self.reopen_when_due();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break None,
            };
            let (group, closing) = self.gather(first);
            self.write(group);
            if closing.is_some() {
                break closing;
            }
        };
        let closed = self.shared.close();
        if let Some(reply) = closing {
            // Who asked may have gone meanwhile.
            let _ = reply.send(closed);
        }
    }

    /// The next message; a time-out when an unusable store is to be tried.
    fn next(&mut self) -> Result<Message, RecvTimeoutError> {
        match self.again {
            None => self
                .inbox
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
            Some((when, _)) => {
                let left = when.saturating_sub(self.shared.clock.mono());
                self.inbox.recv_timeout(left)
            }
        }
    }

    /// All that comes in until the next commit may begin.
    fn gather(&mut self, first: Waiting) -> (Vec<Waiting>, Option<Reply>) {
        let soon = self
            .committed
            .map_or(Duration::ZERO, |begun| begun + COMMIT_EVERY);
        let mut due = match first.1 {
            Some(_) => soon,
            None => soon.max(self.shared.clock.mono() + LATER),
        };
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            let left = due.saturating_sub(self.shared.clock.mono());
            match self.inbox.recv_timeout(left) {
                Ok(Message::Write(batch, reply)) => {
                    group.push((batch, Some(reply)));
                    due = soon;
                }
                Ok(Message::Later(batch)) => group.push((batch, None)),
                Ok(Message::Close(reply)) => return (group, Some(reply)),
                Err(_) => break,
            }
        }
        (group, None)
    }

    fn write(&mut self, group: Vec<Waiting>) {
        self.reopen_when_due();
        self.committed = Some(self.shared.clock.mono());
        let (batches, replies): (Vec<Batch>, Vec<Option<Reply>>) = group.into_iter().unzip();
        let answers = self
            .commit(&batches)
            .unwrap_or_else(|error| vec![Err(error); batches.len()]);
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Who asked may have gone meanwhile.
            let _ = reply.map(|reply| reply.send(answer));
        }
    }

    /// Commits a group; the answers of its batches once all is on disk.
    fn commit(&mut self, batches: &[Batch]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let limits = self.shared.limits;
        let written = {
            let database = self.shared.lock_database();
            let Some(database) = database.as_ref() else {
                return Err(self.shared.unusable());
            };
            guarded(|| {
                commit(database, |transaction| {
                    let mut tables = Tables::open(transaction, limits)?;
                    batches
                        .iter()
                        .map(|batch| tables.take(batch))
                        .collect::<Result<Vec<_>, _>>()
                })
            })
        };
        match written {
            Ok(Ok(taken)) => Ok(taken
                .into_iter()
                .map(|t| t.map_err(StoreError::from))
                .collect()),
            Ok(Err(error)) => Err(self.give_up(&error.to_string())),
            Err(panic) => Err(self.give_up(&panic)),
        }
    }

    /// Closes the file after a failure, so that it can be opened again.
    fn give_up(&mut self, why: &str) -> StoreError {
        // Its own failure says nothing that the first does not.
        let _ = self.shared.close();
        self.shared.tell_trouble(why.to_owned());
        self.again = Some((self.shared.clock.mono() + REOPEN_FIRST, REOPEN_FIRST));
        StoreError::Io {
            file: self.shared.medium.name(),
            doing: "write",
            why: why.to_owned(),
        }
    }

    fn reopen_when_due(&mut self) {
        let Some((when, pause)) = self.again else {
            return;
        };
        if self.shared.clock.mono() < when {
            return;
        }
        self.again = match self.shared.reopen() {
            Ok(()) => None,
            Err(error) => {
                self.shared.tell_trouble(error.to_string());
                let pause = (pause * 2).min(REOPEN_MAX);
                Some((self.shared.clock.mono() + pause, pause))
            }
        };
    }
}

impl Shared {
    /// The database for as long as the guard lives; `None` while it is closed.
    pub(super) fn lock_database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) -> Result<(), StoreError> {
        let taken = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(database) = taken else {
            return Ok(());
        };
        let why = match guarded(|| database.close()) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => Failed::from(error).to_string(),
            Err(panic) => panic,
        };
        Err(StoreError::Io {
            file: self.medium.name(),
            doing: "close",
            why,
        })
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let (database, opened) = file::open(self.medium.as_ref(), self.clock.wall())?;
        *self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(database);
        let mut state = self.state();
        state.opened(&opened);
        state.notices.push(match opened {
            Opened::Kept => Notice::Back,
            other => Notice::Lost(other),
        });
        Ok(())
    }
}
