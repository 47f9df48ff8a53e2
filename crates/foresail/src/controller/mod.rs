//! The controller's side that the command line shares.

pub mod conditions;
