//! Exit codes, one meaning each.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use foresail_adapters::io::TraceError;

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
    /// Not permitted.
    Forbidden = 7,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// An error that carries its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Coded {
    /// The exit code.
    pub code: Code,
    /// What went wrong and what to do.
    pub message: String,
}

/// The exit code of an error: its own, or what its causes tell.
#[must_use]
pub fn code_of(error: &anyhow::Error) -> Code {
    let own = error.chain().find_map(|e| e.downcast_ref::<Coded>());
    match own {
        Some(coded) => coded.code,
        None if error.chain().any(is_not_found) => Code::NotFound,
        None => Code::Usage,
    }
}

/// `true` where a file that was to be read is not there.
fn is_not_found(error: &(dyn Error + 'static)) -> bool {
    let of_system = error.downcast_ref::<io::Error>();
    let of_trace = error.downcast_ref::<TraceError>();
    of_system.is_some_and(|e| e.kind() == io::ErrorKind::NotFound)
        || of_trace.is_some_and(TraceError::is_not_found)
}
