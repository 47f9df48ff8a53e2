//! Sweeps: policies × parameters × seeds × traces, in parallel over runs, resumable.
//!
//! A sweep is a list of runs in a fixed order. Each finished run is one line of a journal, so that
//! Ctrl-C or a kill loses only what was running; the results are written from the list and not from
//! the journal's order, so that they are the same bytes on any number of threads.

mod file;
mod journal;
mod output;
mod run;

pub use file::{Mode, Sweep, read};
pub use output::{print, write};
pub use run::{Estimate, Prepared, Ran};
