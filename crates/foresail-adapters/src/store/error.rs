//! Why the store did not do what it was asked for.

/// Why the store did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another handle of this one, has the file.
    #[error("{file} is in use by another process: end that one, or give another file")]
    InUse {
        /// Which file.
        file: String,
    },
    /// Written by a version that is newer than this one; such a file is never written.
    #[error(
        "{file} was written by a newer foresail (form {found}; this one knows up to {known}): use that version, or give another file. Nothing was written"
    )]
    Newer {
        /// Which file.
        file: String,
        /// The form of its blobs.
        found: u16,
        /// The newest that this version knows.
        known: u16,
    },
    /// The system refused; whether what was to be written is in the file is not known.
    #[error("cannot {doing} {file}: {why}. Free some space or mend the disk; it is tried again")]
    Io {
        /// Which file.
        file: String,
        /// What was tried.
        doing: &'static str,
        /// Why, in the system's words.
        why: String,
    },
    /// Closed after a failure until the next try succeeds; nothing was written.
    #[error("{file} cannot be used at present: {why}. It is tried again by itself")]
    Unusable {
        /// Which file.
        file: String,
        /// What went wrong last.
        why: String,
    },
    /// A record that is not what was written.
    #[error("{what} in {file} is damaged: {why}. Restart, so that the whole file is checked")]
    Damaged {
        /// Which file.
        file: String,
        /// Which record.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The batch breaks a rule of the store; nothing of it was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Which rule of the store a batch breaks. Nothing of such a batch is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No name for an object.
    #[error("`{0}` is no uid: it must have 1 to 128 characters of printable ASCII")]
    Uid(String),
    /// Larger than the store takes.
    #[error("a record of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most.
        limit: usize,
    },
    /// A gap is a row that is not there, never a number.
    #[error("a demand of {0} is no number that is kept: leave the point out, so that it is a gap")]
    Demand(String),
    /// The object's last write is not known to have come or not.
    #[error("{uid}: the intent {id} has no outcome yet: read the target back before a new one")]
    Unresolved {
        /// Which object.
        uid: String,
        /// The intent that is open.
        id: String,
    },
    /// Intents of an object count upwards.
    #[error("{uid}: the intent {id} is not after the last one, of epoch {epoch} and number {seq}")]
    NotAfter {
        /// Which object.
        uid: String,
        /// The intent that is refused.
        id: String,
        /// The epoch of the last one.
        epoch: u64,
        /// The number of the last one.
        seq: u64,
    },
    /// Nothing to settle.
    #[error("{uid}: there is no open intent {id}")]
    NoSuchIntent {
        /// Which object.
        uid: String,
        /// Which intent.
        id: String,
    },
    /// An outcome is needed to settle.
    #[error("{uid}: an intent cannot be settled as open")]
    SettledAsOpen {
        /// Which object.
        uid: String,
    },
}
