//! The borders: trace formats and result files.
//!
//! Readers hand out one item at a time; writers never leave half a file. Knows no models.

pub mod atomic;
pub mod io;
pub mod registry;
pub mod results;
