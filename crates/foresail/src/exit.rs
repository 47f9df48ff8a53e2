//! Exit codes, one meaning each.

use std::process::ExitCode;

use foresail_adapters::workflow::SystemError;

/// What a command came to. Source of the numbers: kubectl's and diff's habits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Done.
    Done = 0,
    /// The answer is no: a difference, a failed gate.
    No = 1,
    /// Wrong usage, configuration or input.
    Usage = 2,
    /// A source of data is not reachable.
    Unreachable = 3,
    /// Not enough data.
    TooLittleData = 4,
    /// What was named is not there.
    NotFound = 5,
    /// Somebody else has changed it, or scales the same target.
    Conflict = 6,
    /// Not permitted.
    Forbidden = 7,
    /// What was waited for did not come in time.
    Timeout = 8,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// An error that carries its exit code; every other error means [`Code::Usage`].
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Coded {
    /// The exit code.
    pub code: Code,
    /// What went wrong and what to do.
    pub message: String,
}

/// `true` where what failed was ended on the way, because somebody asked for the end.
#[must_use]
pub fn is_stopped(error: &anyhow::Error) -> bool {
    let mut each = error
        .chain()
        .filter_map(|e| e.downcast_ref::<SystemError>());
    each.any(|e| e.stopped)
}

/// The exit code of an error.
#[must_use]
pub fn code_of(error: &anyhow::Error) -> Code {
    if is_stopped(error) {
        return Code::Interrupted;
    }
    error
        .chain()
        .find_map(|e| e.downcast_ref::<Coded>())
        .map_or(Code::Usage, |c| c.code)
}
