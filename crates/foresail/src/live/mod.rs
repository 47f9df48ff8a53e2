//! Functions and workflows that are really there: what a search or a pool scheduler drives through a
//! provider (`foresail_adapters::provider`).
//!
//! What was in force before is on disk before anything is changed, so that it comes back in the end,
//! after an interrupt, or at the next start after a crash.

pub mod former;
pub mod journal;
pub mod pools;
pub mod workflow;

pub use former::{Former, Kept};
pub use journal::Journal;
pub use pools::{Decided, Pools};
pub use workflow::LiveWorkflow;
