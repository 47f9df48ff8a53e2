//! The clock of the process.

use std::sync::Arc;

use foresail_adapters::clock::{Clock, SystemClock};

/// The system's clock. A build with debug assertions, never a release, takes a wrong time of day from
/// the file that a variable names: tests of the whole process have no other way to move it.
pub(crate) fn of_process() -> Arc<dyn Clock> {
    #[cfg(debug_assertions)]
    if let Some(file) = std::env::var_os(shifted::SHIFT) {
        return Arc::new(shifted::ShiftedClock::new(file.into()));
    }
    Arc::new(SystemClock)
}

#[cfg(debug_assertions)]
mod shifted {
    use std::path::PathBuf;
    use std::time::Duration;

    use foresail_adapters::clock::{Clock, SystemClock};
    use foresail_core::quantity::time::{Span, Timestamp};

    /// The variable with the file's name.
    pub(super) const SHIFT: &str = "FORESAIL_TEST_CLOCK";

    /// The system's clock whose time of day is off by the whole seconds that stand in a file, read
    /// each time; by none where they cannot be read.
    #[derive(Debug)]
    pub(super) struct ShiftedClock {
        file: PathBuf,
    }

    impl ShiftedClock {
        pub(super) fn new(file: PathBuf) -> Self {
            Self { file }
        }
    }

    impl Clock for ShiftedClock {
        fn mono(&self) -> Duration {
            SystemClock.mono()
        }

        fn wall(&self) -> Timestamp {
            let text = std::fs::read_to_string(&self.file).unwrap_or_default();
            let seconds = text.trim().parse().unwrap_or(0);
            SystemClock.wall() + Span::from_seconds(seconds)
        }
    }
}
