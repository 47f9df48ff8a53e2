//! Function mode: many functions, each with containers that start on demand, stay warm for a while
//! and go; pools and keep-alives are set by the engine's plan over all of them.
//!
//! A call takes the container of its function that was used last, else one that is starting, else
//! it creates one and waits for it. Nothing queues. Where all containers together may hold only so
//! much memory, an idle container of any function gives way to a call: the one that has been idle
//! longest, those that a pool holds after all others; where all are busy, the call is rejected.
//! Memory of a run is that of the live containers and of a minute of calls, whatever its length.

pub mod config;
mod containers;
pub mod driver;
pub mod measure;
pub mod oracle;
pub mod policy;
mod run;

pub use config::{Function, Keep, Platform};
pub use containers::Tally;
pub use measure::FunctionMeasures;
pub use run::{FunctionPilot, FunctionSeen, Unkept, run};
