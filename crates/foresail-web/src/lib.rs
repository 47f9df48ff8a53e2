//! Comes with the work that fills it.

/// Version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
